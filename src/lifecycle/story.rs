//! What the status tells people: conditions, the message, the columns and the events. It decides nothing.

use super::{
    Facts,
    base::{self, Progress},
    notices,
    phase::{Cause, Guards},
};
use crate::{
    api::{Condition, ConditionStatus, ConditionType, KanaryDeploymentStatus, Phase, Report, names},
    canary::{self, Readiness},
    decision::{Notice, Observed, StatusUpdate},
    objects::Object,
    scale,
    traffic::mirror,
    validation::Assessment,
};

/// Brings conditions, message and columns up to now; the events of what begins or ends within a phase.
pub(super) fn tell(
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
        traffic_is(seen, status, facts, phase);
        running(seen, status, facts, guards, phase);
        updated(seen, status, guards, phase);
    }
    if phase == Phase::Succeeded {
        reverted(seen, status);
    }
    errored(seen, status, facts, phase);
    status.report = Some(report(seen, status, phase));
    notices::within(seen, &before, status, facts)
}

fn set(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    type_: ConditionType,
    truth: ConditionStatus,
    reason: &str,
    message: impl Into<String>,
) {
    let before = status.conditions.iter().find(|condition| condition.type_ == type_);
    let unchanged =
        before.filter(|condition| condition.status == truth).map(|condition| condition.last_transition_time);
    let condition = Condition {
        type_,
        status: truth,
        reason: reason.to_owned(),
        message: message.into(),
        last_transition_time: unchanged.unwrap_or(seen.now),
        observed_generation: seen.kanary.metadata.generation,
    };
    status.conditions.retain(|condition| condition.type_ != type_);
    status.conditions.push(condition);
    status.conditions.sort_by_key(|condition| condition.type_);
}

fn scheduled(seen: &Observed, status: &mut KanaryDeploymentStatus, phase: Phase) {
    if phase != Phase::Scheduled {
        return set(seen, status, ConditionType::Scheduled, ConditionStatus::True, "Due", "the time has come");
    }
    let when = seen.kanary.spec.schedule.map_or_else(String::new, |schedule| schedule.to_string());
    let message = format!("waits until {when} (spec.schedule)");
    status.message = Some(message.clone());
    set(seen, status, ConditionType::Scheduled, ConditionStatus::False, "Waiting", message);
}

fn canary_ready(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, phase: Phase) {
    let is = |truth, reason: &str, message: String| (truth, reason.to_owned(), message);
    let removing = || is(ConditionStatus::False, "Removing", removing(seen));
    let (truth, reason, message) = match (&facts.readiness, phase) {
        (_, Phase::Scheduled) => return,
        (_, Phase::Failing) => removing(),
        (Readiness::Ready, _) => is(ConditionStatus::True, "Available", "every canary pod is available".into()),
        (Readiness::Absent, Phase::Promoting) => removing(),
        (Readiness::Absent, _) => is(ConditionStatus::False, "Absent", canary::absent(seen)),
        (Readiness::NotReady { .. }, Phase::Promoting) if seen.own_canary().is_some_and(Object::is_terminating) => {
            removing()
        }
        (Readiness::NotReady { reason, message, .. }, _) => is(ConditionStatus::False, reason, message.clone()),
    };
    if phase == Phase::Starting {
        status.message = Some(message.clone());
    }
    set(seen, status, ConditionType::CanaryReady, truth, &reason, message);
}

/// A pod that somebody took from its ReplicaSet is deleted by nobody, and as long as it is there the run is not over.
fn removing(seen: &Observed) -> String {
    let left = seen.live_pods().find(|_| seen.canary.is_none());
    left.map_or_else(
        || "the canary is being taken away".into(),
        |pod| {
            format!(
                "the canary is taken away but for pod {}, which nobody deletes; delete it, or take its label {}",
                pod.name(),
                names::CANARY_LABEL
            )
        },
    )
}

fn traffic_is(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, phase: Phase) {
    if phase == Phase::Scheduled {
        return;
    }
    // Taken away by ourselves, a mirror would look like one that somebody took.
    let is_over = || facts.readiness == Readiness::Absent || base::progress(seen, status).is_over();
    let ending = phase == Phase::Failing || (phase == Phase::Promoting && is_over());
    let (truth, reason, message) = match &facts.traffic {
        _ if ending => (ConditionStatus::False, "Removed", "the canary gets no more traffic".to_owned()),
        traffic => (traffic.truth, traffic.reason, traffic.message.clone()),
    };
    if phase == Phase::Starting
        && truth != ConditionStatus::True
        && (facts.obstacle.is_some() || facts.readiness == Readiness::Ready)
    {
        status.message = Some(message.clone());
    }
    set(seen, status, ConditionType::Traffic, truth, reason, message);
}

fn running(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, guards: &Guards, phase: Phase) {
    if phase != Phase::Validating {
        if status.validation_started_at.is_some() {
            set(seen, status, ConditionType::Running, ConditionStatus::False, "Judged", "the validation is over");
        }
        return;
    }
    let held = match (&guards.gap, &facts.obstacle, &facts.readiness) {
        _ if seen.watch_broken_since.is_some() => {
            "the controller lost its view of the cluster; its log says why".into()
        }
        (Some(gap), _, _) => gap.message.clone(),
        (None, Some(obstacle), _) => obstacle.message.clone(),
        (None, None, Readiness::NotReady { message, .. }) => message.clone(),
        (None, None, Readiness::Absent) => canary::absent(seen),
        (None, None, Readiness::Ready) => held_while_ready(seen, status, facts),
    };
    // After a restart the first answer is on its way as a rule: that is no reason to warn.
    let stands = if guards.gap.as_ref().is_some_and(|gap| !gap.was_queried) { "Asking" } else { "Held" };
    let (reason, message) = match (&guards.assessment, guards.judgeable) {
        (_, false) => (stands, format!("the clock stands still: {held}")),
        (Assessment::Open { message: Some(waits) }, true) => {
            ("WaitsForEvidence", format!("the period is over, but {waits}"))
        }
        (_, true) => (
            "Judging",
            status
                .deadline
                .map_or_else(String::new, |deadline| format!("the canary is judged until {}", stamp(deadline))),
        ),
    };
    status.message = Some(message.clone());
    set(seen, status, ConditionType::Running, ConditionStatus::True, reason, message);
}

fn held_while_ready(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> String {
    match &facts.refusal {
        Some(refusal) => refusal.message.clone(),
        None if base::needs_dry_run(seen, status) => {
            "the API server has not agreed to the promotion of spec.template yet".into()
        }
        None => facts.traffic.message.clone(),
    }
}

fn stamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn updated(seen: &Observed, status: &mut KanaryDeploymentStatus, guards: &Guards, phase: Phase) {
    if phase != Phase::Promoting {
        return;
    }
    let name = names::base(&seen.kanary);
    let written = base::is_promoted(seen, status);
    let (truth, reason, message) = match &guards.progress {
        Progress::LeftAlone => {
            (ConditionStatus::False, "NoUpdate", format!("spec.validation.noUpdate: Deployment {name} is left alone"))
        }
        Progress::Due => (ConditionStatus::False, "Promoting", format!("Deployment {name} gets the proven template")),
        Progress::Paused => (
            written.into(),
            "BasePaused",
            format!("Deployment {name} is paused; resume it (kubectl rollout resume deployment {name})"),
        ),
        Progress::RollingOut => {
            (ConditionStatus::True, "RollingOut", format!("Deployment {name} has the template and rolls it out"))
        }
        Progress::Stalled(why) => (
            ConditionStatus::True,
            "BaseRolloutStalled",
            format!("Deployment {name} has the template, but its rollout stalls, so the canary stays: {why}"),
        ),
        Progress::Done if base::was_up_to_date(status) => {
            (ConditionStatus::True, "AlreadyUpToDate", format!("Deployment {name} had the proven template already"))
        }
        Progress::Done => (ConditionStatus::True, "Promoted", format!("Deployment {name} has the proven template")),
    };
    status.message = Some(message.clone());
    set(seen, status, ConditionType::DeploymentUpdated, truth, reason, message);
}

/// For some time after the end: does somebody take the template from the base, or give it back?
fn reverted(seen: &Observed, status: &mut KanaryDeploymentStatus) {
    let said =
        status.conditions.iter().find(|c| c.type_ == ConditionType::DeploymentUpdated).map(|c| c.reason.as_str());
    let (truth, reason, message) = match (base::revert(seen, status), said) {
        (Some(message), Some("Promoted" | "RollingOut" | "AlreadyUpToDate")) => {
            (ConditionStatus::False, "Reverted", message)
        }
        (None, Some("Reverted")) if base::has_template(seen, status) => {
            let name = names::base(&seen.kanary);
            (ConditionStatus::True, "Promoted", format!("Deployment {name} has the proven template again"))
        }
        (Some(_) | None, _) => return,
    };
    status.message = Some(message.clone());
    set(seen, status, ConditionType::DeploymentUpdated, truth, reason, message);
}

/// What keeps a deleted resource from going, if anything does. It has no phase to go on to.
pub(super) fn tell_of_deletion(seen: &Observed) -> Option<StatusUpdate> {
    let before = seen.status();
    let mut status = before.clone();
    if let Some((reason, message)) = failed(seen).or_else(|| unsettled(seen)) {
        status.message = Some(message.clone());
        set(seen, &mut status, ConditionType::Errored, ConditionStatus::True, reason, message);
    }
    (status != *before).then_some(StatusUpdate { status, notices: Vec::new(), can_wait: false })
}

fn failed(seen: &Observed) -> Option<(&'static str, String)> {
    seen.faults.first().map(|fault| ("RequestFailed", format!("{}: {}", fault.action, fault.error)))
}

fn unsettled(seen: &Observed) -> Option<(&'static str, String)> {
    mirror::unsettled(seen).map(|obstacle| (obstacle.reason, obstacle.message))
}

/// Errors are always visible: what the last requests met with, what the API server refuses, what the user must change.
fn errored(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, phase: Phase) {
    let is_judged = matches!(phase, Phase::Starting | Phase::Validating);
    // Who waits for its time can be told at once what will be in its way then.
    let refusal = facts.refusal.as_ref().filter(|_| is_judged || phase == Phase::Scheduled);
    let refusal = refusal.map(|r| (r.reason, r.message.clone()));
    let dry_run = base::dry_run(seen).filter(|_| is_judged && base::needs_dry_run(seen, status));
    let dry_run = dry_run.and_then(|dry_run| dry_run.outcome.as_ref().err());
    let refused =
        dry_run.map(|why| ("PromotionRefused", format!("the API server would refuse to promote spec.template: {why}")));
    let obstacle = facts
        .obstacle
        .as_ref()
        .filter(|obstacle| !obstacle.is_awaited() && is_judged)
        .map(|o| (o.reason, o.message.clone()));
    let unsettled = unsettled(seen).filter(|_| !is_judged);
    match refusal.or(refused).or(obstacle).or(unsettled).or_else(|| failed(seen)) {
        Some((reason, message)) => {
            if matches!(phase, Phase::Scheduled | Phase::Starting | Phase::Promoting | Phase::Failing) {
                status.message = Some(message.clone());
            }
            set(seen, status, ConditionType::Errored, ConditionStatus::True, reason, message);
        }
        None if status
            .conditions
            .iter()
            .any(|c| c.type_ == ConditionType::Errored && c.status == ConditionStatus::True) =>
        {
            set(seen, status, ConditionType::Errored, ConditionStatus::False, "Resolved", "");
        }
        None => {}
    }
}

fn report(seen: &Observed, status: &KanaryDeploymentStatus, phase: Phase) -> Report {
    let is = |type_| status.conditions.iter().any(|c| c.type_ == type_ && c.status == ConditionStatus::True);
    let status = match phase {
        _ if is(ConditionType::Failed) => "Failed".into(),
        _ if is(ConditionType::Succeeded) => "Succeeded".into(),
        phase => format!("{phase:?}"),
    };
    let spec = &seen.kanary.spec;
    let scale = match &spec.scale.hpa {
        Some(hpa) => format!("hpa {}-{}", hpa.min_replicas.unwrap_or(1), hpa.max_replicas),
        None => format!("static {}", scale::fixed(&seen.kanary)),
    };
    let mut kinds: Vec<&str> = spec.validation.checks().iter().map(|(_, item)| item.check().kind()).collect();
    kinds.dedup();
    Report { status, scale, traffic: spec.traffic.source.as_str().into(), validation: kinds.join(",") }
}

/// The conditions and the event of a phase that begins.
pub(super) fn enter(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    phase: Phase,
    cause: &Cause,
    guards: &Guards,
) -> Vec<Notice> {
    let notice = |warning, reason: &str| vec![Notice { warning, reason: reason.into(), note: cause.message.clone() }];
    status.message = Some(cause.message.clone());
    match phase {
        Phase::Promoting => {
            set(seen, status, ConditionType::Succeeded, ConditionStatus::True, cause.reason, &*cause.message);
            notice(false, "Valid")
        }
        Phase::Failing => {
            if status.conditions.iter().any(|c| c.type_ == ConditionType::Succeeded) {
                set(seen, status, ConditionType::Succeeded, ConditionStatus::False, cause.reason, &*cause.message);
            }
            set(seen, status, ConditionType::Failed, ConditionStatus::True, cause.reason, &*cause.message);
            notice(true, cause.reason)
        }
        Phase::Succeeded | Phase::Failed => {
            // How far the base is by now; it may not be told yet.
            if phase == Phase::Succeeded {
                updated(seen, status, guards, Phase::Promoting);
            }
            end(seen, status, phase);
            notice(phase == Phase::Failed, &format!("{phase:?}"))
        }
        Phase::Scheduled | Phase::Starting | Phase::Validating => notice(false, &format!("{phase:?}")),
    }
}

/// The last word: the verdict's own message stays, for it is what people look for afterwards.
fn end(seen: &Observed, status: &mut KanaryDeploymentStatus, phase: Phase) {
    let verdict = if phase == Phase::Failed { ConditionType::Failed } else { ConditionType::DeploymentUpdated };
    let message = status.conditions.iter().find(|condition| condition.type_ == verdict).map(|c| c.message.clone());
    status.message = message;
    if let Some(canary) = &mut status.canary {
        (canary.ready_replicas, canary.replicas) = (0, 0);
        canary.unavailable_since = None;
    }
    set(seen, status, ConditionType::CanaryReady, ConditionStatus::False, "Removed", "nothing of the canary is left");
    set(seen, status, ConditionType::Traffic, ConditionStatus::False, "Removed", "the canary gets no more traffic");
}
