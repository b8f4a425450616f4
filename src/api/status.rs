//! What the controller tells: `status`. It carries the whole story of a run, errors included.
//!
//! The controller also decides by it: what is persisted here (phase, pin, clock) is what it acts on.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, IntoStaticStr};

use super::{Reason, duration, schema};

/// The state of the run.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KanaryDeploymentStatus {
    /// The generation of the spec that this status answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where in its life the run is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// One sentence: what happens now, or why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The story as conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Which try this is, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// `spec.runID` of this run.
    #[serde(rename = "runID", skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Hash of `spec.template` of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_hash: Option<String>,
    /// The base as it was when the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseStatus>,
    /// What the run made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStatus>,
    /// When the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the canary was available and its traffic on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_started_at: Option<Timestamp>,
    /// The evidence counts from here: the start of validation, or the last edit of an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_since: Option<Timestamp>,
    /// How long, since then, the canary could not be judged. It moves the deadline.
    #[serde(with = "duration", skip_serializing_if = "SignedDuration::is_zero")]
    #[schemars(schema_with = "schema::plain_string")]
    pub held: SignedDuration,
    /// The canary cannot be judged since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
    /// The time before it is accounted for: absences of the controller up to here are in `held`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounted_until: Option<Timestamp>,
    /// When the period ends, as things stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When the verdict was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_at: Option<Timestamp>,
    /// When nothing of the canary was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What each item says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub items: Vec<ItemStatus>,
    /// The columns of `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

impl KanaryDeploymentStatus {
    /// A condition by its type.
    #[must_use]
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Is this condition True?
    #[must_use]
    pub fn is_true(&self, type_: ConditionType) -> bool {
        self.condition(type_).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// What keeps the run from going on: a change that a user must make, or the last request, which failed.
    #[must_use]
    pub fn problem(&self) -> Option<&Condition> {
        let stalled = self.condition(ConditionType::Stalled).filter(|stalled| stalled.status == ConditionStatus::True);
        let reconciling = self.condition(ConditionType::Reconciling);
        stalled.or_else(|| reconciling.filter(|reconciling| reconciling.reason == Reason::RequestFailed))
    }

    /// From here on the period counts, but for the time that the clock stands still. The initial delay is over then; an
    /// edit does not begin it anew.
    #[must_use]
    pub fn judged_from(&self, initial_delay: SignedDuration) -> Option<Timestamp> {
        let since = self.evidence_since?;
        let begun = self.validation_started_at.unwrap_or(since);
        Some(begun.saturating_add(initial_delay).unwrap_or(Timestamp::MAX).max(since))
    }
}

/// Where in its life a run is.
#[derive(
    JsonSchema,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    IntoStaticStr,
)]
pub enum Phase {
    /// Waits for `spec.schedule`.
    Scheduled,
    /// The canary is being made.
    Starting,
    /// The canary is being judged.
    Validating,
    /// The verdict is success; the base gets the template.
    Promoting,
    /// The verdict is failure; the canary leaves production.
    Failing,
    /// Over: the template is proven, nothing of the canary is left.
    Succeeded,
    /// Over: the template failed, nothing of the canary is left.
    Failed,
}

impl Phase {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The phase as the reason of a condition or an event.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Phase::Scheduled => Reason::Scheduled,
            Phase::Starting => Reason::Starting,
            Phase::Validating => Reason::Validating,
            Phase::Promoting => Reason::Promoting,
            Phase::Failing => Reason::Failing,
            Phase::Succeeded => Reason::Succeeded,
            Phase::Failed => Reason::Failed,
        }
    }

    /// Is the run over?
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// The types of our conditions.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, EnumIter)]
pub enum ConditionType {
    /// The time of `spec.schedule` has come.
    Scheduled,
    /// Every canary pod is updated and available.
    CanaryReady,
    /// The traffic that the source asks for reaches the canary.
    Traffic,
    /// The canary is being judged.
    Running,
    /// The verdict is success.
    Succeeded,
    /// The verdict is failure.
    Failed,
    /// The base has the template.
    DeploymentUpdated,
    /// The run succeeded.
    Ready,
    /// The run is under way.
    Reconciling,
    /// A user must change something, or the run failed.
    Stalled,
}

/// The status of a condition.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(truth: bool) -> Self {
        if truth { ConditionStatus::True } else { ConditionStatus::False }
    }
}

/// A `metav1.Condition` whose type is one of ours.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it speaks of.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// Does it hold?
    pub status: ConditionStatus,
    /// One word for machines.
    #[schemars(with = "String")]
    pub reason: Reason,
    /// One sentence for people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
    /// The generation of the spec that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The base, pinned when the run began: what the canary is proven against.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseStatus {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Hash of its pod template when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_hash: Option<String>,
    /// Its revision when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Hash that its pod template has once promoted, by a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_hash: Option<String>,
    /// The promotion leaves its spec as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_equal: bool,
    /// The controller created it, for there was none.
    #[serde(default)]
    pub created: bool,
}

/// What the run made.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The canary Deployment.
    pub deployment: String,
    /// The Service that selects its pods only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Its HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa: Option<String>,
    /// The routes that carry its mirror.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Pods that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Pods that it has.
    #[serde(default)]
    pub replicas: i32,
    /// Hash of the Deployment's spec as the API server made it of ours; another one is somebody's edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_hash: Option<String>,
    /// The same of the HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa_hash: Option<String>,
    /// It is not available, since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_since: Option<Timestamp>,
}

/// What an item says.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It holds.
    Valid,
    /// It is violated.
    Invalid,
    /// There is no evidence.
    Unknown,
}

/// What one item says now.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemStatus {
    /// Its name.
    pub name: String,
    /// `manual`, `labelWatch` or `promQL`.
    pub kind: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The value that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the value was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// The query as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// How many samples there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<i32>,
    /// The verdict stands since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// False answers so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i32,
    /// When the last of them was asked for: none counts twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Timestamp>,
    /// Hash of what was asked; another one resets the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// The columns of `kubectl get`.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `Succeeded` or `Failed` from the verdict on, the phase before.
    pub status: String,
    /// `static` or `hpa`, with the count.
    pub scale: String,
    /// The source.
    pub traffic: String,
    /// The kinds of items.
    pub validation: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(count: &i32) -> bool {
    *count == 0
}
