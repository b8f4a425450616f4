//! `spec.validation.items[].promQL`: a Prometheus query, and how to read its result.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// A Prometheus query, and how to read its result.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.valueInRange), has(self.continuousValueDeviation), has(self.discreteValueOutOfList)].filter(x, x).size() <= 1")
    .message("spec.validation.items[].promQL: set at most one of valueInRange, continuousValueDeviation, discreteValueOutOfList; without one the query itself must be true or false"))]
pub struct PromQl {
    /// Which Prometheus to query, and how to authenticate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// A PromQL query, with variables such as `{{namespace}}`.
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
    /// Total number of failed evaluations tolerated per run. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failure_limit: i32,
    /// Every sample must be in this range, bounds included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_in_range: Option<ValueInRange>,
    /// Every sample, a ratio to the mean, must be close to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous_value_deviation: Option<ContinuousValueDeviation>,
    /// The share of samples with a bad label value must not exceed a tolerance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discrete_value_out_of_list: Option<DiscreteValueOutOfList>,
    /// Label that contains the name of the pod. Default: `pod`.
    #[serde(default = "pod")]
    #[schemars(length(min = 1, max = 128))]
    pub pod_name_key: String,
    /// Treat all samples as one set, whatever their labels.
    #[serde(default)]
    pub all_pods_query: bool,
}

/// A Prometheus, and how to authenticate to it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.bearerTokenSecretRef) && has(self.basicAuthSecretRef))")
    .message("spec.validation.items[].promQL.prometheus: set bearerTokenSecretRef or basicAuthSecretRef, not both"))]
pub struct Prometheus {
    /// Base URL, http or https. Default: the controller's `--prometheus-url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_url")]
    pub url: Option<String>,
    /// Secret with a bearer token. Default key: `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret_ref: Option<SecretKeyRef>,
    /// Secret with the keys `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth_secret_ref: Option<SecretRef>,
    /// Secret with certificate authorities (PEM). Default key: `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// HTTP headers to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: BTreeMap<String, String>,
}

/// A Secret in the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A key of a Secret in the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub key: Option<String>,
}

/// Bounds; both are good values.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("self.min <= self.max")
    .message("spec.validation.items[].promQL.valueInRange: min must not exceed max"))]
pub struct ValueInRange {
    /// Lower bound. Default: 0.
    #[serde(default)]
    #[schemars(schema_with = "schema::number")]
    pub min: f64,
    /// Upper bound. Default: 1.
    #[serde(default = "one_point")]
    #[schemars(schema_with = "schema::number_or_one")]
    pub max: f64,
}

/// Maximum distance from the mean.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContinuousValueDeviation {
    /// Maximum distance of a sample from 1, in percent.
    #[schemars(schema_with = "schema::percentage")]
    pub max_deviation_percent: f64,
}

/// Good and bad values of a label.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.goodValues) && self.goodValues.size() > 0) || (has(self.badValues) && self.badValues.size() > 0)")
    .message("spec.validation.items[].promQL.discreteValueOutOfList: set goodValues or badValues"))]
pub struct DiscreteValueOutOfList {
    /// The label that is read.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    /// Bad values; all others are good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub bad_values: Vec<String>,
    /// Good values; all others are bad. Takes precedence over `badValues`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub good_values: Vec<String>,
    /// Maximum share of bad values, in percent. Default: 0.
    #[serde(default)]
    #[schemars(schema_with = "schema::percentage_or_zero")]
    pub tolerance_percent: f64,
}

fn one_point() -> f64 {
    1.0
}

fn pod() -> String {
    "pod".into()
}
