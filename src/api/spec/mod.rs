//! The fields of `spec`, with their defaults and the CEL rules that the API server enforces; each section in a file.
//!
//! A rule's message is what a user reads when `kubectl apply` is rejected: it names the field and the fix.

mod prom_ql;
mod scale;
mod traffic;
mod validation;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
pub use prom_ql::{
    ContinuousValueDeviation, DiscreteValueOutOfList, PromQl, Prometheus, SecretKeyRef, SecretRef, ValueInRange,
};
pub use scale::{Hpa, Scale, StaticScale};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
pub use traffic::{Confirm, HttpRouteRef, Mirror, Provider, Source, Traffic, VirtualServiceRef};
pub use validation::{
    Cleanup, DefaultStatus, Item, ItemKind, LabelWatch, Manual, ManualOverride, ManualStatus, Validation,
};

use super::{schema, status::KanaryDeploymentStatus, template::Template};

/// A canary: the Deployment to test, how many pods it has, which requests reach it, and how it is evaluated.
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
    doc = "A canary of a Deployment, and how it is validated before it is promoted.",
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
        .message("metadata.name: must be a DNS label (lower-case letters, digits, '-') of at most 56 characters, because the canary is named <name>-kanary"),
    validation = Rule::new("!has(self.spec.traffic) || !has(self.spec.traffic.source) || !(self.spec.traffic.source in ['kanary-service', 'both', 'mirror']) || has(self.spec.traffic.kanaryService) || self.metadata.name.matches('^[a-z].*$')")
        .message("spec.traffic.kanaryService: required when metadata.name begins with a digit, because the name of a Service begins with a letter"),
    validation = Rule::new("has(self.spec.serviceName) && has(self.spec.traffic) && !has(self.spec.traffic.kanaryService) ? self.spec.serviceName != self.metadata.name + '-kanary' : true")
        .message("spec.traffic.kanaryService: the default <name>-kanary is the production Service itself; set another name"),
    validation = Rule::new("(has(self.spec.deploymentName) ? self.spec.deploymentName : has(self.spec.template.metadata) && has(self.spec.template.metadata.name) ? self.spec.template.metadata.name : self.metadata.name) != self.metadata.name + '-kanary'")
        .message("spec.deploymentName: <name>-kanary is the canary itself, not its base; rename this KanaryDeployment, or name the base"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['Succeeded', 'Failed'] || (has(self.spec.deploymentName) ? self.spec.deploymentName : has(self.spec.template.metadata) && has(self.spec.template.metadata.name) ? self.spec.template.metadata.name : self.metadata.name) == (has(oldSelf.spec.deploymentName) ? oldSelf.spec.deploymentName : has(oldSelf.spec.template.metadata) && has(oldSelf.spec.template.metadata.name) ? oldSelf.spec.template.metadata.name : oldSelf.metadata.name)")
        .message("spec.deploymentName: the base cannot change during a run; wait until the run has ended, or delete this KanaryDeployment and create another"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in ['Succeeded', 'Failed'] || (has(self.spec.template.spec.selector) == has(oldSelf.spec.template.spec.selector) && (!has(self.spec.template.spec.selector) || self.spec.template.spec.selector == oldSelf.spec.template.spec.selector))")
        .message("spec.template.spec.selector: cannot change during a run; wait until the run has ended, or delete this KanaryDeployment and create another")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.traffic) || !has(self.traffic.source) || self.traffic.source == 'none' || has(self.serviceName)")
        .message("spec.serviceName: required for this spec.traffic.source; name the production Service, or use source: none"),
    validation = Rule::new("!has(self.serviceName) || !has(self.traffic) || !has(self.traffic.kanaryService) || self.traffic.kanaryService != self.serviceName")
        .message("spec.traffic.kanaryService: must differ from spec.serviceName, because it selects only canary pods")
)]
pub struct KanaryDeploymentSpec {
    /// Name of the base, the production Deployment. Default: `template.metadata.name`, else the name of this resource.
    /// If it does not exist at the first run, it is created from the template.
    #[schemars(schema_with = "schema::optional_dns_subdomain")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_name: Option<String>,
    /// Create a missing base also where production seems to be there under another name. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_base: bool,
    /// Name of the production Service. Required unless `traffic.source` is `none`.
    #[schemars(schema_with = "schema::optional_service_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Template of the Deployment to test: of the canary and, after success, of the base. Unlisted fields are kept.
    #[schemars(schema_with = "schema::template")]
    pub template: Template,
    /// Number of canary pods: `static` or `hpa`. Default: one pod.
    #[serde(default)]
    pub scale: Scale,
    /// Which requests reach the canary.
    #[serde(default)]
    pub traffic: Traffic,
    /// Start no earlier than this time (RFC 3339). Default: at once.
    #[schemars(schema_with = "schema::optional_time")]
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "schedule")]
    pub schedule: Option<Timestamp>,
    /// Change it after a run has ended to start another run of the same template.
    #[serde(default, rename = "runID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run_id: Option<String>,
    /// How the canary is evaluated.
    #[serde(default)]
    pub validation: Validation,
}

/// The last day of the year 9999 is a time to the API server, and the end of time here.
fn schedule<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    match text.parse() {
        Err(_) if text.starts_with("9999-12-3") => Ok(Some(Timestamp::MAX)),
        parsed => parsed.map(Some).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schedule_at_the_end_of_time_is_read() {
        let spec = |schedule: &str| {
            serde_json::from_value::<KanaryDeploymentSpec>(json!({"template": {}, "schedule": schedule}))
        };
        assert_eq!(spec("9999-12-31T23:59:59Z").expect("it is read").schedule, Some(Timestamp::MAX));
        assert_eq!(spec("1970-01-01T00:00:00Z").expect("it is read").schedule, Some(Timestamp::UNIX_EPOCH));
        assert!(spec("soon").is_err());
    }

    #[test]
    fn when_a_verdict_was_given_is_read_if_it_can_be() {
        for at in
            ["2026-01-01T00:00:00+99:00", "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "2016-12-31T23:59:60Z", ""]
        {
            let manual = json!({"status": "valid", "at": at});
            let read: KanaryDeploymentSpec =
                serde_json::from_value(json!({"template": {}, "validation": {"manual": manual}})).expect("it is read");
            assert_eq!(
                read.validation.manual.and_then(|manual| manual.status),
                Some(crate::api::ManualStatus::Valid),
                "{at}"
            );
        }
    }
}
