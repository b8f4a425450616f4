//! The watches: one a kind, into memory; and whom an event concerns.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta},
    discovery,
    runtime::{
        WatchStreamExt,
        watcher::{self, Config, DefaultBackoff, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::{Context, Key, execute, memory::Memory, observe, readable};
use crate::{
    api::{KanaryDeployment, names},
    seen::{Autoscaler, Bystander, Deployment, Pod, Seen, Service},
};

/// All that is known of the cluster.
#[derive(Default)]
pub struct World {
    pub kanaries: Memory<KanaryDeployment>,
    pub deployments: Memory<Deployment>,
    pub pods: Memory<Pod>,
    pub services: Memory<Service>,
    pub autoscalers: Memory<Autoscaler>,
    /// PodDisruptionBudgets, NetworkPolicies and Istio's policies; each list of a kind has a memory of its own.
    pub bystanders: Vec<Memory<Bystander>>,
}

/// What is only named in events, and whether every cluster has it.
const BYSTANDERS: [(&str, &str, &str, bool); 4] = [
    ("policy", "v1", "PodDisruptionBudget", true),
    ("networking.k8s.io", "v1", "NetworkPolicy", true),
    ("security.istio.io", "v1", "PeerAuthentication", false),
    ("security.istio.io", "v1", "AuthorizationPolicy", false),
];

impl World {
    /// An empty memory of every kind.
    pub fn new() -> Self {
        Self { bystanders: BYSTANDERS.iter().map(|_| Memory::default()).collect(), ..Self::default() }
    }

    /// Waits for a full view of what decisions rest on.
    pub async fn synced(&self) {
        self.kanaries.synced().await;
        self.deployments.synced().await;
        self.pods.synced().await;
        self.services.synced().await;
        self.autoscalers.synced().await;
    }

    /// Is there a full view?
    pub fn is_synced(&self) -> bool {
        self.kanaries.is_synced()
            && self.deployments.is_synced()
            && self.pods.is_synced()
            && self.services.is_synced()
            && self.autoscalers.is_synced()
    }

    /// Since when is one of the watches broken?
    pub fn blind_since(&self) -> Option<Timestamp> {
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

/// Between two tries of a watch that breaks, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Starts all watches. They run for as long as the process.
pub fn start(context: &Arc<Context>) {
    follow(context, |context| readable::watch(scoped(context)), |w| &w.kanaries, concerns_itself);
    follow(context, watch::<Deployment>, |w| &w.deployments, concerns_deployment);
    follow(context, canary_pods, |w| &w.pods, concerns_pod);
    follow(context, watch::<Service>, |w| &w.services, concerns_service);
    follow(context, watch::<Autoscaler>, |w| &w.autoscalers, concerns_autoscaler);
    for (index, (group, version, kind, is_core)) in BYSTANDERS.into_iter().enumerate() {
        let context = context.clone();
        tokio::spawn(async move {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            if is_core || is_served(&context, &gvk).await {
                follow_bystanders(&context, index, ApiResource::from_gvk(&gvk));
            }
        });
    }
}

/// Does the cluster have the kind? Who cannot tell asks again; a kind that is installed later counts after a restart.
async fn is_served(context: &Context, gvk: &GroupVersionKind) -> bool {
    let mut backoff = DefaultBackoff::default();
    loop {
        match execute::bounded(discovery::pinned_kind(&context.client, gvk)).await {
            Ok(_) => return true,
            Err(kube::Error::Discovery(_)) => return false,
            Err(kube::Error::Api(status)) if status.code == 404 => return false,
            Err(error) => context.said.warn(&gvk.kind, &error),
        }
        tokio::time::sleep(backoff.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

fn scoped<K>(context: &Context) -> Api<K>
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
    watcher(scoped::<K>(context), Config::default()).boxed()
}

fn canary_pods(context: &Context) -> Events<Pod> {
    watcher(scoped::<Pod>(context), Config::default().labels(names::CANARY_LABEL)).boxed()
}

/// Keeps a memory up to date, and wakes whom an event concerns. Errors are said once, until they change.
///
/// A watch that breaks begins anew with a full list: one that is taken up where it was does not say that it goes on.
fn follow<K>(
    context: &Arc<Context>,
    begin: impl Fn(&Context) -> Events<K> + Send + 'static,
    memory: impl Fn(&World) -> &Memory<K> + Send + 'static,
    concerns: impl Fn(&Context, &K) -> Vec<Key> + Send + 'static,
) where
    K: Seen + Clone + Resource<DynamicType = ()> + Send + Sync + 'static,
{
    let context = context.clone();
    tokio::spawn(async move {
        let mut backoff = DefaultBackoff::default();
        loop {
            let mut events = begin(&context);
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => take_in(&context, memory(&context.world), &concerns, event),
                    Err(error) => {
                        lose(&context, memory(&context.world), &error);
                        break;
                    }
                }
            }
            tokio::time::sleep(backoff.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    });
}

fn take_in<K>(context: &Context, memory: &Memory<K>, concerns: impl Fn(&Context, &K) -> Vec<Key>, event: Event<K>)
where
    K: Seen + Clone + Resource<DynamicType = ()>,
{
    let is_full = matches!(event, Event::InitDone);
    let was_lost = memory.lost_since().is_some();
    for object in memory.apply(event) {
        concerns(context, &object).into_iter().for_each(|key| context.wake(&key));
    }
    if is_full {
        context.said.resolve(&K::plural(&()));
    }
    if is_full && was_lost {
        context.wake_all();
    }
}

/// What is judged must know that nobody watches, but not of each hiccup: only of what the next try does not mend.
fn lose<K>(context: &Context, memory: &Memory<K>, error: &watcher::Error)
where
    K: Seen + Clone + Resource<DynamicType = ()>,
{
    context.said.warn(&K::plural(&()), error);
    let is_lasting = memory.lost_since().is_some();
    memory.lose(observe::now());
    if is_lasting {
        context.wake_all();
    }
}

fn follow_bystanders(context: &Arc<Context>, index: usize, resource: ApiResource) {
    let context = context.clone();
    let api: Api<DynamicObject> = match &context.namespace {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &resource),
        None => Api::all_with(context.client.clone(), &resource),
    };
    let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(watcher(api, Config::default()).default_backoff());
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    if let (Some(event), Some(memory)) = (selecting(event, &types), context.world.bystanders.get(index))
                    {
                        memory.apply(event);
                    }
                }
                Err(error) => context.said.warn(&resource.plural, &error),
            }
        }
    });
}

fn selecting(event: Event<DynamicObject>, types: &TypeMeta) -> Option<Event<Bystander>> {
    let keep = |object: DynamicObject| {
        let mut bystander: Bystander = serde_json::from_value(serde_json::to_value(object).ok()?).ok()?;
        bystander.types = Some(types.clone());
        Some(bystander)
    };
    Some(match event {
        Event::Apply(object) => Event::Apply(keep(object)?),
        Event::InitApply(object) => Event::InitApply(keep(object)?),
        Event::Delete(object) => Event::Delete(keep(object)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
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
    let name = deployment.name();
    context.kanaries_in(deployment.namespace(), |kanary| names::base(kanary) == name || names::canary(kanary) == name)
}

fn concerns_pod(_: &Context, pod: &Pod) -> Vec<Key> {
    let key = |name: &str| Key { namespace: pod.namespace().to_owned(), name: name.to_owned() };
    pod.label(names::CANARY_LABEL).map(key).into_iter().collect()
}

/// Its owner; or, as any other Service may select canary pods, everybody in the namespace.
fn concerns_service(context: &Context, service: &Service) -> Vec<Key> {
    if service.spec.selector.contains_key(names::CANARY_LABEL) {
        let taken = context.kanaries_in(service.namespace(), |kanary| names::kanary_service(kanary) == service.name());
        return owner(service).into_iter().chain(taken).collect();
    }
    context.kanaries_in(service.namespace(), |_| true)
}

/// Its owner, and those whose base or canary it scales.
fn concerns_autoscaler(context: &Context, autoscaler: &Autoscaler) -> Vec<Key> {
    let scales = |name: &str| autoscaler.spec.deployment.as_deref() == Some(name);
    let mut keys = owner(autoscaler);
    keys.extend(context.kanaries_in(autoscaler.namespace(), |kanary| {
        scales(&names::base(kanary)) || names::canary(kanary) == autoscaler.name()
    }));
    keys
}

fn owner<K: Seen>(object: &K) -> Vec<Key> {
    let owners = object.meta().owner_references.iter().flatten().filter(|owner| owner.kind == "KanaryDeployment");
    owners.map(|owner| Key { namespace: object.namespace().to_owned(), name: owner.name.clone() }).collect()
}
