//! `spec.scale`: how many canary pods.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::schema;

/// Number of canary pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!(has(self.static) && has(self.hpa))")
    .message("spec.scale: set static or hpa, not both"))]
pub struct Scale {
    /// A static number of pods.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_: Option<StaticScale>,
    /// A HorizontalPodAutoscaler for the canary: an `autoscaling/v2` spec without `scaleTargetRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa: Option<Hpa>,
}

/// A static number of canary pods.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StaticScale {
    /// Number of canary pods. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub replicas: i32,
}

/// An `autoscaling/v2` HorizontalPodAutoscaler spec without `scaleTargetRef`. `metrics` and `behavior` go to the
/// API server as written.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minReplicas) || self.minReplicas <= self.maxReplicas")
    .message("spec.scale.hpa: minReplicas must not exceed maxReplicas"))]
pub struct Hpa {
    /// Maximum number of canary pods.
    #[schemars(range(min = 1))]
    pub max_replicas: i32,
    /// Minimum number of canary pods. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_replicas: Option<i32>,
    /// Metrics to scale by, as in `autoscaling/v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::opaque_list")]
    pub metrics: Option<Vec<Value>>,
    /// Scaling behavior, as in `autoscaling/v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::opaque")]
    pub behavior: Option<Value>,
}

fn one() -> i32 {
    1
}
