//! The watches that fill the stores, and which tasks their events wake.

use std::sync::Arc;

use kube::Resource;

use super::{
    concerned,
    context::Context,
    key::Key,
    pod_selectors, routes,
    store::Store,
    stores::Stores,
    supervise::supervise,
    watch::{self, Events, Next, Report},
};
use crate::{
    api::{KanaryDeployment, names},
    objects::{Autoscaler, Deployment, Object, Pod, RawObject, Readable, Service},
};

/// Starts all watches. They run for as long as the process.
pub fn start(context: &Arc<Context>) {
    feed(context, watch::begin, |s| &s.kanaries, map_kanary);
    feed(context, watch::begin, |s| &s.deployments, map_deployment);
    feed(context, canary_pods, |s| &s.pods, map_pod);
    feed(context, watch::begin, |s| &s.services, map_service);
    feed(context, watch::begin, |s| &s.autoscalers, map_autoscaler);
    routes::start(context);
    pod_selectors::start(context);
}

fn canary_pods(context: &Context) -> Events<RawObject<Pod>> {
    watch::begin_with(context, watch::config().labels(names::CANARY_LABEL))
}

/// Keeps a store up to date.
///
/// A watch that breaks begins again with a full list: one that is resumed where it was does not report that it goes on.
fn feed<K>(
    context: &Arc<Context>,
    begin: fn(&Context) -> Events<RawObject<K>>,
    store: fn(&Stores) -> &Store<K>,
    map: fn(&Context, &K) -> Vec<Key>,
) where
    K: Readable + Resource<DynamicType = ()> + Send + Sync + 'static,
{
    let context = context.clone();
    supervise(K::plural(&()), move || {
        let context = context.clone();
        async move {
            let store = store(&context.stores);
            let handle = |report| match report {
                Report::Event(event) => {
                    watch::apply(&context, store, map, event);
                    Next::Event
                }
                Report::Error(error) => {
                    watch::lose(&context, store, &error);
                    Next::Relist
                }
                Report::GoesOn => {
                    watch::recover(&context, store, &context.stores.gaps);
                    Next::Event
                }
            };
            watch::follow(|| begin(&context), handle).await;
        }
    });
}

fn map_kanary(context: &Context, kanary: &KanaryDeployment) -> Vec<Key> {
    context.finalizers.notify_one();
    vec![Key::of(kanary)]
}

/// To its owner; or to those that have it as their base, or to those that have their canary's name taken by it.
fn map_deployment(context: &Context, deployment: &Deployment) -> Vec<Key> {
    let owners = owners(deployment);
    if !owners.is_empty() {
        return owners;
    }
    by_reference(context, deployment, deployment.name())
}

fn map_pod(_: &Context, pod: &Pod) -> Vec<Key> {
    pod.label(names::CANARY_LABEL).map(|name| Key::new(pod.namespace(), name)).into_iter().collect()
}

/// To its owner; or to all that it matters to.
fn map_service(context: &Context, service: &Service) -> Vec<Key> {
    if service.canary().is_some() {
        return owners(service).into_iter().chain(by_reference(context, service, service.name())).collect();
    }
    concerned::by_service(context, service)
}

/// To its owner, and to those that have their base or canary scaled by it.
fn map_autoscaler(context: &Context, autoscaler: &Autoscaler) -> Vec<Key> {
    let taken = by_reference(context, autoscaler, autoscaler.name());
    let scaled = autoscaler.spec.deployment.as_deref().map(|name| by_reference(context, autoscaler, name));
    owners(autoscaler).into_iter().chain(taken).chain(scaled.into_iter().flatten()).collect()
}

/// Those with a base, canary or kanary service of that name, in the object's namespace.
fn by_reference<K: Object>(context: &Context, object: &K, name: &str) -> Vec<Key> {
    context.stores.kanaries.by_reference(object.namespace(), name).iter().map(|kanary| Key::of(kanary)).collect()
}

fn owners<K: Object>(object: &K) -> Vec<Key> {
    object.kanary_owners().map(|name| Key::new(object.namespace(), name)).collect()
}
