//! The fields of `spec`, with their defaults and the CEL rules that the API server enforces.
//!
//! A rule's message is what a person reads when `kubectl apply` is refused: it names the field and the cure.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{KanaryDeploymentStatus, Template, duration, schema};

/// A canary: the Deployment to try, how big, which traffic reaches it, and how it is judged.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kanary.k8s.io",
    version = "v1alpha1",
    kind = "KanaryDeployment",
    plural = "kanarydeployments",
    shortname = "kd",
    shortname = "kanary",
    category = "all",
    namespaced,
    status = "KanaryDeploymentStatus",
    derive = "PartialEq",
    annotation("api-approved.kubernetes.io", "unapproved, kanary is not a Kubernetes project"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.report.status"),
    printcolumn(name = "Deployment", type_ = "string", json_path = ".status.base.name"),
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.serviceName"),
    printcolumn(name = "Scale", type_ = "string", json_path = ".status.report.scale"),
    printcolumn(name = "Traffic", type_ = "string", json_path = ".status.report.traffic"),
    printcolumn(name = "Validation", type_ = "string", json_path = ".status.report.validation"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 56 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name: must be a DNS label (lower-case letters, digits, '-') of at most 56 characters, for the canary is named <name>-kanary"),
    validation = Rule::new("!has(self.spec.traffic) || !has(self.spec.traffic.source) || !(self.spec.traffic.source in ['kanary-service', 'both', 'mirror']) || has(self.spec.traffic.kanaryService) || self.metadata.name.matches('^[a-z].*$')")
        .message("spec.traffic.kanaryService: required when metadata.name begins with a digit, for a Service's name begins with a letter"),
    validation = Rule::new("has(self.spec.serviceName) && has(self.spec.traffic) && !has(self.spec.traffic.kanaryService) ? self.spec.serviceName != self.metadata.name + '-kanary' : true")
        .message("spec.traffic.kanaryService: its default <name>-kanary is the production Service itself; give it another name"),
    validation = Rule::new("(has(self.spec.deploymentName) ? self.spec.deploymentName : has(self.spec.template.metadata) && has(self.spec.template.metadata.name) ? self.spec.template.metadata.name : self.metadata.name) != self.metadata.name + '-kanary'")
        .message("spec.deploymentName: <name>-kanary is the canary itself, not its base; rename this KanaryDeployment, or name the base"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['Succeeded', 'Failed'] || (has(self.spec.deploymentName) ? self.spec.deploymentName : has(self.spec.template.metadata) && has(self.spec.template.metadata.name) ? self.spec.template.metadata.name : self.metadata.name) == (has(oldSelf.spec.deploymentName) ? oldSelf.spec.deploymentName : has(oldSelf.spec.template.metadata) && has(oldSelf.spec.template.metadata.name) ? oldSelf.spec.template.metadata.name : oldSelf.metadata.name)")
        .message("spec.deploymentName: the base cannot change while the canary runs; wait for the end, or delete this KanaryDeployment and create another"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['Succeeded', 'Failed'] || (has(self.spec.template.spec.selector) == has(oldSelf.spec.template.spec.selector) && (!has(self.spec.template.spec.selector) || self.spec.template.spec.selector == oldSelf.spec.template.spec.selector))")
        .message("spec.template.spec.selector: cannot change while the canary runs; wait for the end, or delete this KanaryDeployment and create another")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.traffic) || !has(self.traffic.source) || self.traffic.source == 'none' || has(self.serviceName)")
        .message("spec.serviceName: required for this spec.traffic.source; name the production Service, or use source: none"),
    validation = Rule::new("!has(self.serviceName) || !has(self.traffic) || !has(self.traffic.kanaryService) || self.traffic.kanaryService != self.serviceName")
        .message("spec.traffic.kanaryService: must differ from spec.serviceName, for it selects the canary's pods only")
)]
pub struct KanaryDeploymentSpec {
    /// The base: the production Deployment. Default: `template.metadata.name`, else this resource's name.
    /// If it does not exist at the first run, it is created from the template.
    #[schemars(schema_with = "schema::optional_dns_subdomain")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_name: Option<String>,
    /// The production Service. Required for the traffic sources `service`, `kanary-service`, `both` and `mirror`.
    #[schemars(schema_with = "schema::optional_service_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// The Deployment to try; it becomes the canary and, on success, the base. Fields unknown here are kept.
    #[schemars(schema_with = "schema::template")]
    pub template: Template,
    /// How many canary pods: `static` or `hpa`. Default: one.
    #[serde(default)]
    pub scale: Scale,
    /// Who reaches the canary.
    #[serde(default)]
    pub traffic: Traffic,
    /// Do nothing before this time (RFC 3339). A time in the past means now.
    #[schemars(schema_with = "schema::optional_time")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Timestamp>,
    /// Changing it after the end starts a new run of the same template.
    #[serde(default, rename = "runID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run_id: Option<String>,
    /// How the canary is judged.
    #[serde(default)]
    pub validation: Validation,
}

/// How many canary pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!(has(self.static) && has(self.hpa))")
    .message("spec.scale: give static or hpa, not both"))]
pub struct Scale {
    /// A fixed number of pods.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub fixed: Option<StaticScale>,
    /// A HorizontalPodAutoscaler for the canary: an `autoscaling/v2` spec without `scaleTargetRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa: Option<Hpa>,
}

/// A fixed number of canary pods.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StaticScale {
    /// Canary pods.
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
    /// The most canary pods.
    #[schemars(range(min = 1))]
    pub max_replicas: i32,
    /// The fewest canary pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_replicas: Option<i32>,
    /// Metrics to scale by, as in `autoscaling/v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::opaque_list")]
    pub metrics: Option<Vec<Value>>,
    /// Scaling behaviour, as in `autoscaling/v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::opaque")]
    pub behavior: Option<Value>,
}

/// Who reaches the canary.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// `none`: nobody. `service`: the production Service, as an equal of its pods. `kanary-service`: a Service of its
    /// own. `both`: these two. `mirror`: copies of production requests, through a mesh.
    #[serde(default)]
    pub source: Source,
    /// Name of the Service that selects canary pods only. Default: `<name>-kanary`.
    #[schemars(schema_with = "schema::optional_service_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kanary_service: Option<String>,
    /// Settings of the `mirror` source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// Where the canary's traffic comes from.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Source {
    #[default]
    None,
    Service,
    KanaryService,
    Both,
    Mirror,
}

/// Settings of the `mirror` source.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
// What narrows the other provider's routes narrows nothing: all would carry the mirror.
#[x_kube(
    validation = Rule::new("!has(self.virtualService) || !has(self.provider) || self.provider == 'istio'")
        .message("spec.traffic.mirror.virtualService: needs provider: istio; for gateway-api give httpRoute"),
    validation = Rule::new("!has(self.httpRoute) || has(self.provider) && self.provider == 'gateway-api'")
        .message("spec.traffic.mirror.httpRoute: needs provider: gateway-api; for istio give virtualService")
)]
pub struct Mirror {
    /// Percentage of production requests to copy.
    #[serde(default = "hundred")]
    #[schemars(range(min = 0, max = 100))]
    pub percentage: i32,
    /// Whose routes carry the mirror.
    #[serde(default)]
    pub provider: Provider,
    /// When the mirror counts as on: the route is accepted, or copies were seen to arrive.
    #[serde(default)]
    pub confirm: Confirm,
    /// Copies include writes; true says that you know.
    #[serde(default)]
    pub acknowledge_writes: bool,
    /// Narrow to one VirtualService, and to some of its routes by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<VirtualServiceRef>,
    /// Narrow to one HTTPRoute, and to some of its rules by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRouteRef>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            percentage: hundred(),
            provider: Provider::default(),
            confirm: Confirm::default(),
            acknowledge_writes: false,
            virtual_service: None,
            http_route: None,
        }
    }
}

impl Traffic {
    /// The settings of the `mirror` source, defaults where nothing is said.
    #[must_use]
    pub fn mirror(&self) -> Mirror {
        self.mirror.clone().unwrap_or_default()
    }
}

/// Whose routes carry the mirror.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Provider {
    #[default]
    Istio,
    GatewayApi,
}

/// When a mirror counts as on.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Confirm {
    #[default]
    Accepted,
    Requests,
}

/// A VirtualService, and some of its `http` routes by name.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualServiceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Names of `http` routes; empty means all that lead to the production Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub routes: Vec<String>,
}

/// An HTTPRoute, and some of its rules by name.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpRouteRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Names of rules; empty means all that lead to the production Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub rules: Vec<String>,
}

/// How the canary is judged.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// promQL is not asked for this long after validation began.
    #[serde(default = "no_delay", with = "duration")]
    #[schemars(schema_with = "schema::duration_or_zero")]
    pub initial_delay: SignedDuration,
    /// The canary must be judged for this long.
    #[serde(default = "quarter_of_an_hour", with = "duration")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub validation_period: SignedDuration,
    /// At most this long between two promQL evaluations.
    #[serde(default = "twenty_seconds", with = "duration")]
    #[schemars(schema_with = "schema::interval")]
    pub max_interval_period: SignedDuration,
    /// Judge, but do not touch the base.
    #[serde(default)]
    pub no_update: bool,
    /// When to remove the canary after success.
    #[serde(default)]
    pub cleanup: Cleanup,
    /// A person's word on the whole run, in a place that a merge patch can reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<ManualOverride>,
    /// What must hold. None means one manual item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(i, !has(i.name) || self.exists_one(j, has(j.name) && j.name == i.name))")
        .message("spec.validation.items: two items have the same name; names are unique"))]
    pub items: Vec<Item>,
}

/// When the canary is removed after success.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Cleanup {
    #[default]
    RolloutStarted,
    RolloutComplete,
}

/// A person's word on the whole run.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManualOverride {
    /// What silence means at the deadline, for manual items that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_after_deadline: Option<DefaultStatus>,
    /// `invalid` fails the run; `valid` answers every manual item that has no status of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManualStatus>,
    /// Why; it goes to the status and the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// One thing that must hold: exactly one of `manual`, `labelWatch`, `promQL`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.manual), has(self.labelWatch), has(self.promQL)].filter(x, x).size() == 1")
    .message("spec.validation.items[]: give exactly one of manual, labelWatch, promQL"))]
#[x_kube(validation = Rule::new("!has(self.name) || !self.name.matches('^(manual|labelWatch|promQL)-[0-9]+$')")
    .message("spec.validation.items[].name: <kind>-<number> is the name of an item without one; choose another"))]
pub struct Item {
    /// Default: `<kind>-<index>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// A person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<Manual>,
    /// Nobody put a label of invalidation on a canary pod or the canary Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_watch: Option<LabelWatch>,
    /// A Prometheus query answers true.
    #[serde(default, rename = "promQL", skip_serializing_if = "Option::is_none")]
    pub prom_ql: Option<PromQl>,
}

/// A person's word on one item.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manual {
    /// What silence means at the deadline; `none`: wait for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_after_deadline: Option<DefaultStatus>,
    /// What the person says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ManualStatus>,
}

/// What silence means at the deadline.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum DefaultStatus {
    #[default]
    None,
    Valid,
    Invalid,
}

/// A person's word.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum ManualStatus {
    Valid,
    Invalid,
}

/// Labels that invalidate the canary.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.podInvalidationLabels) || has(self.deploymentInvalidationLabels) || has(self.podInvalidationSelector) || has(self.deploymentInvalidationSelector)")
    .message("spec.validation.items[].labelWatch: say what to watch: podInvalidationLabels, deploymentInvalidationLabels, podInvalidationSelector or deploymentInvalidationSelector"))]
pub struct LabelWatch {
    /// A canary pod that carries all of them is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    pub pod_invalidation_labels: Option<BTreeMap<String, String>>,
    /// The canary Deployment that carries all of them is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    pub deployment_invalidation_labels: Option<BTreeMap<String, String>>,
    /// A canary pod that it selects is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub pod_invalidation_selector: Option<LabelSelector>,
    /// The canary Deployment that it selects is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub deployment_invalidation_selector: Option<LabelSelector>,
}

/// A Prometheus query, and how to read its answer.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.valueInRange), has(self.continuousValueDeviation), has(self.discreteValueOutOfList)].filter(x, x).size() <= 1")
    .message("spec.validation.items[].promQL: give at most one of valueInRange, continuousValueDeviation, discreteValueOutOfList; none means that the query answers true or false"))]
pub struct PromQl {
    /// Which Prometheus. Default: the controller's `--prometheus-url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// A PromQL query; a handlebars template.
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
    /// False answers forgiven in the run, in all.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failure_limit: i32,
    /// Every sample must lie in the range, bounds included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_in_range: Option<ValueInRange>,
    /// Every sample, a ratio to the mean, must lie near 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous_value_deviation: Option<ContinuousValueDeviation>,
    /// The share of samples whose label has a bad value must stay under a tolerance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discrete_value_out_of_list: Option<DiscreteValueOutOfList>,
    /// The label that names the pod.
    #[serde(default = "pod")]
    #[schemars(length(min = 1, max = 128))]
    pub pod_name_key: String,
    /// All samples are one global set.
    #[serde(default)]
    pub all_pods_query: bool,
}

/// How to reach a Prometheus.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.bearerTokenSecretRef) && has(self.basicAuthSecretRef))")
    .message("spec.validation.items[].promQL.prometheus: give bearerTokenSecretRef or basicAuthSecretRef, not both"))]
pub struct Prometheus {
    /// Base URL, http or https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_url")]
    pub url: Option<String>,
    /// A Secret's key with a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret_ref: Option<SecretKeyRef>,
    /// A Secret of type `kubernetes.io/basic-auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth_secret_ref: Option<SecretRef>,
    /// A Secret's key with a PEM bundle of certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: BTreeMap<String, String>,
}

/// A Secret in the same namespace whose type says which keys it has.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A key of a Secret in the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub key: Option<String>,
}

/// Bounds, both included.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("self.min <= self.max")
    .message("spec.validation.items[].promQL.valueInRange: min must not exceed max"))]
pub struct ValueInRange {
    /// The least good value.
    #[serde(default)]
    #[schemars(schema_with = "schema::number")]
    pub min: f64,
    /// The greatest good value.
    #[serde(default = "one_point")]
    #[schemars(schema_with = "schema::number_or_one")]
    pub max: f64,
}

/// Distance from the mean.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContinuousValueDeviation {
    /// A sample v is bad if |1 − v| exceeds this percentage.
    #[schemars(schema_with = "schema::percentage")]
    pub max_deviation_percent: f64,
}

/// Good and bad values of a label.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.goodValues) && self.goodValues.size() > 0) || (has(self.badValues) && self.badValues.size() > 0)")
    .message("spec.validation.items[].promQL.discreteValueOutOfList: give goodValues or badValues"))]
pub struct DiscreteValueOutOfList {
    /// The label to look at.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    /// Bad values; all others are good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub bad_values: Vec<String>,
    /// Good values; all others are bad. Goes before `badValues`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub good_values: Vec<String>,
    /// The share of bad values that is tolerated, in percent.
    #[serde(default)]
    #[schemars(schema_with = "schema::percentage_or_zero")]
    pub tolerance_percent: f64,
}

/// What an item asks for, as the schema guarantees: exactly one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Check<'a> {
    Manual(&'a Manual),
    LabelWatch(&'a LabelWatch),
    PromQl(&'a PromQl),
}

impl Item {
    /// The one kind that is given. An item with none reads as manual: a person must speak.
    #[must_use]
    pub fn check(&self) -> Check<'_> {
        const SILENT: &Manual = &Manual { status_after_deadline: None, status: None };
        match (&self.label_watch, &self.prom_ql) {
            (Some(watch), _) => Check::LabelWatch(watch),
            (None, Some(query)) => Check::PromQl(query),
            (None, None) => Check::Manual(self.manual.as_ref().unwrap_or(SILENT)),
        }
    }
}

impl Check<'_> {
    /// The kind, as the field is spelt.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Check::Manual(_) => "manual",
            Check::LabelWatch(_) => "labelWatch",
            Check::PromQl(_) => "promQL",
        }
    }
}

impl Validation {
    /// The items to judge, with their names; no items means one manual item.
    #[must_use]
    pub fn checks(&self) -> Vec<(String, &Item)> {
        static MANUAL: LazyLock<[Item; 1]> =
            LazyLock::new(|| [Item { manual: Some(Manual::default()), ..Item::default() }]);
        let items = if self.items.is_empty() { MANUAL.as_slice() } else { &self.items };
        let name = |index, item: &Item| item.name.clone().unwrap_or_else(|| format!("{}-{index}", item.check().kind()));
        items.iter().enumerate().map(|(index, item)| (name(index, item), item)).collect()
    }
}

impl Source {
    /// Do the canary's pods join the production Service?
    #[must_use]
    pub fn joins_production(self) -> bool {
        matches!(self, Source::Service | Source::Both)
    }

    /// Does the canary have a Service of its own?
    #[must_use]
    pub fn has_kanary_service(self) -> bool {
        matches!(self, Source::KanaryService | Source::Both | Source::Mirror)
    }

    /// As the field is spelt.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Source::None => "none",
            Source::Service => "service",
            Source::KanaryService => "kanary-service",
            Source::Both => "both",
            Source::Mirror => "mirror",
        }
    }
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            initial_delay: no_delay(),
            validation_period: quarter_of_an_hour(),
            max_interval_period: twenty_seconds(),
            no_update: false,
            cleanup: Cleanup::default(),
            manual: None,
            items: Vec::new(),
        }
    }
}

fn one() -> i32 {
    1
}

fn one_point() -> f64 {
    1.0
}

fn hundred() -> i32 {
    100
}

fn pod() -> String {
    "pod".into()
}

fn no_delay() -> SignedDuration {
    SignedDuration::ZERO
}

fn quarter_of_an_hour() -> SignedDuration {
    SignedDuration::from_mins(15)
}

fn twenty_seconds() -> SignedDuration {
    SignedDuration::from_secs(20)
}
