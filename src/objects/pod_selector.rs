//! Objects that select pods by label and are affected by the labels of canary pods: PodDisruptionBudgets,
//! NetworkPolicies, and Istio's PeerAuthentications and AuthorizationPolicies. They are only named in events.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope, TypeMeta},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    labels::{Labels, selects},
    object::{self, Object, prune_meta},
};

/// Something that selects pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodSelector {
    /// API version and kind; some lists lack them, so the watch fills them in.
    #[serde(flatten)]
    pub types: Option<TypeMeta>,
    /// Name and namespace.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// Selects the pods.
    #[serde(default, rename = "spec")]
    pub selector: SelectorSpec,
}

/// The selector in a spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct SelectorSpec {
    selector: LabelSelector,
}

impl PodSelector {
    /// Does it select a pod with these labels?
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        selects(&self.selector.selector, labels)
    }

    /// `NetworkPolicy`, `PodDisruptionBudget`, …
    #[must_use]
    pub fn kind(&self) -> &str {
        self.types.as_ref().map_or("", |types| &types.kind)
    }
}

impl Object for PodSelector {
    object::metadata!();

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
        self.metadata.labels = None;
        self.metadata.owner_references = None;
    }
}

impl From<Value> for SelectorSpec {
    /// A NetworkPolicy calls it `podSelector`, the others `selector`. Absent is all pods of the namespace: no label
    /// that is withheld changes that.
    fn from(spec: Value) -> Self {
        let selector = spec.get("podSelector").or_else(|| spec.get("selector")).cloned();
        Self { selector: selector.and_then(|selector| serde_json::from_value(selector).ok()).unwrap_or_default() }
    }
}

/// Its kind is that of the watch.
impl Resource for PodSelector {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        (&of.kind).into()
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        (&of.group).into()
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        (&of.version).into()
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        (&of.plural).into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
