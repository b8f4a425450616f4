//! The RoleBinding that a controller of one namespace has its permissions by: it stays while a finalizer is to be removed there.
//!
//! A deleted namespace loses its objects in no particular order. Without the RoleBinding the controller could no longer remove
//! the finalizer of a `KanaryDeployment`, and the namespace would stay Terminating indefinitely. So the RoleBinding has the
//! finalizer as long as any `KanaryDeployment` has it.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{context::Context, request::bounded};
use crate::{api::names::MIRROR_FINALIZER, objects::Object};

/// After a request that failed.
const RETRY: Duration = Duration::from_secs(10);

/// What the log names it.
const RESOURCE: &str = "rolebindings";

/// Keeps the finalizer where it should be. A controller of all namespaces has no such RoleBinding.
pub async fn keep(context: &Context) {
    let Some(namespace) = &context.settings.namespace else { return };
    let bindings: Api<RoleBinding> = Api::namespaced(context.client.clone(), namespace);
    let mut is_held = None;
    loop {
        context.finalizers.notified().await;
        context.stores.kanaries.synced().await;
        let is_needed = is_needed(context, namespace);
        if is_held == Some(is_needed) || !context.leadership.holds() {
            continue;
        }
        is_held = match hold(&bindings, &context.settings.role_binding, is_needed).await {
            Ok(()) => {
                context.warnings.resolve(RESOURCE);
                Some(is_needed)
            }
            Err(error) => {
                context.warnings.warn(RESOURCE, &error);
                tokio::time::sleep(RETRY).await;
                context.finalizers.notify_one();
                None
            }
        };
    }
}

fn is_needed(context: &Context, namespace: &str) -> bool {
    context.stores.kanaries.all_in(namespace).iter().any(|kanary| kanary.has_finalizer(MIRROR_FINALIZER))
}

/// Adds the finalizer or removes it, if the RoleBinding is there. One that is being deleted takes no new finalizer.
async fn hold(bindings: &Api<RoleBinding>, name: &str, is_needed: bool) -> Result<(), kube::Error> {
    let Some(binding) = bounded(bindings.get_opt(name)).await? else { return Ok(()) };
    let finalizers = binding.finalizers();
    let is_too_late = is_needed && binding.metadata.deletion_timestamp.is_some();
    let is_held = finalizers.iter().any(|name| name == MIRROR_FINALIZER);
    if is_held == is_needed || is_too_late {
        return Ok(());
    }
    let others = finalizers.iter().map(String::as_str).filter(|other| *other != MIRROR_FINALIZER);
    let finalizers: Vec<&str> = others.chain(is_needed.then_some(MIRROR_FINALIZER)).collect();
    let metadata = json!({"resourceVersion": binding.resource_version(), "finalizers": finalizers});
    let patch = Patch::Merge(json!({"metadata": metadata}));
    bounded(bindings.patch(name, &PatchParams::default(), &patch)).await.map(drop)
}
