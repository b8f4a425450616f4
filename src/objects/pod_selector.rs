//! Objects that select pods by label and are affected by the labels of canary pods: PodDisruptionBudgets,
//! NetworkPolicies, and Istio's PeerAuthentications and AuthorizationPolicies. They are only named in events.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::TypeMeta;
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
    #[serde(default, rename = "spec", with = "spec")]
    pub selector: LabelSelector,
}

impl PodSelector {
    /// Does it select a pod with these labels?
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        selects(&self.selector, labels)
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

mod spec {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, LabelSelector, Serialize, Value};

    pub fn serialize<S: Serializer>(selector: &LabelSelector, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::json!({ "selector": selector }).serialize(serializer)
    }

    /// A NetworkPolicy calls it `podSelector`, the others `selector`. Absent is all pods of the namespace: no label
    /// that is withheld changes that.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LabelSelector, D::Error> {
        let spec = Value::deserialize(deserializer)?;
        let selector = spec.get("podSelector").or_else(|| spec.get("selector")).cloned();
        Ok(selector.and_then(|selector| serde_json::from_value(selector).ok()).unwrap_or_default())
    }
}
