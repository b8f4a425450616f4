//! Reads from an observation what a transition rests on; in Validating this brings the clock up to now.

use jiff::Timestamp;

use super::{base, children, clock, facts::Facts, phase::Guards, run, unreadable};
use crate::{
    api::{Explanation, KanaryDeploymentStatus, Phase, Reason, duration},
    canary::{self, Readiness},
    decision::Observed,
    validation::{self, Assessment, Timing, promql::Gap},
};

/// The guards of the moment.
pub(super) fn guards(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts) -> Guards {
    let at_work = facts.is_at_work(seen, status);
    let gap = if status.phase == Some(Phase::Validating) { run_clock(seen, status, at_work) } else { None };
    let period_over = status.phase == Some(Phase::Validating) && clock::is_over(status, seen.now);
    let timing = Timing { period_over, available: facts.readiness == Readiness::Ready };
    // After the verdict, what was reported stays.
    let (mut assessment, mut items) = (Assessment::Open { message: None }, status.items.clone());
    if matches!(status.phase, Some(Phase::Starting | Phase::Validating)) {
        (assessment, items) = validation::judge(seen, status, timing);
        status.items = validation::coalesce(&status.items, &items);
    }
    Guards {
        due: run::is_due(seen),
        drift: base::drift(seen, status),
        assessment,
        stuck: stuck(seen, status, facts),
        judgeable: at_work && gap.is_none(),
        is_fresh: seen.is_fresh,
        gap,
        items,
        rejection: (status.phase == Some(Phase::Promoting))
            .then(|| validation::rejection(seen, status, timing.available))
            .flatten(),
        is_written: base::is_promoted(seen, status),
        rollout: base::rollout(seen, status),
        clean: unreadable::child(seen).is_none() && children::none_left(seen, &facts.traffic),
    }
}

/// Brings the clock up to now. Since when there is no evidence, if that is what is missing.
fn run_clock(seen: &Observed, status: &mut KanaryDeploymentStatus, at_work: bool) -> Option<Gap> {
    if validation::is_edited(seen) {
        clock::begin_evidence(status, seen);
    }
    clock::account_for(status, &seen.absences);
    if let Some(missing) = validation::unrecorded_gap(seen, status) {
        clock::set_back(status, missing);
    }
    let gap = if at_work { validation::current_gap(seen, status) } else { None };
    let standstill = if at_work { gap.as_ref().map(|gap| gap.since) } else { Some(clock::hold_since(status, seen)) };
    clock::advance(status, seen, standstill);
    gap
}

/// Has the canary not been available for longer than its progress deadline?
fn stuck(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Option<String> {
    let deadline = stuck_at(seen, status, facts)?;
    let Readiness::NotReady(Explanation { reason, message }) = &facts.readiness else { return None };
    if deadline > seen.now {
        return None;
    }
    let waited = duration::print(seen.kanary.spec.template.progress_deadline());
    let pod = if *reason == Reason::Progressing { canary::unready_pod(seen) } else { None };
    let pod = pod.map_or_else(String::new, |pod| format!("; {pod}"));
    let restarts = canary::restarts(seen).map_or_else(String::new, |count| format!("; {count} restarts"));
    Some(format!("the canary was not available for {waited} (progressDeadlineSeconds): {message}{pod}{restarts}"))
}

/// What a canary that fails for another reason waited for: its pods, and the kubelet's words, are gone after the end.
pub(super) fn trouble(why: &Explanation, facts: &Facts) -> String {
    match &facts.readiness {
        Readiness::NotReady(trouble) if why.reason != Reason::CanaryNotAvailable && !trouble.reason.is_progress() => {
            format!("; the canary was not available then: {}", trouble.message)
        }
        Readiness::NotReady(_) | Readiness::Absent | Readiness::Ready => String::new(),
    }
}

/// When it will have been unavailable for too long, as things stand.
pub(super) fn stuck_at(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Option<Timestamp> {
    let Readiness::NotReady(_) = &facts.readiness else { return None };
    if seen.watch_broken_since.is_some()
        || !seen.unreadable.is_empty()
        || !matches!(status.phase, Some(Phase::Starting | Phase::Validating))
    {
        return None;
    }
    let since = status.canary.as_ref()?.unavailable_since?;
    // What it did while no controller watched is not known.
    let since = seen.absences.iter().map(|absence| absence.until).fold(since, Timestamp::max);
    since.saturating_add(seen.kanary.spec.template.progress_deadline()).ok()
}
