//! What all kinds of objects share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use super::labels::Labels;
use crate::api::{KanaryDeployment, names};

/// What all kinds share.
pub trait Object: PartialEq {
    /// The metadata that all kinds have.
    fn meta(&self) -> &ObjectMeta;
    /// The metadata, to prune it.
    fn meta_mut(&mut self) -> &mut ObjectMeta;

    /// Drops what is never read, before it enters the store.
    fn prune(&mut self) {
        prune_meta(self.meta_mut());
    }

    /// The hash of its spec as the API server stored it, of the kinds whose spec is compared as a whole.
    fn spec_hash(&self) -> Option<&str> {
        None
    }

    /// Names of other objects of the namespace that this one refers to; a change of one of them concerns it.
    fn index_keys(&self) -> Vec<String> {
        Vec::new()
    }

    /// The name; every stored object has one.
    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    /// The namespace; every stored object has one.
    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// The uid, which no other object ever has.
    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    /// The resourceVersion that guards a write.
    fn version(&self) -> &str {
        self.meta().resource_version.as_deref().unwrap_or_default()
    }

    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str> {
        self.meta().labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The value of an annotation; only those that `prune` keeps are there.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// A copy of all labels.
    fn labels(&self) -> Labels {
        self.meta().labels.clone().unwrap_or_default()
    }

    /// Does this finalizer hold it?
    fn has_finalizer(&self, finalizer: &str) -> bool {
        self.meta().finalizers.iter().flatten().any(|name| name == finalizer)
    }

    /// Is it being deleted?
    fn is_terminating(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    /// The `KanaryDeployment` that made it, by name. Other owners are those that people add, so that it is deleted with them.
    fn kanary_owners(&self) -> impl Iterator<Item = &str> {
        let owners = self.meta().owner_references.iter().flatten();
        let made = owners.filter(|owner| owner.kind == KanaryDeployment::kind(&()) && owner.controller == Some(true));
        made.map(|owner| owner.name.as_str())
    }

    /// The canary that it belongs to. The label alone says nothing: anybody can put it on anything.
    fn canary(&self) -> Option<&str> {
        self.label(names::CANARY_LABEL).filter(|_| self.kanary_owners().next().is_some())
    }

    /// Did a controller make it, or take it over?
    fn has_controller(&self) -> bool {
        self.meta().owner_references.iter().flatten().any(|owner| owner.controller == Some(true))
    }

    /// Did the object with this uid make it?
    fn is_controlled_by(&self, uid: &str) -> bool {
        let mut owners = self.meta().owner_references.iter().flatten();
        owners.any(|owner| owner.uid == uid && owner.controller == Some(true))
    }

    /// Does the object with this uid own it?
    fn is_owned_by(&self, uid: &str) -> bool {
        self.meta().owner_references.iter().flatten().any(|owner| owner.uid == uid)
    }
}

/// The two methods that every kind has alike: its metadata is in the field `metadata`.
macro_rules! metadata {
    () => {
        fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            &self.metadata
        }

        fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            &mut self.metadata
        }
    };
}
pub(super) use metadata;

impl Object for KanaryDeployment {
    metadata!();

    fn index_keys(&self) -> Vec<String> {
        vec![names::base(self), names::canary(self), names::kanary_service(self)]
    }
}

/// Keeps of the metadata what is read: our annotations and the revision.
pub(super) fn prune_meta(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.generate_name = None;
    meta.self_link = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| key.starts_with(names::PREFIX) || key == names::REVISION);
    }
}
