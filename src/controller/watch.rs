//! The watches: one a kind, into memory; and whom an event concerns.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Config, DefaultBackoff, Event, watcher},
};
use serde::de::DeserializeOwned;

use super::{
    Context, Key, lazy, lazy::RawObject, observe, pod_selectors, routes, routes::Routes, store::Store,
    supervise::supervise,
};
use crate::{
    api::{KanaryDeployment, names},
    decision::Absence,
    objects::{Autoscaler, Deployment, HTTPRoute, Object, Pod, PodSelector, Service, VirtualService},
};

/// All that is known of the cluster.
#[derive(Default)]
pub struct Stores {
    pub kanaries: Store<KanaryDeployment>,
    pub deployments: Store<Deployment>,
    pub pods: Store<Pod>,
    pub services: Store<Service>,
    pub autoscalers: Store<Autoscaler>,
    pub virtual_services: Routes<VirtualService>,
    pub http_routes: Routes<HTTPRoute>,
    /// PodDisruptionBudgets, NetworkPolicies and Istio's policies; each list of a kind has a memory of its own.
    pub pod_selectors: Vec<Store<PodSelector>>,
    /// When a watch that every canary depends on was broken.
    pub gaps: WatchGaps,
}

/// When watches were broken, oldest first; all that is tended was woken after each.
#[derive(Default)]
pub struct WatchGaps(Mutex<Vec<Absence>>);

impl WatchGaps {
    /// All of them.
    pub fn all(&self) -> Vec<Absence> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, absence: Absence) {
        let mut gaps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gaps.len() >= MOST_MISSED {
            gaps.remove(0);
        }
        gaps.push(absence);
    }
}

impl Stores {
    /// An empty memory of every kind.
    pub fn new() -> Self {
        Self { pod_selectors: pod_selectors::stores(), ..Self::default() }
    }

    /// Waits for a full view of what decisions rest on.
    pub async fn synced(&self) {
        self.kanaries.synced().await;
        self.deployments.synced().await;
        self.pods.synced().await;
        self.services.synced().await;
        self.autoscalers.synced().await;
        // A list that the API server cannot give must not keep those waiting that have nothing to do with routes.
        let routes = async { tokio::join!(self.virtual_services.settled(), self.http_routes.settled()) };
        let _ = tokio::time::timeout(ROUTES_WITHIN, routes).await;
    }

    /// Is there a full view?
    pub fn is_synced(&self) -> bool {
        self.kanaries.is_synced()
            && self.deployments.is_synced()
            && self.pods.is_synced()
            && self.services.is_synced()
            && self.autoscalers.is_synced()
    }

    /// Did those that a verdict rests on tell anything since then?
    pub fn heard_since(&self, then: Timestamp) -> bool {
        self.deployments.heard_since(then) && self.pods.heard_since(then)
    }

    /// Since when is one of the watches broken?
    pub fn watch_broken_since(&self) -> Option<Timestamp> {
        let lost = [
            self.kanaries.lost_since(),
            self.deployments.lost_since(),
            self.pods.lost_since(),
            self.services.lost_since(),
            self.autoscalers.lost_since(),
        ];
        lost.into_iter().flatten().min()
    }
}

/// For so long the first view of the routes is waited for.
const ROUTES_WITHIN: Duration = Duration::from_secs(30);
/// The API server ends each watch after so long, and it is taken up where it was. One that does not end then hangs.
const WATCH_SECONDS: u32 = 60;
/// Whoever hears nothing for so long is not connected any more: longer than a quiet watch lasts, and shorter than kube waits
/// before it takes a watch up again as if nothing had been.
pub const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 3);
/// Between two tries of a watch that breaks, at most.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What is older than so many of its kind was accounted for long ago.
const MOST_MISSED: usize = 32;

/// Starts all watches. They run for as long as the process.
pub fn start(context: &Arc<Context>) {
    follow(context, watch::<RawObject<KanaryDeployment>>, lazy::read, |w| &w.kanaries, concerns_itself);
    follow(context, watch::<RawObject<Deployment>>, lazy::read, |w| &w.deployments, concerns_deployment);
    follow(context, canary_pods, as_it_is, |w| &w.pods, concerns_pod);
    follow(context, watch::<Service>, as_it_is, |w| &w.services, concerns_service);
    follow(context, watch::<Autoscaler>, as_it_is, |w| &w.autoscalers, concerns_autoscaler);
    routes::start(context);
    pod_selectors::start(context);
}

pub fn scoped<K>(context: &Context) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match &context.namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    }
}

/// A watch of one kind, from a full list on.
type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

fn watch<K>(context: &Context) -> Events<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    watcher(scoped::<K>(context), config()).boxed()
}

/// How to watch.
pub fn config() -> Config {
    Config::default().timeout(WATCH_SECONDS)
}

/// What a watch brings is read already.
fn as_it_is<K>(event: Event<K>, _: &Store<K>) -> watcher::Result<Event<K>> {
    Ok(event)
}

fn canary_pods(context: &Context) -> Events<Pod> {
    watcher(scoped::<Pod>(context), config().labels(names::CANARY_LABEL)).boxed()
}

/// Keeps a memory up to date, and wakes whom an event concerns. Errors are said once, until they change.
///
/// A watch that breaks begins anew with a full list: one that is taken up where it was does not say that it goes on.
fn follow<R, K>(
    context: &Arc<Context>,
    begin: impl Fn(&Context) -> Events<R> + Send + Sync + 'static,
    read: impl Fn(Event<R>, &Store<K>) -> watcher::Result<Event<K>> + Send + Sync + 'static,
    store: impl Fn(&Stores) -> &Store<K> + Send + Sync + 'static,
    concerns: impl Fn(&Context, &K) -> Vec<Key> + Send + Sync + 'static,
) where
    R: 'static,
    K: Object + Clone + Resource<DynamicType = ()> + Send + Sync + 'static,
{
    let shared = Arc::new((context.clone(), begin, read, store, concerns));
    supervise(K::plural(&()), move || {
        let shared = shared.clone();
        async move {
            let (context, begin, read, store, concerns) = &*shared;
            let store = store(&context.stores);
            let mut backoff = DefaultBackoff::default();
            loop {
                let mut events = begin(context);
                while let Some(event) = events.next().await {
                    match event.and_then(|event| read(event, store)) {
                        Ok(event) => take_in(context, store, &context.stores.gaps, concerns, event),
                        Err(error) => {
                            lose(context, store, &error);
                            break;
                        }
                    }
                }
                tokio::time::sleep(backoff.next().unwrap_or(LONGEST_PAUSE)).await;
            }
        }
    });
}

pub fn take_in<K>(
    context: &Context,
    store: &Store<K>,
    gaps: &WatchGaps,
    concerns: impl Fn(&Context, &K) -> Vec<Key>,
    event: Event<K>,
) where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let is_full = matches!(event, Event::InitDone);
    let lost_since = store.lost_since().filter(|_| is_full);
    // Before it counts as seen again: who looks in between must not find a time that nobody accounts for.
    if let Some(from) = lost_since {
        gaps.note(Absence { from, until: observe::now() });
    }
    store.hear(observe::now());
    let writer = writer(store, &event);
    for object in store.apply(event) {
        let others = concerns(context, &object).into_iter().filter(|key| Some(key) != writer.as_ref());
        others.for_each(|key| context.wake(&key));
    }
    if is_full {
        context.warnings.resolve(&K::plural(&()));
    }
    if lost_since.is_some() {
        context.wake_all();
    }
}

/// Whose task wrote what the event brings, if one did: it has read the reply, and looked again since.
fn writer<K>(store: &Store<K>, event: &Event<K>) -> Option<Key>
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let (Event::Apply(object) | Event::Delete(object)) = event else { return None };
    let known = store.get(object.namespace(), object.name()).filter(|known| known.uid() == object.uid());
    let is_echo = match event {
        Event::Delete(_) => known.is_none(),
        _ => known.is_some_and(|known| known.version() == object.version()),
    };
    let is_itself = K::kind(&()) == KanaryDeployment::kind(&());
    let name = if is_itself { Some(object.name()) } else { object.label(names::CANARY_LABEL) };
    name.filter(|_| is_echo).map(|name| Key { namespace: object.namespace().to_owned(), name: name.to_owned() })
}

/// What is judged must know that nobody watches, but not of each hiccup: only of what the next try does not mend.
pub fn lose<K>(context: &Context, store: &Store<K>, error: &watcher::Error)
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    context.warnings.warn(&K::plural(&()), error);
    let is_lasting = store.lost_since().is_some();
    store.lose(observe::now());
    if is_lasting {
        context.wake_all();
    }
}

fn concerns_itself(_: &Context, kanary: &KanaryDeployment) -> Vec<Key> {
    vec![Key::of(kanary)]
}

/// Its owner; or those whose base it is, or whose canary's name it takes.
fn concerns_deployment(context: &Context, deployment: &Deployment) -> Vec<Key> {
    let owner = owner(deployment);
    if !owner.is_empty() {
        return owner;
    }
    by_reference(context, deployment, deployment.name())
}

fn concerns_pod(_: &Context, pod: &Pod) -> Vec<Key> {
    let key = |name: &str| Key { namespace: pod.namespace().to_owned(), name: name.to_owned() };
    pod.label(names::CANARY_LABEL).map(key).into_iter().collect()
}

/// Its owner; or, as any other Service may select canary pods, everybody in the namespace.
fn concerns_service(context: &Context, service: &Service) -> Vec<Key> {
    if service.spec.selector.contains_key(names::CANARY_LABEL) {
        return owner(service).into_iter().chain(by_reference(context, service, service.name())).collect();
    }
    context.stores.kanaries.all_in(service.namespace()).iter().map(|kanary| Key::of(kanary)).collect()
}

/// Its owner, and those whose base or canary it scales.
fn concerns_autoscaler(context: &Context, autoscaler: &Autoscaler) -> Vec<Key> {
    let taken = by_reference(context, autoscaler, autoscaler.name());
    let scaled = autoscaler.spec.deployment.as_deref().map(|name| by_reference(context, autoscaler, name));
    owner(autoscaler).into_iter().chain(taken).chain(scaled.into_iter().flatten()).collect()
}

/// Those whose base, canary or kanary service has that name, in the object's namespace.
fn by_reference<K: Object>(context: &Context, object: &K, name: &str) -> Vec<Key> {
    context.stores.kanaries.by_reference(object.namespace(), name).iter().map(|kanary| Key::of(kanary)).collect()
}

fn owner<K: Object>(object: &K) -> Vec<Key> {
    let key = |name: &str| Key { namespace: object.namespace().to_owned(), name: name.to_owned() };
    object.kanary_owners().map(key).collect()
}
