//! Which part of a status only tells how far things are: it may be told a moment later, together with what comes next.
//!
//! All else is told at once, for decisions rest on it, or somebody has to know.

use crate::api::{CanaryStatus, Condition, ConditionType, KanaryDeploymentStatus, Phase};

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

/// What a canary goes through that does well; any other reason is somebody's business.
const STEPS: [&str; 7] = ["Absent", "Progressing", "Available", "NotYet", "On", "Removing", "Removed"];

/// A condition as it was before, if only what it says is new, or how far things are.
fn settled(condition: &Condition, before: &[Condition]) -> Option<Condition> {
    let was = before.iter().find(|was| was.type_ == condition.type_);
    let is_step = STEPS.contains(&condition.reason.as_str());
    match condition.type_ {
        ConditionType::CanaryReady | ConditionType::Traffic if is_step => was.cloned(),
        ConditionType::CanaryReady | ConditionType::Traffic => {
            let says_more = was.filter(|was| was.reason == condition.reason);
            Some(says_more.unwrap_or(condition).clone())
        }
        ConditionType::Scheduled
        | ConditionType::Running
        | ConditionType::Succeeded
        | ConditionType::Failed
        | ConditionType::DeploymentUpdated
        | ConditionType::Errored => {
            let says_more = was.filter(|was| was.status == condition.status);
            Some(says_more.unwrap_or(condition).clone())
        }
    }
}

/// The canary with the counts of before, and without what is recorded of its objects for the first time. That it is not
/// available matters while it is judged: Starting is for that, and afterwards it is taken away.
fn uncounted(canary: &CanaryStatus, before: Option<&CanaryStatus>, phase: Option<Phase>) -> CanaryStatus {
    let before = before.cloned().unwrap_or_default();
    let is_judged = phase == Some(Phase::Validating);
    CanaryStatus {
        ready_replicas: before.ready_replicas,
        replicas: before.replicas,
        deployment_hash: before.deployment_hash.as_ref().and(canary.deployment_hash.clone()),
        unavailable_since: if is_judged { canary.unavailable_since } else { before.unavailable_since },
        hpa_hash: before.hpa_hash.as_ref().and(canary.hpa_hash.clone()),
        ..canary.clone()
    }
}
