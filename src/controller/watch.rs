//! The watches: one a kind, into memory; and whom an event concerns.

use std::{fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt};
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta},
    core::error_boundary::DeserializeGuard,
    discovery,
    runtime::{
        WatchStreamExt,
        watcher::{self, Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::{Context, Key, memory::Memory, routes::Routes};
use crate::{
    api::{KanaryDeployment, names},
    seen::{Autoscaler, Bystander, Deployment, HTTPRoute, Pod, Seen, Service, VirtualService},
};

/// All that is known of the cluster.
#[derive(Default)]
pub struct World {
    pub kanaries: Memory<KanaryDeployment>,
    pub deployments: Memory<Deployment>,
    pub pods: Memory<Pod>,
    pub services: Memory<Service>,
    pub autoscalers: Memory<Autoscaler>,
    pub virtual_services: Routes<VirtualService>,
    pub http_routes: Routes<HTTPRoute>,
    /// PodDisruptionBudgets, NetworkPolicies and Istio's policies; each list of a kind has a memory of its own.
    pub bystanders: Vec<Memory<Bystander>>,
}

/// What is only named in events. A cluster may lack the kind.
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
        self.virtual_services.settled().await;
        self.http_routes.settled().await;
    }

    /// Is there a full view?
    pub fn is_synced(&self) -> bool {
        self.kanaries.is_synced()
            && self.deployments.is_synced()
            && self.pods.is_synced()
            && self.services.is_synced()
            && self.autoscalers.is_synced()
    }
}

/// Starts all watches. They run for as long as the process.
pub fn start(context: &Arc<Context>) {
    let api = |context: &Arc<Context>| context.client.clone();
    let ours = Config::default().labels(names::CANARY_LABEL);
    let kanaries = watcher(scoped::<DeserializeGuard<KanaryDeployment>>(context), Config::default());
    follow(context, kanaries.filter_map(|event| async { valid(event) }), |w| &w.kanaries, concerns_itself);
    follow(context, watch::<Deployment>(context, Config::default()), |w| &w.deployments, concerns_deployment);
    follow(context, watch::<Pod>(context, ours), |w| &w.pods, concerns_pod);
    follow(context, watch::<Service>(context, Config::default()), |w| &w.services, concerns_service);
    follow(context, watch::<Autoscaler>(context, Config::default()), |w| &w.autoscalers, concerns_autoscaler);
    super::routes::start(context);
    for (index, (group, version, kind, is_core)) in BYSTANDERS.into_iter().enumerate() {
        let (context, client) = (context.clone(), api(context));
        tokio::spawn(async move {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            let resource = match discovery::pinned_kind(&client, &gvk).await {
                Ok((resource, _)) => resource,
                Err(_) if !is_core => return,
                Err(_) => ApiResource::from_gvk(&gvk),
            };
            follow_bystanders(&context, index, resource);
        });
    }
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

fn watch<K>(context: &Context, config: Config) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    watcher(scoped::<K>(context), config)
}

/// An object that does not fit the types was written past an older CRD: it is reported and left alone.
fn valid(
    event: watcher::Result<Event<DeserializeGuard<KanaryDeployment>>>,
) -> Option<watcher::Result<Event<KanaryDeployment>>> {
    let keep = |guard: DeserializeGuard<KanaryDeployment>| {
        guard.0.map_err(|invalid| {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            tracing::error!(
                name,
                error = invalid.error,
                "a KanaryDeployment does not fit this version: apply its CRD again"
            );
        })
    };
    match event {
        Ok(Event::Apply(object)) => keep(object).ok().map(Event::Apply).map(Ok),
        Ok(Event::InitApply(object)) => keep(object).ok().map(Event::InitApply).map(Ok),
        Ok(Event::Delete(object)) => keep(object).ok().map(Event::Delete).map(Ok),
        Ok(Event::Init) => Some(Ok(Event::Init)),
        Ok(Event::InitDone) => Some(Ok(Event::InitDone)),
        Err(error) => Some(Err(error)),
    }
}

/// Keeps a memory up to date, and wakes whom an event concerns. Errors are said once, until they change.
fn follow<K, S>(
    context: &Arc<Context>,
    stream: S,
    memory: impl Fn(&World) -> &Memory<K> + Send + 'static,
    concerns: impl Fn(&Context, &K) -> Vec<Key> + Send + 'static,
) where
    K: Seen + Clone + Resource<DynamicType = ()> + Send + Sync + 'static,
    S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
{
    let context = context.clone();
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(stream.default_backoff());
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    if matches!(event, Event::InitDone) {
                        context.said.resolve(&K::plural(&()));
                    }
                    for object in memory(&context.world).apply(event) {
                        concerns(&context, &object).into_iter().for_each(|key| context.wake(&key));
                    }
                }
                Err(error) => context.said.warn(&K::plural(&()), &error),
            }
        }
    });
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
