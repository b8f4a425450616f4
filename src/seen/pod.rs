//! Canary pods: labels, readiness, and what keeps them from it.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Seen, prune_meta};

/// A pod.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = core::Pod)]
pub struct Pod {
    /// Its metadata.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// What the kubelet and the scheduler say.
    #[serde(default)]
    pub status: PodStatus,
}

/// What the kubelet and the scheduler say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct PodStatus {
    /// Does it take traffic?
    pub ready: bool,
    /// What keeps it from being ready, where that is known.
    pub trouble: Option<Trouble>,
    /// In one word why it is not ready, for as long as it starts, too: `ContainersNotReady`, …
    pub unready: Option<String>,
}

/// What keeps a pod from being ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, …
    pub reason: String,
    /// More, if there is more.
    pub message: String,
}

impl Seen for Pod {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
    }
}

impl From<Value> for PodStatus {
    fn from(value: Value) -> Self {
        let is_dump = value.get("ready").is_some();
        if is_dump {
            let trouble = value.get("trouble").cloned().unwrap_or_default();
            return Self {
                ready: value["ready"].as_bool().unwrap_or_default(),
                trouble: serde_json::from_value(trouble).unwrap_or_default(),
                unready: value["unready"].as_str().map(str::to_owned),
            };
        }
        let said = condition(&value, "Ready");
        let ready = said.is_some_and(|condition| condition["status"] == "True");
        let trouble = if ready { None } else { waiting(&value).or_else(|| unschedulable(&value)) };
        let unready =
            said.and_then(|condition| condition["reason"].as_str()).filter(|reason| !ready && !reason.is_empty());
        Self { ready, trouble, unready: unready.map(str::to_owned) }
    }
}

fn list<'a>(status: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    status.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn condition<'a>(status: &'a Value, type_: &str) -> Option<&'a Value> {
    list(status, "conditions").find(|condition| condition["type"] == type_)
}

/// A container that waits for more than its turn.
fn waiting(status: &Value) -> Option<Trouble> {
    const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
    list(status, "initContainerStatuses")
        .chain(list(status, "containerStatuses"))
        .filter_map(|container| container.pointer("/state/waiting"))
        .map(trouble)
        .find(|trouble| !ORDINARY.contains(&trouble.reason.as_str()))
}

fn unschedulable(status: &Value) -> Option<Trouble> {
    condition(status, "PodScheduled").filter(|condition| condition["status"] == "False").map(trouble)
}

fn trouble(value: &Value) -> Trouble {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    Trouble { reason: text("reason"), message: text("message") }
}
