//! Which part of a status is progress only: it may be written a moment later, together with what comes next.
//!
//! All else is written at once, because decisions rest on it, or a person has to know.

use crate::api::{CanaryStatus, Condition, ConditionType, KanaryDeploymentStatus, Phase, Reason};

/// Is progress all that is new?
pub(super) fn is_progress(before: &KanaryDeploymentStatus, after: &KanaryDeploymentStatus) -> bool {
    let conditions = after.conditions.iter().map(|condition| settled(condition, &before.conditions));
    let without = KanaryDeploymentStatus {
        message: before.message.clone(),
        report: before.report.clone(),
        conditions: conditions.flatten().collect(),
        canary: after.canary.as_ref().map(|canary| uncounted(canary, before.canary.as_ref(), after.phase)),
        ..after.clone()
    };
    without == *before
}

/// A condition as it was before, if only its message is new, or how far things are.
fn settled(condition: &Condition, before: &[Condition]) -> Option<Condition> {
    let was = before.iter().find(|was| was.type_ == condition.type_);
    let is_same = |was: &&Condition| match condition.type_ {
        ConditionType::CanaryReady
        | ConditionType::Traffic
        | ConditionType::Ready
        | ConditionType::Reconciling
        | ConditionType::Stalled => was.reason == condition.reason && was.status == condition.status,
        ConditionType::Scheduled
        | ConditionType::Running
        | ConditionType::Succeeded
        | ConditionType::Failed
        | ConditionType::DeploymentUpdated => was.status == condition.status,
    };
    if is_step(condition.type_, &condition.reason) {
        return was.cloned();
    }
    Some(was.filter(is_same).unwrap_or(condition).clone())
}

/// What a healthy canary goes through; any other reason is for a person.
fn is_step(type_: ConditionType, reason: &Reason) -> bool {
    matches!(type_, ConditionType::CanaryReady | ConditionType::Traffic) && reason.is_progress()
}

/// The canary with the counts of before, and without what is recorded of its objects for the first time. That it is not
/// available matters while it is evaluated: Starting is for that, and afterwards it is removed.
fn uncounted(canary: &CanaryStatus, before: Option<&CanaryStatus>, phase: Option<Phase>) -> CanaryStatus {
    let before = before.cloned().unwrap_or_default();
    let is_judged = phase == Some(Phase::Validating);
    CanaryStatus {
        ready_replicas: before.ready_replicas,
        replicas: before.replicas,
        deployment_hash: before.deployment_hash.as_ref().and(canary.deployment_hash.clone()),
        unavailable_since: if is_judged { canary.unavailable_since } else { before.unavailable_since },
        hpa_hash: before.hpa_hash.as_ref().and(canary.hpa_hash.clone()),
        uids: before.uids,
        ..canary.clone()
    }
}
