//! The events of what happens within a phase. What a run warns of when it begins is in `warnings`.

use super::{base, facts::Facts, warnings::warnings};
use crate::{
    api::{Condition, ConditionType, KanaryDeploymentStatus, Reason},
    decision::{Notice, Observed},
};

/// The conditions that are worth an event once they have this reason, and whether it is a warning.
const NEWS: [(ConditionType, Reason); 6] = [
    (ConditionType::DeploymentUpdated, Reason::Reverted),
    (ConditionType::DeploymentUpdated, Reason::BasePaused),
    (ConditionType::DeploymentUpdated, Reason::BaseRolloutStalled),
    (ConditionType::Running, Reason::AwaitingEvidence),
    (ConditionType::Running, Reason::Paused),
    (ConditionType::Traffic, Reason::MirrorReverted),
];

/// What happened within a phase and deserves an event.
pub(super) fn within(
    seen: &Observed,
    before: &[Condition],
    status: &KanaryDeploymentStatus,
    facts: &Facts,
) -> Vec<Notice> {
    let news = NEWS.iter().filter_map(|(type_, reason)| news(before, status, *type_, reason));
    let is_pinned_before = base::is_pinned(seen.status()) && seen.status().run == status.run;
    let is_first_pin = base::is_pinned(status) && !is_pinned_before;
    promoted(before, status)
        .into_iter()
        .chain(news)
        .chain(copies_writes(seen, before, status, facts))
        .chain(base_created(seen, status))
        .chain(problem(before, status))
        .chain(if is_first_pin { warnings(seen, facts) } else { Vec::new() })
        .collect()
}

fn has(conditions: &[Condition], type_: ConditionType, reason: &Reason) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.reason == *reason)
}

fn news(
    before: &[Condition],
    status: &KanaryDeploymentStatus,
    type_: ConditionType,
    reason: &Reason,
) -> Option<Notice> {
    let now = status.condition(type_)?;
    if now.reason != *reason || has(before, type_, reason) {
        return None;
    }
    Some(Notice { warning: true, reason: reason.clone(), note: now.message.clone() })
}

/// What keeps the run from going on, once for each reason.
fn problem(before: &[Condition], status: &KanaryDeploymentStatus) -> Option<Notice> {
    let problem = status.problem()?;
    // The verdict of a failed run has an event of its own.
    let verdict = status.condition(ConditionType::Failed);
    let is_verdict = |failed: &Condition| (&failed.reason, &failed.message) == (&problem.reason, &problem.message);
    if verdict.is_some_and(is_verdict) || has(before, problem.type_, &problem.reason) {
        return None;
    }
    Some(Notice { warning: true, reason: problem.reason.clone(), note: problem.message.clone() })
}

/// Recorded once, when the base has the template; how its rollout goes on is in the status.
fn promoted(before: &[Condition], status: &KanaryDeploymentStatus) -> Option<Notice> {
    let type_ = ConditionType::DeploymentUpdated;
    let now = status.condition(type_)?;
    let is_news = matches!(now.reason, Reason::RollingOut | Reason::Promoted);
    let was_reported = [Reason::RollingOut, Reason::Promoted, Reason::BaseRolloutStalled];
    if !is_news || was_reported.iter().any(|reason| has(before, type_, reason)) {
        return None;
    }
    Some(Notice { warning: false, reason: Reason::Promoted, note: now.message.clone() })
}

/// Recorded once, when the base is first seen.
fn base_created(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Notice> {
    let created = |status: &KanaryDeploymentStatus| status.base.clone().filter(|base| base.created);
    let base = created(status)?;
    if created(seen.status()).is_some_and(|before| before.name == base.name) {
        return None;
    }
    let note = format!("Deployment {} did not exist and was created from spec.template", base.name);
    Some(Notice { warning: false, reason: Reason::BaseCreated, note })
}

/// Recorded once, when the first route contains the mirror.
fn copies_writes(
    seen: &Observed,
    before: &[Condition],
    status: &KanaryDeploymentStatus,
    facts: &Facts,
) -> Option<Notice> {
    let has_routes =
        |status: &KanaryDeploymentStatus| status.canary.as_ref().is_some_and(|canary| !canary.routes.is_empty());
    let begins = has_routes(status) && !has_routes(seen.status());
    if !begins || has(before, ConditionType::Traffic, &Reason::MirrorReverted) {
        return None;
    }
    let note = facts.traffic.copies_writes()?;
    Some(Notice { warning: true, reason: Reason::MirrorCopiesWrites, note })
}
