//! What routes of a mesh have in common: kinds that no Kubernetes library knows, and which client wrote them last.
//!
//! Why their types are our own: docs/decisions/0004-routes.md.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::api::names;

/// All objects of a kind that a cluster may lack, or why they are not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Listed<K> {
    /// All objects that the controller may list.
    All(Vec<Arc<K>>),
    /// They are not known.
    Not(Unavailable),
}

/// Why the objects of a kind are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unavailable {
    /// No canary needs them, so they are not watched.
    NotAsked,
    /// The first list is not complete yet.
    #[default]
    Loading,
    /// Its CustomResourceDefinition is not installed, so there is no such object.
    NoCrd,
    /// Its CustomResourceDefinition does not serve the version that the controller uses.
    NotServed,
    /// The controller is not allowed to list them.
    NotPermitted,
}

impl<K> Default for Listed<K> {
    fn default() -> Self {
        Self::Not(Unavailable::NotAsked)
    }
}

impl<K> Listed<K> {
    /// The known objects.
    pub fn iter(&self) -> impl Iterator<Item = &K> {
        let all: &[Arc<K>] = match self {
            Listed::All(all) => all,
            Listed::Not(_) => &[],
        };
        all.iter().map(AsRef::as_ref)
    }

    /// Why they are not known, if so.
    #[must_use]
    pub fn unavailable(&self) -> Option<Unavailable> {
        match self {
            Listed::All(_) => None,
            Listed::Not(why) => Some(*why),
        }
    }
}

/// The field manager that last wrote the spec, other than the controller, if managedFields name one.
pub(super) fn last_other_manager(meta: &ObjectMeta) -> Option<String> {
    last(meta, "/f:spec", |manager| manager != names::MANAGER)
}

/// The field manager that last wrote the field at this path of managedFields, if they name one.
pub(super) fn last_manager(meta: &ObjectMeta, path: &str) -> Option<String> {
    last(meta, path, |_| true)
}

fn last(meta: &ObjectMeta, path: &str, counts: impl Fn(&str) -> bool) -> Option<String> {
    meta.managed_fields
        .iter()
        .flatten()
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer(path).is_some()))
        .filter(|entry| entry.manager.as_deref().is_some_and(&counts))
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone())
}

/// Implements `kube::Resource` for a type with the field `metadata`.
macro_rules! custom_resource {
    ($type:ident, $group:literal, $version:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = k8s_openapi::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($type).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(super) use custom_resource;
