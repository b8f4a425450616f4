//! Objects that select pods by label and are affected by ours without being asked: PodDisruptionBudgets,
//! NetworkPolicies, and Istio's PeerAuthentications and AuthorizationPolicies. They are only ever named in an event.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Labels, Object, prune_meta, selects};

/// Something that selects pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodSelector {
    /// Its kind; absent in some lists, so the watch fills it in.
    #[serde(flatten)]
    pub types: Option<TypeMeta>,
    /// Its metadata.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// The pods that it selects.
    #[serde(default, rename = "spec", with = "spec")]
    pub selector: LabelSelector,
}

impl PodSelector {
    /// Does it select a pod with these labels?
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        selects(&self.selector, labels)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.types.as_ref().map_or("", |types| &types.kind)
    }
}

impl Object for PodSelector {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

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
