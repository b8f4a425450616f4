//! Canary pods: labels, readiness, and what keeps them from it.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};

use super::{Object, prune_meta};

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
#[serde(from = "Said")]
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
#[serde(default)]
pub struct Trouble {
    /// `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, …
    pub reason: String,
    /// More, if there is more.
    pub message: String,
}

impl Object for Pod {
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

/// The status as the API server sends it; or as it is dumped, for it cannot be judged again by what was dropped.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    ready: Option<bool>,
    trouble: Option<Trouble>,
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
    waiting: Option<Trouble>,
}

impl From<Said> for PodStatus {
    fn from(said: Said) -> Self {
        if let Some(ready) = said.ready {
            return Self { ready, trouble: said.trouble, unready: said.unready };
        }
        let mut conditions = said.conditions.unwrap_or_default();
        let mut take = |type_: &str| {
            let at = conditions.iter().position(|condition| condition.type_ == type_)?;
            Some(conditions.swap_remove(at))
        };
        let (readiness, scheduling) = (take("Ready"), take("PodScheduled"));
        if readiness.as_ref().is_some_and(|condition| condition.status == "True") {
            return Self { ready: true, trouble: None, unready: None };
        }
        let containers = [said.init_container_statuses, said.container_statuses].into_iter().flatten().flatten();
        let unscheduled = scheduling.filter(|condition| condition.status == "False");
        Self {
            ready: false,
            trouble: waiting(containers).or_else(|| unscheduled.map(Condition::trouble)),
            unready: readiness.and_then(|condition| condition.reason).filter(|reason| !reason.is_empty()),
        }
    }
}

impl Condition {
    fn trouble(self) -> Trouble {
        Trouble { reason: self.reason.unwrap_or_default(), message: self.message.unwrap_or_default() }
    }
}

/// A container that waits for more than its turn.
fn waiting(mut containers: impl Iterator<Item = Container>) -> Option<Trouble> {
    const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
    containers.find_map(|container| {
        let trouble = container.state?.waiting?;
        (!ORDINARY.contains(&trouble.reason.as_str())).then_some(trouble)
    })
}
