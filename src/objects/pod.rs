//! Canary pods: labels, readiness, and what they wait for.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};

use super::object::{self, Object};

/// A pod of a canary.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = core::Pod)]
pub struct Pod {
    /// Labels, annotations and ownership.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// As the kubelet and the scheduler report it.
    #[serde(default)]
    pub status: PodStatus,
}

/// Whether a pod is ready, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "RawStatus")]
pub struct PodStatus {
    /// Is its condition `Ready` True, so that Services send traffic to it?
    pub ready: bool,
    /// What a container, or the pod itself, waits for, where that is known.
    pub waiting: Option<WaitingReason>,
    /// The reason of the condition `Ready` while it is not True, also during a normal start: `ContainersNotReady`, …
    pub unready: Option<String>,
}

/// Why a container waits, or why the pod is not scheduled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingReason {
    /// `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, …
    pub reason: String,
    /// Details, or empty.
    pub message: String,
}

impl Object for Pod {
    object::metadata!();
}

/// The status as the API server sends it, or as a dump has it: what it was read from is no longer there.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus {
    ready: Option<bool>,
    waiting: Option<WaitingReason>,
    unready: Option<String>,
    conditions: Option<Vec<Condition>>,
    init_container_statuses: Option<Vec<Container>>,
    container_statuses: Option<Vec<Container>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    state: Option<State>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    waiting: Option<WaitingReason>,
}

impl From<RawStatus> for PodStatus {
    fn from(raw: RawStatus) -> Self {
        if let Some(ready) = raw.ready {
            return Self { ready, waiting: raw.waiting, unready: raw.unready };
        }
        let mut conditions = raw.conditions.unwrap_or_default();
        let mut take = |type_: &str| {
            let at = conditions.iter().position(|condition| condition.type_ == type_)?;
            Some(conditions.swap_remove(at))
        };
        let (readiness, scheduling) = (take("Ready"), take("PodScheduled"));
        if readiness.as_ref().is_some_and(|condition| condition.status == "True") {
            return Self { ready: true, waiting: None, unready: None };
        }
        let containers = [raw.init_container_statuses, raw.container_statuses].into_iter().flatten().flatten();
        let unscheduled = scheduling.filter(|condition| condition.status == "False");
        Self {
            ready: false,
            waiting: waiting(containers).or_else(|| unscheduled.map(Condition::waiting)),
            unready: readiness.and_then(|condition| condition.reason).filter(|reason| !reason.is_empty()),
        }
    }
}

impl Condition {
    fn waiting(self) -> WaitingReason {
        WaitingReason { reason: self.reason.unwrap_or_default(), message: self.message.unwrap_or_default() }
    }
}

/// The first container that waits for anything but its ordinary start.
fn waiting(mut containers: impl Iterator<Item = Container>) -> Option<WaitingReason> {
    const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
    containers.find_map(|container| {
        let waiting = container.state?.waiting?;
        (!ORDINARY.contains(&waiting.reason.as_str())).then_some(waiting)
    })
}
