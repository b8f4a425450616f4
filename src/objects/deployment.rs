//! Deployments: bases and canaries. Of the pod template only its labels and its hash are kept.

use k8s_openapi::{
    api::apps::v1 as apps,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    custom_resource::last_manager,
    labels::Labels,
    lenient::{expected_map, or_default},
    object::{self, Object, prune_meta},
    ports::{DeclaredPort, of_pod_spec},
};
use crate::hash;

/// A Deployment: a base, or a canary.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = apps::Deployment)]
pub struct Deployment {
    /// Labels, annotations, generation and ownership.
    #[serde(deserialize_with = "super::metadata::read_with_writers")]
    pub metadata: ObjectMeta,
    /// Replicas, selector and pod template.
    #[serde(default)]
    pub spec: DeploymentSpec,
    /// As the Deployment controller reports it.
    #[serde(default)]
    pub status: DeploymentStatus,
    /// The field manager that last wrote its pod template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_manager: Option<String>,
}

/// What is read of the spec of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Dump")]
pub struct DeploymentSpec {
    /// Desired number of pods.
    pub replicas: i32,
    /// Is its rollout paused?
    pub paused: bool,
    /// Selects the pods that belong to it.
    pub selector: LabelSelector,
    /// The template of its pods.
    pub template: PodTemplate,
    /// Hash of the whole spec but `replicas`, which autoscalers write.
    pub hash: String,
}

/// What is read of a pod template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodTemplate {
    /// Labels of the pods.
    pub labels: Labels,
    /// Ports that its containers declare.
    #[serde(default)]
    pub ports: Vec<DeclaredPort>,
    /// Hash of the whole template.
    pub hash: String,
}

/// How far the Deployment controller is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// The generation of the spec that this status is about.
    #[serde(deserialize_with = "or_default")]
    pub observed_generation: i64,
    /// Number of pods, of any template.
    #[serde(deserialize_with = "or_default")]
    pub replicas: i32,
    /// Number of pods of the current template.
    #[serde(deserialize_with = "or_default")]
    pub updated_replicas: i32,
    /// Number of ready pods.
    #[serde(deserialize_with = "or_default")]
    pub ready_replicas: i32,
    /// Number of pods that have been ready for `minReadySeconds`.
    #[serde(deserialize_with = "or_default")]
    pub available_replicas: i32,
    /// `Progressing`, `ReplicaFailure` and `Available`. The last is True with no ready pod at `maxUnavailable: 100%`.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<DeploymentCondition>,
}

/// One condition of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentCondition {
    /// `Available`, `Progressing` or `ReplicaFailure`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    /// For machines, in `CamelCase`.
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    /// For people.
    #[serde(deserialize_with = "or_default")]
    pub message: String,
}
expected_map!(DeploymentCondition);

/// How far a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Every replica is updated and available, and there is one at least.
    Full,
    /// Some replicas are not updated or not available.
    Partial {
        /// Updated replicas that are available.
        available: i32,
        /// Desired replicas.
        wanted: i32,
    },
}

impl Deployment {
    /// Counts pods; the Deployment's own `Available` condition does not prove any.
    #[must_use]
    pub fn availability(&self) -> Availability {
        let (status, wanted) = (&self.status, self.spec.replicas);
        let settled = self.is_observed() && status.replicas == wanted && status.updated_replicas == wanted;
        if settled && status.available_replicas >= wanted && wanted >= 1 {
            return Availability::Full;
        }
        let available = if self.is_observed() { status.available_replicas.min(status.updated_replicas) } else { 0 };
        Availability::Partial { available, wanted }
    }

    /// Has the Deployment controller seen the current spec?
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.status.observed_generation >= self.metadata.generation.unwrap_or_default()
    }

    /// Has it begun to create pods of the current template? At zero replicas there is nothing to begin.
    #[must_use]
    pub fn has_begun_rollout(&self) -> bool {
        self.is_observed() && (self.status.updated_replicas > 0 || self.spec.replicas == 0)
    }

    /// Is every replica updated and available? Zero replicas are complete at once.
    #[must_use]
    pub fn has_completed_rollout(&self) -> bool {
        let at_rest = self.is_observed() && self.spec.replicas == 0 && self.status.replicas == 0;
        at_rest || self.availability() == Availability::Full
    }

    /// Why its rollout does not progress, if the Deployment controller reports so.
    #[must_use]
    pub fn stall(&self) -> Option<&str> {
        if !self.is_observed() {
            return None;
        }
        let is_stall = |condition: &&DeploymentCondition| {
            matches!(
                (condition.type_.as_str(), condition.status.as_str()),
                ("Progressing", "False") | ("ReplicaFailure", "True")
            )
        };
        self.status.conditions.iter().find(is_stall).map(|condition| condition.message.as_str())
    }

    /// Why no pod can be created: quota, admission.
    #[must_use]
    pub fn replica_failure(&self) -> Option<&str> {
        let failed = |c: &&DeploymentCondition| c.type_ == "ReplicaFailure" && c.status == "True";
        self.status.conditions.iter().find(failed).map(|condition| condition.message.as_str())
    }
}

impl PodTemplate {
    /// Reads a pod template.
    #[must_use]
    pub fn of(template: &Value) -> Self {
        let labels = template.pointer("/metadata/labels").cloned().unwrap_or_default();
        Self {
            labels: serde_json::from_value(labels).unwrap_or_default(),
            ports: template.get("spec").map(of_pod_spec).unwrap_or_default(),
            hash: hash::of(template),
        }
    }
}

impl Object for Deployment {
    object::metadata!();

    fn spec_hash(&self) -> Option<&str> {
        Some(&self.spec.hash)
    }

    fn prune(&mut self) {
        // What comes from a dump is pruned already.
        self.last_manager = last_manager(&self.metadata, "/f:spec/f:template").or(self.last_manager.take());
        prune_meta(&mut self.metadata);
        if self.kanary_owners().next().is_none() {
            // Only whether there are any: a JSON patch cannot add to a map that is not there.
            if let Some(labels) = &mut self.metadata.labels {
                labels.clear();
            }
        }
    }
}

impl From<Value> for DeploymentSpec {
    fn from(mut value: Value) -> Self {
        if let Some(dump) = value.get_mut("seen") {
            return serde_json::from_value::<Facts>(dump.take()).unwrap_or_default().into();
        }
        let replicas = value.get("replicas").and_then(Value::as_i64).unwrap_or(1);
        if let Some(spec) = value.as_object_mut() {
            spec.remove("replicas");
        }
        let read = |path: &str| value.pointer(path).cloned().unwrap_or_default();
        Self {
            replicas: i32::try_from(replicas).unwrap_or(i32::MAX),
            paused: read("/paused").as_bool().unwrap_or_default(),
            selector: serde_json::from_value(read("/selector")).unwrap_or_default(),
            template: PodTemplate::of(&read("/template")),
            hash: hash::of(&value),
        }
    }
}

/// How a spec that was seen is dumped: marked, because the hash cannot be taken again of what was dropped.
#[derive(Serialize)]
struct Dump {
    seen: Facts,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Facts {
    replicas: i32,
    paused: bool,
    selector: LabelSelector,
    template: PodTemplate,
    hash: String,
}

impl From<DeploymentSpec> for Dump {
    fn from(DeploymentSpec { replicas, paused, selector, template, hash }: DeploymentSpec) -> Self {
        Dump { seen: Facts { replicas, paused, selector, template, hash } }
    }
}

impl From<Facts> for DeploymentSpec {
    fn from(Facts { replicas, paused, selector, template, hash }: Facts) -> Self {
        DeploymentSpec { replicas, paused, selector, template, hash }
    }
}
