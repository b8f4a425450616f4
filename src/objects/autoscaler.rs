//! HorizontalPodAutoscalers: the canary's own, and those that scale a base.

use k8s_openapi::{api::autoscaling::v2, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{self, Object, prune_meta};
use crate::hash;

/// A HorizontalPodAutoscaler, of which only its target is read.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = v2::HorizontalPodAutoscaler)]
pub struct Autoscaler {
    /// Name, namespace and ownership.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// Which Deployment it scales.
    #[serde(default)]
    pub spec: AutoscalerSpec,
}

/// What is read of the spec of a HorizontalPodAutoscaler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct AutoscalerSpec {
    /// Name of the Deployment in `scaleTargetRef`; none if it scales another kind.
    pub deployment: Option<String>,
    /// Hash of the whole spec.
    pub hash: String,
}

impl Object for Autoscaler {
    object::metadata!();

    fn spec_hash(&self) -> Option<&str> {
        Some(&self.spec.hash)
    }

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
        // Only whether there are any: a JSON patch cannot add to a map that is not there.
        if let Some(labels) = &mut self.metadata.labels {
            labels.clear();
        }
    }
}

impl From<Value> for AutoscalerSpec {
    fn from(value: Value) -> Self {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
        if let Some(hash) = text("/hash") {
            return Self { deployment: text("/deployment"), hash };
        }
        let scales_deployment = text("/scaleTargetRef/kind").as_deref() == Some("Deployment");
        let deployment = if scales_deployment { text("/scaleTargetRef/name") } else { None };
        Self { deployment, hash: hash::of(&value) }
    }
}
