//! The watches of what is only named in events: if one fails, a warning is missing and nothing else.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta},
    discovery,
    runtime::{
        WatchStreamExt,
        watcher::{DefaultBackoff, Event, watcher},
    },
};

use super::{
    Context, execute,
    store::Store,
    watch::{LONGEST_PAUSE, config},
};
use crate::objects::PodSelector;

/// The kinds, and whether every cluster has them.
const BYSTANDERS: [(&str, &str, &str, bool); 4] = [
    ("policy", "v1", "PodDisruptionBudget", true),
    ("networking.k8s.io", "v1", "NetworkPolicy", true),
    ("security.istio.io", "v1", "PeerAuthentication", false),
    ("security.istio.io", "v1", "AuthorizationPolicy", false),
];

/// An empty memory of each kind.
pub fn stores() -> Vec<Store<PodSelector>> {
    BYSTANDERS.iter().map(|_| Store::default()).collect()
}

/// Starts the watches of the kinds that the cluster has.
pub fn start(context: &Arc<Context>) {
    for (index, (group, version, kind, is_core)) in BYSTANDERS.into_iter().enumerate() {
        let context = context.clone();
        tokio::spawn(async move {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            if is_core || is_served(&context, &gvk).await {
                follow(&context, index, ApiResource::from_gvk(&gvk));
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
            Err(error) => context.warnings.warn(&gvk.kind, &error),
        }
        tokio::time::sleep(backoff.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

fn follow(context: &Arc<Context>, index: usize, resource: ApiResource) {
    let context = context.clone();
    let api: Api<DynamicObject> = match &context.namespace {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &resource),
        None => Api::all_with(context.client.clone(), &resource),
    };
    let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(watcher(api, config()).default_backoff());
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    if let (Some(event), Some(store)) =
                        (selecting(event, &types), context.stores.pod_selectors.get(index))
                    {
                        store.apply(event);
                    }
                }
                Err(error) => context.warnings.warn(&resource.plural, &error),
            }
        }
    });
}

fn selecting(event: Event<DynamicObject>, types: &TypeMeta) -> Option<Event<PodSelector>> {
    let keep = |object: DynamicObject| {
        let mut bystander: PodSelector = serde_json::from_value(serde_json::to_value(object).ok()?).ok()?;
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
