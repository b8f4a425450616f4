//! Deployments: bases and canaries. Of the pod template only its labels and its hash are kept.

use k8s_openapi::{
    api::apps::v1 as apps,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Labels, Object, custom_resource::writer, prune_meta};
use crate::hash;

/// A Deployment.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = apps::Deployment)]
pub struct Deployment {
    /// Its metadata.
    #[serde(deserialize_with = "super::metadata::read_with_writers")]
    pub metadata: ObjectMeta,
    /// What is asked of it.
    #[serde(default)]
    pub spec: DeploymentSpec,
    /// What its controller says.
    #[serde(default)]
    pub status: DeploymentStatus,
    /// The field manager that last wrote its pod template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
}

/// What is asked of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Dump")]
pub struct DeploymentSpec {
    /// Pods.
    pub replicas: i32,
    /// Is its rollout stopped?
    pub paused: bool,
    /// The pods that it takes for its own.
    pub selector: LabelSelector,
    /// What its pods look like.
    pub template: PodTemplate,
    /// Hash of the whole spec but `replicas`, which autoscalers write.
    pub hash: String,
}

/// What a Deployment's pods look like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodTemplate {
    /// Their labels.
    pub labels: Labels,
    /// Hash of the whole template.
    pub hash: String,
}

/// What the Deployment controller says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// The generation that it answers.
    pub observed_generation: i64,
    /// Pods, of any template.
    pub replicas: i32,
    /// Pods of the present template.
    pub updated_replicas: i32,
    /// Ready pods.
    pub ready_replicas: i32,
    /// Pods that have been ready for `minReadySeconds`.
    pub available_replicas: i32,
    /// `Progressing`, `ReplicaFailure` and `Available`. The last is True with no ready pod at `maxUnavailable: 100%`.
    pub conditions: Vec<DeploymentCondition>,
}

/// One condition of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentCondition {
    /// Of what.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// How far a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Every replica is updated and available, and there is one at least.
    Full,
    /// Not yet, or no longer.
    Partial {
        /// Updated replicas that are available.
        available: i32,
        /// Replicas asked for.
        wanted: i32,
    },
}

impl Deployment {
    /// Counts pods; the Deployment's own `Available` condition is no proof of any.
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

    /// Has the Deployment controller seen the present spec?
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.status.observed_generation >= self.metadata.generation.unwrap_or_default()
    }

    /// Has it begun to make pods of the present template? At zero replicas there is nothing to begin.
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

    /// Why its rollout does not go on, if the Deployment controller gave up on it.
    #[must_use]
    pub fn stall(&self) -> Option<&str> {
        let stalled = |c: &&DeploymentCondition| {
            (c.type_ == "Progressing" && c.status == "False") || (c.type_ == "ReplicaFailure" && c.status == "True")
        };
        let condition = self.status.conditions.iter().find(stalled).filter(|_| self.is_observed());
        condition.map(|condition| condition.message.as_str())
    }

    /// Why no pod can be made: quota, admission.
    #[must_use]
    pub fn replica_failure(&self) -> Option<&str> {
        let failed = |c: &&DeploymentCondition| c.type_ == "ReplicaFailure" && c.status == "True";
        self.status.conditions.iter().find(failed).map(|condition| condition.message.as_str())
    }
}

impl Object for Deployment {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn prune(&mut self) {
        // What comes from a dump is pruned already.
        self.writer = writer(&self.metadata, "/f:spec/f:template").or(self.writer.take());
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
            template: PodTemplate {
                labels: serde_json::from_value(read("/template/metadata/labels")).unwrap_or_default(),
                hash: hash::of(&read("/template")),
            },
            hash: hash::of(&value),
        }
    }
}

/// How a spec that was seen is dumped: marked, for a hash cannot be taken again of what was dropped.
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
