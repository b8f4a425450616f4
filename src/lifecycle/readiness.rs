//! The conditions that tools read, in the words of kstatus: `Ready`, `Reconciling` and `Stalled`. Of the last two at most
//! one is True, so `kubectl wait`, Flux and Argo CD see a run in progress, at its goal, or one that waits for a user.

use super::{
    actions,
    base::{self, Rollout},
    condition::set,
    facts::Facts,
    phase::Guards,
    summary::stamp,
    unreadable,
};
use crate::{
    api::{ConditionStatus, ConditionType, Explanation, KanaryDeploymentStatus, Phase, Reason},
    canary,
    decision::{Observed, StatusUpdate},
};

/// Errors are always visible: what a user must change, what the API server refuses, and what the last request met with.
pub(super) fn update(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    facts: &Facts,
    guards: &Guards,
    phase: Phase,
) {
    let needs_change = needs_change(seen, status, facts, guards, phase);
    let failed = explained_request(seen, facts);
    if phase == Phase::Failing {
        let kept =
            actions::kept_until(seen, status).filter(|until| *until > seen.now).map_or_else(String::new, |until| {
                format!("; its pods are kept until {} (spec.validation.keepFailedFor)", stamp(until))
            });
        status.message = verdict(status).map(|why| format!("{}{kept}", why.message));
    }
    let is_waiting = matches!(phase, Phase::Scheduled | Phase::Starting | Phase::Promoting | Phase::Failing);
    if let Some(why) = needs_change.as_ref().or(failed.as_ref()).filter(|_| is_waiting) {
        status.message = Some(why.message.clone());
    }
    let message = status.message.clone().unwrap_or_default();
    let progress = || Explanation::new(phase.reason(), message.clone());
    let (ready, stalled) = match phase {
        Phase::Succeeded => (ConditionStatus::True, needs_change),
        // A late write of ours may still have to be undone.
        Phase::Failed if failed.is_some() => (ConditionStatus::False, needs_change),
        Phase::Failed => (ConditionStatus::False, needs_change.or_else(|| verdict(status))),
        Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Promoting | Phase::Failing => {
            (ConditionStatus::False, needs_change)
        }
    };
    let is_reconciling = stalled.is_none() && (failed.is_some() || !phase.is_over());
    let now = failed.or_else(|| stalled.clone()).unwrap_or_else(progress);
    let reconciling = if is_reconciling || stalled.is_none() { now.clone() } else { progress() };
    set(seen, status, ConditionType::Reconciling, is_reconciling.into(), reconciling);
    let why = match (ready, &stalled) {
        (ConditionStatus::True, _) => progress(),
        (ConditionStatus::False | ConditionStatus::Unknown, Some(why)) => why.clone(),
        (ConditionStatus::False | ConditionStatus::Unknown, None) => now,
    };
    set(seen, status, ConditionType::Ready, ready, why);
    stall(seen, status, stalled);
}

fn stall(seen: &Observed, status: &mut KanaryDeploymentStatus, stalled: Option<Explanation>) {
    match stalled {
        Some(why) => set(seen, status, ConditionType::Stalled, ConditionStatus::True, why),
        None if status.condition(ConditionType::Stalled).is_some() => {
            let resolved = Explanation::new(Reason::Resolved, "");
            set(seen, status, ConditionType::Stalled, ConditionStatus::False, resolved);
        }
        None => {}
    }
}

fn verdict(status: &KanaryDeploymentStatus) -> Option<Explanation> {
    let failed = status.condition(ConditionType::Failed)?;
    Some(Explanation { reason: failed.reason.clone(), message: failed.message.clone() })
}

/// What a user, or the operator of the cluster, must change before the run can go on.
fn needs_change(
    seen: &Observed,
    status: &KanaryDeploymentStatus,
    facts: &Facts,
    guards: &Guards,
    phase: Phase,
) -> Option<Explanation> {
    let is_judged = matches!(phase, Phase::Starting | Phase::Validating);
    if !is_judged {
        // What waits for its time can report at once what will be in its way then.
        let refusal = facts.refusal.clone().filter(|_| phase == Phase::Scheduled);
        let withheld = || withheld_promotion(guards, phase);
        let unreadable = || unreadable::after_verdict(seen, phase);
        return refusal.or_else(withheld).or_else(|| facts.traffic.blocked()).or_else(unreadable);
    }
    let obstacle = facts.traffic.obstacle().filter(|obstacle| !obstacle.reason.is_awaited());
    facts.refusal.clone().or_else(|| refused_promotion(seen, status)).or_else(|| obstacle.cloned())
}

fn withheld_promotion(guards: &Guards, phase: Phase) -> Option<Explanation> {
    match &guards.rollout {
        Rollout::Withheld(why) if phase == Phase::Promoting => Some(why.clone()),
        Rollout::Withheld(_)
        | Rollout::LeftAlone
        | Rollout::Due
        | Rollout::Paused
        | Rollout::RollingOut
        | Rollout::Stalled(_)
        | Rollout::Unreadable(_)
        | Rollout::Done => None,
    }
}

fn refused_promotion(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Explanation> {
    if !base::needs_dry_run(seen, status) {
        return None;
    }
    let why = base::dry_run(seen)?.outcome.as_ref().err()?;
    let message = format!("the API server would refuse to promote spec.template: {why}");
    Some(Explanation::new(Reason::PromotionRefused, message))
}

fn failed_request(seen: &Observed) -> Option<Explanation> {
    let failure = seen.faults.first()?;
    Some(Explanation::new(Reason::RequestFailed, format!("{}: {}", failure.action, failure.error)))
}

/// The same, with what helps against a policy.
fn explained_request(seen: &Observed, facts: &Facts) -> Option<Explanation> {
    let mut why = failed_request(seen)?;
    let hint = canary::policy_hint(&facts.withheld, &why.message);
    why.message.extend(hint);
    Some(why)
}

/// What keeps a deleted resource from going, if anything does. It has no phase to go on to.
pub(super) fn of_deletion(seen: &Observed, blocked: Option<Explanation>, has_left: bool) -> Option<StatusUpdate> {
    let before = seen.status();
    let mut status = before.clone();
    if has_left
        && status.condition(ConditionType::Traffic).is_some_and(|traffic| traffic.status == ConditionStatus::True)
    {
        let why = Explanation::new(
            Reason::Removed,
            "the resource is being deleted, and the canary no longer receives traffic",
        );
        set(seen, &mut status, ConditionType::Traffic, ConditionStatus::False, why);
    }
    let failed = failed_request(seen);
    if let Some(why) = failed.as_ref().or(blocked.as_ref()) {
        status.message = Some(why.message.clone());
        set(seen, &mut status, ConditionType::Ready, ConditionStatus::False, why.clone());
    }
    match failed {
        Some(why) => {
            set(seen, &mut status, ConditionType::Reconciling, ConditionStatus::True, why);
            stall(seen, &mut status, None);
        }
        None => {
            if let Some(why) = blocked {
                set(seen, &mut status, ConditionType::Reconciling, ConditionStatus::False, why.clone());
                set(seen, &mut status, ConditionType::Stalled, ConditionStatus::True, why);
            }
        }
    }
    (status != *before).then_some(StatusUpdate { status, notices: Vec::new(), can_wait: false })
}
