//! What the status reports to people: conditions, the message and the columns. It decides nothing.
//!
//! Not here: what is reported of the base (`base_condition`), the three conditions that tools read (`readiness`), and the
//! events (`events`).

use super::{
    actions, base, base_condition,
    condition::set,
    events,
    facts::Facts,
    phase::Guards,
    readiness, remains,
    summary::{awaits_only_approval, report, stamp},
};
use crate::{
    api::{ConditionStatus, ConditionType, Explanation, KanaryDeploymentStatus, Phase, Reason},
    canary::{self, Readiness},
    decision::{Notice, Observed},
    objects::Object,
    validation::{Assessment, given},
};

/// Brings conditions, message and columns up to now; the events of what begins or ends within a phase.
pub(super) fn update(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    facts: &Facts,
    guards: &Guards,
) -> Vec<Notice> {
    let Some(phase) = status.phase else { return Vec::new() };
    let before = status.conditions.clone();
    status.observed_generation = seen.kanary.metadata.generation;
    if !phase.is_over() {
        scheduled(seen, status, phase);
        canary_ready(seen, status, facts, phase);
        traffic(seen, status, facts, guards, phase);
        running(seen, status, facts, guards, phase);
        base_condition::update(seen, status, guards, phase);
    }
    if phase == Phase::Succeeded {
        base_condition::reverted(seen, status);
    }
    readiness::update(seen, status, facts, guards, phase);
    status.report = Some(report(seen, status, phase));
    events::within(seen, &before, status, facts)
}

fn scheduled(seen: &Observed, status: &mut KanaryDeploymentStatus, phase: Phase) {
    if phase != Phase::Scheduled {
        let due = Explanation::new(Reason::Due, "due");
        return set(seen, status, ConditionType::Scheduled, ConditionStatus::True, due);
    }
    let when = seen.kanary.spec.schedule.map_or_else(String::new, |schedule| schedule.to_string());
    let why = Explanation::new(Reason::Waiting, format!("waiting until {when} (spec.schedule)"));
    status.message = Some(why.message.clone());
    set(seen, status, ConditionType::Scheduled, ConditionStatus::False, why);
}

fn canary_ready(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, phase: Phase) {
    let is_going = || seen.own_canary().is_some_and(Object::is_terminating);
    let (truth, why) = match (&facts.readiness, phase) {
        (_, Phase::Scheduled) => return,
        (_, Phase::Failing) | (Readiness::Absent, Phase::Promoting) => (ConditionStatus::False, removing(seen)),
        (Readiness::NotReady(_), Phase::Promoting) if is_going() => (ConditionStatus::False, removing(seen)),
        (Readiness::Ready, _) => {
            (ConditionStatus::True, Explanation::new(Reason::Available, "every canary pod is available"))
        }
        (Readiness::Absent, _) => (ConditionStatus::False, Explanation::new(Reason::Absent, canary::creating(seen))),
        (Readiness::NotReady(why), _) => (ConditionStatus::False, why.clone()),
    };
    if phase == Phase::Starting {
        status.message = Some(why.message.clone());
    }
    set(seen, status, ConditionType::CanaryReady, truth, why);
}

/// What is still there of the canary, and what it waits for if that is not the ordinary course.
fn removing(seen: &Observed) -> Explanation {
    let held = remains::held(seen);
    let message = held.map_or_else(|| "removing the canary".into(), |held| format!("removing the canary: {held}"));
    Explanation::new(Reason::Removing, message)
}

fn no_traffic() -> Explanation {
    Explanation::new(Reason::Removed, "the canary no longer receives traffic")
}

fn traffic(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, guards: &Guards, phase: Phase) {
    if phase == Phase::Scheduled {
        return;
    }
    // Removed by the controller itself, an entry in a route would look like one that another client removed.
    let is_gone = || facts.readiness == Readiness::Absent || actions::is_ended_by(seen, &guards.rollout);
    let is_ending = phase == Phase::Failing || (phase == Phase::Promoting && is_gone());
    let (truth, why) = if is_ending {
        facts.traffic.remaining().map_or_else(|| (ConditionStatus::False, no_traffic()), |left| (left.truth, left.why))
    } else {
        let traffic = facts.traffic.status();
        (traffic.truth, traffic.why.clone())
    };
    let is_in_the_way = facts.traffic.obstacle().is_some() || facts.readiness == Readiness::Ready;
    if phase == Phase::Starting && truth != ConditionStatus::True && is_in_the_way {
        status.message = Some(why.message.clone());
    }
    set(seen, status, ConditionType::Traffic, truth, why);
}

fn running(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, guards: &Guards, phase: Phase) {
    if phase != Phase::Validating {
        if status.validation_started_at.is_some() {
            let over = Explanation::new(Reason::Evaluated, "the validation is over");
            set(seen, status, ConditionType::Running, ConditionStatus::False, over);
        }
        return;
    }
    let why = match (&guards.assessment, guards.judgeable) {
        (_, false) => paused(seen, status, facts, guards),
        (Assessment::Open { message: Some(waits) }, true) => Explanation::new(
            Reason::AwaitingEvidence,
            format!("the validation period has ended, still waiting: {waits}"),
        ),
        (Assessment::Open { message: None } | Assessment::Valid { .. } | Assessment::Invalid { .. }, true) => {
            Explanation::new(Reason::Evaluating, validating(seen, status))
        }
    };
    status.message = Some(why.message.clone());
    set(seen, status, ConditionType::Running, ConditionStatus::True, why);
}

fn validating(seen: &Observed, status: &KanaryDeploymentStatus) -> String {
    if awaits_only_approval(seen, status) {
        let outdated = given::outdated(&seen.kanary, status).map(|given| format!(", {given}")).unwrap_or_default();
        return format!("waiting for approval{outdated}: kubectl kanary approve {}", seen.kanary.name());
    }
    status.deadline.map_or_else(String::new, |deadline| format!("validating until {}", stamp(deadline)))
}

/// After a restart the first result is on its way as a rule, which is not a reason to warn.
fn paused(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts, guards: &Guards) -> Explanation {
    let unreadable = seen.unreadable.first().map(ToString::to_string);
    let held = match (&guards.gap, facts.traffic.obstacle(), &facts.readiness) {
        _ if seen.watch_broken_since.is_some() => {
            "a watch is broken, so the controller's view is stale; see the controller log".into()
        }
        _ if unreadable.is_some() => unreadable.unwrap_or_default(),
        (Some(gap), _, _) => gap.message.clone(),
        (None, Some(obstacle), _) => obstacle.message.clone(),
        (None, None, Readiness::NotReady(why)) => why.message.clone(),
        (None, None, Readiness::Absent) => canary::creating(seen),
        (None, None, Readiness::Ready) => held_while_ready(seen, status, facts),
    };
    let is_first = guards.gap.as_ref().is_some_and(|gap| !gap.was_queried);
    let reason = if is_first { Reason::AwaitingPrometheus } else { Reason::Paused };
    Explanation::new(reason, format!("validation is paused: {held}"))
}

fn held_while_ready(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> String {
    match &facts.refusal {
        Some(refusal) => refusal.message.clone(),
        None if base::needs_dry_run(seen, status) => {
            "waiting for the API server's dry run of the promotion of spec.template".into()
        }
        None => facts.traffic.status().why.message.clone(),
    }
}

/// The conditions and the event of a phase that begins.
pub(super) fn enter(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    phase: Phase,
    why: &Explanation,
    guards: &Guards,
) -> Notice {
    let notice = |warning, reason| Notice { warning, reason, note: why.message.clone() };
    status.message = Some(why.message.clone());
    match phase {
        Phase::Promoting => {
            set(seen, status, ConditionType::Succeeded, ConditionStatus::True, why.clone());
            notice(false, Reason::Valid)
        }
        Phase::Failing => {
            if status.condition(ConditionType::Succeeded).is_some() {
                set(seen, status, ConditionType::Succeeded, ConditionStatus::False, why.clone());
            }
            set(seen, status, ConditionType::Failed, ConditionStatus::True, why.clone());
            notice(true, why.reason.clone())
        }
        Phase::Succeeded | Phase::Failed => {
            // How far the base is by now; it may not be reported yet.
            if phase == Phase::Succeeded {
                base_condition::update(seen, status, guards, Phase::Promoting);
            }
            end(seen, status, phase);
            notice(phase == Phase::Failed, phase.reason())
        }
        Phase::Scheduled | Phase::Starting | Phase::Validating => notice(false, phase.reason()),
    }
}

/// The verdict's own message stays, because it is what people look for afterwards.
fn end(seen: &Observed, status: &mut KanaryDeploymentStatus, phase: Phase) {
    let verdict = if phase == Phase::Failed { ConditionType::Failed } else { ConditionType::DeploymentUpdated };
    status.message = status.condition(verdict).map(|condition| condition.message.clone());
    if let Some(canary) = &mut status.canary {
        (canary.ready_replicas, canary.replicas) = (0, 0);
        canary.unavailable_since = None;
    }
    let removed = Explanation::new(Reason::Removed, "canary removed");
    set(seen, status, ConditionType::CanaryReady, ConditionStatus::False, removed);
    set(seen, status, ConditionType::Traffic, ConditionStatus::False, no_traffic());
}
