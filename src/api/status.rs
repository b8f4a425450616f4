//! What the controller reports: `status`. It contains the whole story of a run, errors included.
//!
//! The controller also decides by it: what is persisted here (phase, pin, clock) is what it acts on. A new field must be
//! known to `lifecycle::coalesce`, which says whether its change is written at once or a moment later.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use strum::{Display, EnumIter, IntoStaticStr};

use super::{ManualStatus, Reason, duration, schema};

/// The state of the run.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KanaryDeploymentStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The phase of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What is happening, or why nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// One for each type.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "known_conditions")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Number of this run, counted from 1.
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
    /// What was created for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStatus>,
    /// When the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the canary was available and its traffic on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_started_at: Option<Timestamp>,
    /// When the run before ended, or its pods made room for those of this one: samples of it may still be in a query's range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_run_until: Option<Timestamp>,
    /// From then on no query looks back at the run before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clean_from: Option<Timestamp>,
    /// Evidence counts from here: the start of validation, or the last edit of an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_since: Option<Timestamp>,
    /// Time since then in which the clock was paused; it moves the deadline.
    #[serde(with = "duration", skip_serializing_if = "SignedDuration::is_zero")]
    #[schemars(schema_with = "schema::plain_string")]
    pub held: SignedDuration,
    /// When the present pause of the clock began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
    /// Absences of the controller up to here are included in `held`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounted_until: Option<Timestamp>,
    /// When the validation period ends, as things stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When the verdict was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_at: Option<Timestamp>,
    /// When the canary had been removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The verdict of each item.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub items: Vec<ItemStatus>,
    /// The run that each manual verdict of the spec is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 17))]
    pub manual_verdicts: Vec<ManualVerdict>,
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

    /// Why the run does not go on: a user must change something, or the last request failed.
    #[must_use]
    pub fn problem(&self) -> Option<&Condition> {
        let stalled = self.condition(ConditionType::Stalled).filter(|stalled| stalled.status == ConditionStatus::True);
        let reconciling = self.condition(ConditionType::Reconciling);
        stalled.or_else(|| reconciling.filter(|reconciling| reconciling.reason == Reason::RequestFailed))
    }

    /// The period counts from here, except for the time in which the clock is paused. The initial delay is over then, and no
    /// query looks back at the run before; an edit does not start the delay again.
    #[must_use]
    pub fn judged_from(&self, initial_delay: SignedDuration) -> Option<Timestamp> {
        let since = self.evidence_since?;
        let begun = self.validation_started_at.unwrap_or(since);
        Some(
            begun
                .saturating_add(initial_delay)
                .unwrap_or(Timestamp::MAX)
                .max(since)
                .max(self.clean_from.unwrap_or(since)),
        )
    }
}

/// The phase of a run.
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
    /// Waiting for `spec.schedule`.
    Scheduled,
    /// The canary is being created, and its traffic put in place.
    Starting,
    /// The canary is being evaluated.
    Validating,
    /// The verdict is success; the base gets the template.
    Promoting,
    /// The verdict is failure; the canary leaves production.
    Failing,
    /// Over: the template was promoted, and nothing of the canary is left.
    Succeeded,
    /// Over: the template failed, and nothing of the canary is left.
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
    /// `spec.schedule` is due.
    Scheduled,
    /// Every canary pod is updated and available.
    CanaryReady,
    /// The requested traffic reaches the canary.
    Traffic,
    /// The canary is being evaluated.
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

/// A condition in the form of `metav1.Condition`.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    /// Reason in CamelCase, for scripts and alerts.
    #[schemars(with = "String")]
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
    /// The generation of the spec that it describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The base, pinned when the run began: what the canary is compared with.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseStatus {
    /// Name of the base.
    pub name: String,
    /// Its uid; another one means that the base was replaced.
    pub uid: String,
    /// Hash of its pod template when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_hash: Option<String>,
    /// Its revision when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Hash that its pod template will have after promotion, from the dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_hash: Option<String>,
    /// The promotion would not change its spec.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_equal: bool,
    /// The controller created it, because it did not exist.
    #[serde(default)]
    pub created: bool,
}

/// What was created for the run.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The canary Deployment.
    pub deployment: String,
    /// The Service that selects only its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The HorizontalPodAutoscaler of the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa: Option<String>,
    /// The routes that contain its mirror.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Number of ready pods.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Number of pods.
    #[serde(default)]
    pub replicas: i32,
    /// Hash of the Deployment's spec as the API server stored it; another one means that another client edited it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_hash: Option<String>,
    /// The same for the HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa_hash: Option<String>,
    /// The uids of all that the controller made for it: an object whose owner reference was removed is recognized by its uid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uids: Vec<String>,
    /// When a canary that succeeded began to leave production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving_since: Option<Timestamp>,
    /// When the canary became unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_since: Option<Timestamp>,
}

/// The verdict of an item.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// What it requires is the case.
    Valid,
    /// What it requires is not the case.
    Invalid,
    /// There is no evidence yet.
    Unknown,
}

/// The state of one item.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemStatus {
    /// Name of the item.
    pub name: String,
    /// `manual`, `labelWatch` or `promQL`.
    pub kind: String,
    /// `Valid`, `Invalid` or `Unknown`.
    pub verdict: Verdict,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The value that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the value was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// The query as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Number of samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<i32>,
    /// When the verdict last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Number of failed evaluations so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i32,
    /// When the query of the last failed evaluation was sent; each counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Timestamp>,
    /// Hash of what the item checks; another one resets the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// A manual verdict.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManualVerdict {
    /// The item; none: the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The verdict.
    pub verdict: ManualStatus,
    /// The run that it is for.
    pub run: i64,
    /// Hash of its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_hash: Option<String>,
    /// The template that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_hash: Option<String>,
}

/// The columns of `kubectl get`.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The phase, and what it waits for unless that is the ordinary course; `Failed` from the verdict on.
    pub status: String,
    /// `static` or `hpa`, with the count.
    pub scale: String,
    /// The traffic source.
    pub traffic: String,
    /// The kinds of items.
    pub validation: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde requires a reference
fn is_zero(count: &i32) -> bool {
    *count == 0
}

/// A type that another version wrote must not make the whole resource unreadable; the next status drops the condition.
fn known_conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    let all = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(all.into_iter().filter_map(|condition| serde_json::from_value(condition).ok()).collect())
}
