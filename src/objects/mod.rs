//! What is read of the cluster: each kind pruned to the fields that a decision rests on.
//!
//! They deserialize from the API server's JSON, so a watch keeps no more than this in memory, and they serialize, so a
//! dump of them replays a decision. Nothing here is ever written back whole.

mod autoscaler;
mod custom_resource;
mod deployment;
mod endpoint_slice;
mod http_route;
pub mod metadata;
mod pod;
mod pod_selector;
mod service;
mod virtual_service;

use std::collections::BTreeMap;

pub use autoscaler::Autoscaler;
pub use custom_resource::{Listed, Unavailable};
pub use deployment::{Availability, Deployment, DeploymentSpec, DeploymentStatus, PodTemplate};
pub use endpoint_slice::EndpointSlice;
pub use http_route::{HTTPRoute, RouteStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::{
    Resource,
    core::{Selector, SelectorExt},
};
pub use pod::{Pod, Trouble};
pub use pod_selector::PodSelector;
pub use service::{Service, ServiceSpec};
pub use virtual_service::VirtualService;

use crate::api::{KanaryDeployment, names};

/// Labels, as on any object.
pub type Labels = BTreeMap<String, String>;

/// What all kinds share.
pub trait Object: PartialEq {
    /// Their metadata.
    fn meta(&self) -> &ObjectMeta;
    /// Their metadata, to be changed.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    /// Drops what is never read, before it enters the memory.
    fn prune(&mut self);

    /// Names of other objects of the namespace that it speaks of: who has one of them concerns it.
    fn index_keys(&self) -> Vec<String> {
        Vec::new()
    }

    /// The name; every stored object has one.
    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    /// The namespace.
    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// The uid.
    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    /// The resourceVersion that guards a write.
    fn version(&self) -> &str {
        self.meta().resource_version.as_deref().unwrap_or_default()
    }

    /// One label.
    fn label(&self, key: &str) -> Option<&str> {
        self.meta().labels.as_ref()?.get(key).map(String::as_str)
    }

    /// One annotation; only those that `prune` keeps are there.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// All labels.
    fn labels(&self) -> Labels {
        self.meta().labels.clone().unwrap_or_default()
    }

    /// Is it on its way out?
    fn is_terminating(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    /// The `KanaryDeployment`s that own it, by name: who made it, as a rule one.
    fn kanary_owners(&self) -> impl Iterator<Item = &str> {
        let owners = self.meta().owner_references.iter().flatten();
        owners.filter(|owner| owner.kind == KanaryDeployment::kind(&())).map(|owner| owner.name.as_str())
    }

    /// Does the object with this uid own it?
    fn is_owned_by(&self, uid: &str) -> bool {
        self.meta().owner_references.iter().flatten().any(|owner| owner.uid == uid)
    }
}

impl Object for KanaryDeployment {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
    }

    fn index_keys(&self) -> Vec<String> {
        vec![names::base(self), names::canary(self), names::kanary_service(self)]
    }
}

/// Does the selector select these labels? An unreadable one selects nothing, as on the API server.
#[must_use]
pub fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

/// Does this map of labels, as a Service has it, select these labels? An empty one selects nothing.
#[must_use]
pub fn map_selects(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Keeps of the metadata what is read: our annotations and the revision.
fn prune_meta(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.generate_name = None;
    meta.self_link = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| key.starts_with(names::PREFIX) || key == names::REVISION);
    }
}
