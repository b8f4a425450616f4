//! The watches of kinds that only warnings name: if one fails, a warning is missing and nothing else.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    Api,
    api::{ApiResource, GroupVersionKind, TypeMeta},
    discovery,
    runtime::watcher::{DefaultBackoff, Event, watcher},
};

use super::{
    context::Context,
    lazy,
    request::bounded,
    store::Store,
    stores::POD_SELECTORS,
    supervise::supervise,
    watch::{self, Events, Next, Report},
};
use crate::objects::{PodSelector, RawObject, Reading};

/// Starts the watches of the kinds that the cluster has.
pub fn start(context: &Arc<Context>) {
    for (index, (group, version, kind, is_core)) in POD_SELECTORS.into_iter().enumerate() {
        let context = context.clone();
        supervise(kind, move || {
            let (context, gvk) = (context.clone(), GroupVersionKind::gvk(group, version, kind));
            async move {
                if is_core || is_served(&context, &gvk).await {
                    follow(&context, &context.stores.pod_selectors[index], &ApiResource::from_gvk(&gvk)).await;
                }
            }
        });
    }
}

/// Does the cluster have the kind? Without an answer this is tried again; a kind that is installed later counts after a
/// restart.
async fn is_served(context: &Context, gvk: &GroupVersionKind) -> bool {
    let mut backoff = DefaultBackoff::default();
    loop {
        match bounded(discovery::pinned_kind(&context.client, gvk)).await {
            Ok(_) => return true,
            Err(kube::Error::Discovery(_)) => return false,
            Err(kube::Error::Api(status)) if status.code == 404 => return false,
            Err(error) => context.warnings.warn(&gvk.kind, &error),
        }
        watch::pause(&mut backoff).await;
    }
}

async fn follow(context: &Context, store: &Store<PodSelector>, resource: &ApiResource) {
    let handle = |report| match report {
        Report::Event(event) => {
            let taken = store.take(typed(lazy::read(event, &resource.kind, store), resource));
            taken.news.iter().for_each(watch::report);
            Next::Event
        }
        Report::Error(error) => {
            context.warnings.warn(&resource.plural, &error);
            Next::Resume
        }
        Report::GoesOn => {
            context.warnings.resolve(&resource.plural);
            Next::Event
        }
    };
    watch::follow(|| begin(context, resource), handle).await;
}

fn begin(context: &Context, resource: &ApiResource) -> Events<RawObject<PodSelector>> {
    let client = context.client.clone();
    let api: Api<RawObject<PodSelector>> = match &context.settings.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    };
    watcher(api, watch::config()).boxed()
}

/// The event with the kind of its object, which some lists lack.
fn typed(event: Event<Reading<PodSelector>>, resource: &ApiResource) -> Event<Reading<PodSelector>> {
    let with_types = |mut reading: Reading<PodSelector>| {
        let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        reading.object.types = Some(types);
        reading
    };
    match event {
        Event::Apply(reading) => Event::Apply(with_types(reading)),
        Event::InitApply(reading) => Event::InitApply(with_types(reading)),
        Event::Delete(reading) => Event::Delete(with_types(reading)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}
