//! Canary pods: labels, readiness, and what they wait for.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};

use super::{
    lenient::{Lenient, expected_map, or_default},
    object::{self, Object},
    ports::PodPorts,
};
use crate::api::{
    names,
    text::{bound_to, clip},
};

/// The most bytes of what a kubelet, a scheduler or a container says that are kept.
const LONGEST: usize = 400;

/// A pod of a canary.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = core::Pod)]
pub struct Pod {
    /// Labels, annotations and ownership.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// Ports that its containers declare, those of injected sidecars too.
    #[serde(default, rename = "spec")]
    pub ports: PodPorts,
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
    /// How a container of a pod that is not ready ended last, if it failed.
    pub crash: Option<Crash>,
}

/// The last end of a container that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Crash {
    /// Name of the container.
    #[serde(deserialize_with = "or_default")]
    pub container: String,
    /// How often it was started again.
    #[serde(deserialize_with = "or_default")]
    pub restarts: i64,
    /// Its exit code.
    #[serde(deserialize_with = "or_default")]
    pub code: i64,
    /// `Error`, `OOMKilled`, …
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    /// What it wrote to its termination log, clipped.
    #[serde(deserialize_with = "or_default")]
    pub message: String,
}
expected_map!(Crash);

impl Crash {
    /// How it ended; the same after each restart.
    #[must_use]
    pub fn words(&self) -> String {
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        format!("container {} exited with code {} ({}){message}", self.container, self.code, self.reason)
    }
}

/// Why a container waits, or why the pod is not scheduled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingReason {
    /// `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, …
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    /// Details, clipped, or empty.
    #[serde(deserialize_with = "or_default")]
    pub message: String,
    /// Name of the container; empty if it is the pod that waits.
    #[serde(deserialize_with = "or_default")]
    pub container: String,
}
expected_map!(WaitingReason);

impl WaitingReason {
    /// Reason and details.
    #[must_use]
    pub fn words(&self) -> String {
        let container =
            if self.container.is_empty() { String::new() } else { format!("container {}: ", self.container) };
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        format!("{container}{}{message}", self.reason)
    }
}

impl Object for Pod {
    object::metadata!();

    /// A pod's owner is its ReplicaSet.
    fn canary(&self) -> Option<&str> {
        self.label(names::CANARY_LABEL)
    }
}

/// The status as the API server sends it, or as a dump has it: what it was read from is no longer there.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus {
    ready: Lenient<bool>,
    waiting: Lenient<WaitingReason>,
    unready: Lenient<String>,
    crash: Lenient<Crash>,
    conditions: Lenient<Vec<Condition>>,
    init_container_statuses: Lenient<Vec<Container>>,
    container_statuses: Lenient<Vec<Container>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type", deserialize_with = "or_default")]
    type_: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
    reason: Lenient<String>,
    message: Lenient<String>,
}
expected_map!(Condition);

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    restart_count: i64,
    state: Lenient<State>,
    last_state: Lenient<State>,
}
expected_map!(Container);

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    waiting: Lenient<WaitingReason>,
    terminated: Lenient<Terminated>,
}
expected_map!(State);

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    #[serde(deserialize_with = "or_default")]
    exit_code: i64,
    reason: Lenient<String>,
    message: Lenient<String>,
}
expected_map!(Terminated);

impl From<RawStatus> for PodStatus {
    fn from(raw: RawStatus) -> Self {
        if let Some(ready) = raw.ready.0 {
            return Self { ready, waiting: raw.waiting.0, unready: raw.unready.0, crash: raw.crash.0 };
        }
        let mut conditions = raw.conditions.0.unwrap_or_default();
        let mut take = |type_: &str| {
            let at = conditions.iter().position(|condition| condition.type_ == type_)?;
            Some(conditions.swap_remove(at))
        };
        let (readiness, scheduling) = (take("Ready"), take("PodScheduled"));
        if readiness.as_ref().is_some_and(|condition| condition.status == "True") {
            return Self { ready: true, ..Self::default() };
        }
        let statuses = [raw.init_container_statuses.0, raw.container_statuses.0];
        let mut containers: Vec<Container> = statuses.into_iter().flatten().flatten().collect();
        let crash = containers.iter_mut().find_map(crash);
        let unscheduled = scheduling.filter(|condition| condition.status == "False");
        Self {
            ready: false,
            waiting: waiting(containers.into_iter()).or_else(|| unscheduled.map(Condition::waiting)),
            unready: readiness
                .and_then(|condition| condition.reason.0)
                .filter(|reason| !reason.is_empty())
                .map(clipped),
            crash,
        }
    }
}

impl Condition {
    fn waiting(self) -> WaitingReason {
        let text = |Lenient(text): Lenient<String>| clipped(text.unwrap_or_default());
        WaitingReason { reason: text(self.reason), message: text(self.message), container: String::new() }
    }
}

/// Anybody who may write the status of a pod may write a megabyte.
fn clipped(mut text: String) -> String {
    bound_to(&mut text, LONGEST);
    text
}

/// The first container that waits for anything but its ordinary start.
fn waiting(mut containers: impl Iterator<Item = Container>) -> Option<WaitingReason> {
    const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
    containers.find_map(|container| {
        let waiting = container.state.0?.waiting.0?;
        if ORDINARY.contains(&waiting.reason.as_str()) {
            return None;
        }
        let WaitingReason { reason, message, .. } = waiting;
        Some(WaitingReason { reason: clipped(reason), message: clipped(message), container: clipped(container.name) })
    })
}

/// Of a container that was started again, or that will be.
fn crash(container: &mut Container) -> Option<Crash> {
    let ends = [container.state.0.as_mut(), container.last_state.0.as_mut()].into_iter().flatten();
    let end = ends.filter_map(|state| state.terminated.0.take()).find(|end| end.exit_code != 0)?;
    Some(Crash {
        container: clip(&container.name, LONGEST),
        restarts: container.restart_count,
        code: end.exit_code,
        reason: clipped(end.reason.0.unwrap_or_default()),
        message: clip(end.message.0.unwrap_or_default().trim(), LONGEST),
    })
}
