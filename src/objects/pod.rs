//! Canary pods: labels, readiness, and what they wait for.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};

use super::{
    object::{self, Object},
    ports::DeclaredPort,
};
use crate::api::text::clip;

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
    #[serde(default, rename = "spec", deserialize_with = "super::ports::read")]
    pub ports: Vec<DeclaredPort>,
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
    pub container: String,
    /// How often it was started again.
    pub restarts: i64,
    /// Its exit code.
    pub code: i64,
    /// `Error`, `OOMKilled`, …
    pub reason: String,
    /// What it wrote to its termination log, clipped.
    pub message: String,
}

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
    pub reason: String,
    /// Details, clipped, or empty.
    pub message: String,
    /// Name of the container; empty if it is the pod that waits.
    pub container: String,
}

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
}

/// The status as the API server sends it, or as a dump has it: what it was read from is no longer there.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus {
    ready: Option<bool>,
    waiting: Option<WaitingReason>,
    unready: Option<String>,
    crash: Option<Crash>,
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
#[serde(rename_all = "camelCase")]
struct Container {
    name: String,
    restart_count: i64,
    state: Option<State>,
    last_state: Option<State>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    waiting: Option<WaitingReason>,
    terminated: Option<Terminated>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i64,
    reason: Option<String>,
    message: Option<String>,
}

impl From<RawStatus> for PodStatus {
    fn from(raw: RawStatus) -> Self {
        if let Some(ready) = raw.ready {
            return Self { ready, waiting: raw.waiting, unready: raw.unready, crash: raw.crash };
        }
        let mut conditions = raw.conditions.unwrap_or_default();
        let mut take = |type_: &str| {
            let at = conditions.iter().position(|condition| condition.type_ == type_)?;
            Some(conditions.swap_remove(at))
        };
        let (readiness, scheduling) = (take("Ready"), take("PodScheduled"));
        if readiness.as_ref().is_some_and(|condition| condition.status == "True") {
            return Self { ready: true, ..Self::default() };
        }
        let statuses = [raw.init_container_statuses, raw.container_statuses];
        let mut containers: Vec<Container> = statuses.into_iter().flatten().flatten().collect();
        let crash = containers.iter_mut().find_map(crash);
        let unscheduled = scheduling.filter(|condition| condition.status == "False");
        Self {
            ready: false,
            waiting: waiting(containers.into_iter()).or_else(|| unscheduled.map(Condition::waiting)),
            unready: readiness.and_then(|condition| condition.reason).filter(|reason| !reason.is_empty()),
            crash,
        }
    }
}

impl Condition {
    fn waiting(self) -> WaitingReason {
        let message = clip(&self.message.unwrap_or_default(), LONGEST);
        WaitingReason { reason: self.reason.unwrap_or_default(), message, container: String::new() }
    }
}

/// The first container that waits for anything but its ordinary start.
fn waiting(mut containers: impl Iterator<Item = Container>) -> Option<WaitingReason> {
    const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
    containers.find_map(|container| {
        let waiting = container.state?.waiting?;
        if ORDINARY.contains(&waiting.reason.as_str()) {
            return None;
        }
        let message = clip(&waiting.message, LONGEST);
        Some(WaitingReason { message, container: container.name, ..waiting })
    })
}

/// Of a container that was started again, or that will be.
fn crash(container: &mut Container) -> Option<Crash> {
    let ends = [container.state.as_mut(), container.last_state.as_mut()].into_iter().flatten();
    let end = ends.filter_map(|state| state.terminated.take()).find(|end| end.exit_code != 0)?;
    Some(Crash {
        container: container.name.clone(),
        restarts: container.restart_count,
        code: end.exit_code,
        reason: end.reason.unwrap_or_default(),
        message: clip(end.message.unwrap_or_default().trim(), LONGEST),
    })
}
