//! The clock of a validation: it is paused while the canary cannot be evaluated, or while no controller was watching.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::KanaryDeploymentStatus,
    decision::{Absence, Observed},
    validation,
};

/// Starts the clock.
pub fn start(status: &mut KanaryDeploymentStatus, seen: &Observed) {
    status.validation_started_at = Some(seen.now);
    if status.run.is_some_and(|run| run > 1) {
        // After a restart the pods of the run before were there until now.
        status.previous_run_until.get_or_insert(seen.now);
    }
    begin(status, seen);
}

/// Something new is to be evaluated for a whole period. Within the initial delay the whole period lies ahead anyway,
/// and the time paused so far extends the delay.
pub fn begin_evidence(status: &mut KanaryDeploymentStatus, seen: &Observed) {
    if !is_delayed(status, seen) {
        begin(status, seen);
    }
}

/// Is the initial delay not over, on a clock that may have been paused until now?
fn is_delayed(status: &KanaryDeploymentStatus, seen: &Observed) -> bool {
    let mut counted = status.clone();
    account_for(&mut counted, &seen.absences);
    let stands = hold_since(&counted, seen).min(counted.held_since.unwrap_or(seen.now));
    begins(&counted, seen).is_some_and(|begins| stands < begins)
}

/// Evidence counts from now on.
fn begin(status: &mut KanaryDeploymentStatus, seen: &Observed) {
    status.evidence_since = Some(seen.now);
    status.held = SignedDuration::ZERO;
    status.held_since = None;
    status.accounted_until = None;
    status.clean_from = status.previous_run_until.and_then(|until| validation::promql::clean_from(seen, until));
    status.clean_from = status.clean_from.filter(|clean| *clean > seen.now);
    status.deadline = deadline(status, seen);
}

/// Brings the clock up to now. `standstill`: since when the canary cannot be evaluated, if it cannot at this moment.
pub fn advance(status: &mut KanaryDeploymentStatus, seen: &Observed, standstill: Option<Timestamp>) {
    match (standstill, status.held_since) {
        (None, Some(since)) => {
            status.held = status.held.saturating_add(since.duration_until(seen.now));
            status.held_since = None;
            // An absence within the hold is not counted twice.
            status.accounted_until = status.accounted_until.max(Some(seen.now));
        }
        (Some(since), held) => status.held_since = Some(since.min(held.unwrap_or(seen.now))),
        (None, None) => {}
    }
    status.deadline = deadline(status, seen);
}

/// From when on the time does not count: a controller that lost a watch has not seen what came after.
#[must_use]
pub fn hold_since(status: &KanaryDeploymentStatus, seen: &Observed) -> Timestamp {
    let earliest = status.accounted_until.max(status.evidence_since).unwrap_or(seen.now);
    seen.watch_broken_since.map_or(seen.now, |lost| lost.max(earliest).min(seen.now))
}

/// Is the period over? Not while the clock is paused.
#[must_use]
pub fn is_over(status: &KanaryDeploymentStatus, now: Timestamp) -> bool {
    status.held_since.is_none() && status.deadline.is_some_and(|deadline| deadline <= now)
}

/// Takes account of times in which no controller was watching. Each counts once: `accountedUntil` remembers the last.
/// One within a hold is covered by the hold.
pub fn account_for(status: &mut KanaryDeploymentStatus, absences: &[Absence]) {
    let Some(since) = status.evidence_since else { return };
    for absence in absences {
        let from = absence.from.max(status.accounted_until.unwrap_or(since)).max(since);
        if from >= absence.until {
            continue;
        }
        if status.held_since.is_none() {
            status.held = status.held.saturating_add(from.duration_until(absence.until));
        }
        status.accounted_until = Some(absence.until);
    }
}

/// Takes account of a time that is over, and was without evidence: the clock goes back to where that began.
pub fn set_back(status: &mut KanaryDeploymentStatus, gap: Absence) {
    match status.held_since {
        Some(held) => status.held_since = Some(held.min(gap.from)),
        None => {
            status.held = status.held.saturating_add(gap.from.duration_until(gap.until));
            status.accounted_until = status.accounted_until.max(Some(gap.until));
        }
    }
}

fn deadline(status: &KanaryDeploymentStatus, seen: &Observed) -> Option<Timestamp> {
    let period = seen.kanary.spec.validation.validation_period;
    begins(status, seen).map(|begins| begins.saturating_add(period).unwrap_or(Timestamp::MAX))
}

/// When the initial delay is over, or the last edit was made, on a clock that was paused for `held`.
fn begins(status: &KanaryDeploymentStatus, seen: &Observed) -> Option<Timestamp> {
    let from = status.judged_from(seen.kanary.spec.validation.initial_delay)?;
    Some(from.saturating_add(status.held).unwrap_or(Timestamp::MAX))
}
