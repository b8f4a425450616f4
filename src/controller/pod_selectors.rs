//! The watches of kinds that only warnings name: if one fails, a warning is missing and nothing else.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta},
    discovery,
    runtime::watcher::{self, DefaultBackoff, Event, watcher},
};

use super::{
    context::Context,
    request::bounded,
    store::Store,
    stores::POD_SELECTORS,
    supervise::supervise,
    watch::{self, Events, Next},
};
use crate::objects::PodSelector;

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
    let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
    let handle = |event: watcher::Result<Event<DynamicObject>>| match event {
        Ok(event) => {
            if let Some(event) = selecting(event, &types) {
                store.apply(event);
            }
            Next::Event
        }
        Err(error) => {
            context.warnings.warn(&resource.plural, &error);
            Next::Resume
        }
    };
    watch::follow(|| begin(context, resource), handle).await;
}

fn begin(context: &Context, resource: &ApiResource) -> Events<DynamicObject> {
    let client = context.client.clone();
    let api: Api<DynamicObject> = match &context.settings.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    };
    watcher(api, watch::config()).boxed()
}

/// The event with what is kept of its object; none if that is not as it should be.
fn selecting(event: Event<DynamicObject>, types: &TypeMeta) -> Option<Event<PodSelector>> {
    let keep = |object: DynamicObject| {
        let mut selector: PodSelector = serde_json::from_value(serde_json::to_value(object).ok()?).ok()?;
        selector.types = Some(types.clone());
        Some(selector)
    };
    Some(match event {
        Event::Apply(object) => Event::Apply(keep(object)?),
        Event::InitApply(object) => Event::InitApply(keep(object)?),
        Event::Delete(object) => Event::Delete(keep(object)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}
