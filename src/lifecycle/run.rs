//! Which run this is: the first, the one that is under way, or a new one.

use super::base;
use crate::{
    api::{BaseStatus, CanaryStatus, KanaryDeploymentStatus, Phase, Reason, names},
    decision::{Notice, Observed},
};

/// The run that begins now, if one does.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    /// Its status.
    pub status: KanaryDeploymentStatus,
    /// The event that reports it.
    pub notice: Notice,
}

/// Does a run begin? At first sight; after the end when `template` or `runID` changed; and while one is under way when
/// `template` changed, because what would be proven is no longer what is requested.
#[must_use]
pub fn new_run(seen: &Observed) -> Option<NewRun> {
    let status = seen.status();
    let hash = seen.kanary.spec.template.hash();
    let new_template = status.template_hash.as_deref() != Some(hash);
    let new_id = status.run_id != seen.kanary.spec.run_id;
    let (reason, why) = match status.phase {
        None => (Reason::Started, "starting canary"),
        Some(Phase::Succeeded | Phase::Failed) if new_template => {
            (Reason::Started, "spec.template changed, starting a new run")
        }
        Some(Phase::Succeeded | Phase::Failed) if new_id => (Reason::Retried, "spec.runID changed, starting a new run"),
        Some(Phase::Scheduled | Phase::Starting | Phase::Validating) if new_template => {
            (Reason::Restarted, "spec.template changed while the canary was running, restarting")
        }
        Some(Phase::Promoting) if new_template && !base::is_promoted(seen, status) => {
            (Reason::Restarted, "spec.template changed before it was promoted, restarting")
        }
        Some(_) => return None,
    };
    let status = fresh(seen, status, hash.to_owned());
    let note = format!("run {}: {why}", status.run.unwrap_or(1));
    Some(NewRun { status, notice: Notice { warning: false, reason, note } })
}

fn fresh(seen: &Observed, before: &KanaryDeploymentStatus, hash: String) -> KanaryDeploymentStatus {
    let name = names::base(&seen.kanary);
    // That a base was recorded is kept: one that is gone is never created again.
    let base = before.base.as_ref().filter(|base| base.name == name).map(|base| BaseStatus {
        name: name.clone(),
        uid: base.uid.clone(),
        created: base.created,
        ..BaseStatus::default()
    });
    // A restart finds the children of the run before; what the API server made of them is known.
    let children = before.canary.clone().filter(|_| !before.phase.is_some_and(Phase::is_over)).unwrap_or_default();
    let canary = CanaryStatus {
        deployment: names::canary(&seen.kanary),
        deployment_hash: children.deployment_hash,
        hpa_hash: children.hpa_hash,
        ..CanaryStatus::default()
    };
    KanaryDeploymentStatus {
        phase: Some(if is_due(seen) { Phase::Starting } else { Phase::Scheduled }),
        run: Some(before.run.unwrap_or_default().saturating_add(1)),
        run_id: seen.kanary.spec.run_id.clone(),
        template_hash: Some(hash),
        started_at: Some(seen.now),
        base,
        canary: Some(canary),
        previous_run_until: before.finished_at,
        manual_verdicts: before.manual_verdicts.clone(),
        ..KanaryDeploymentStatus::default()
    }
}

/// For which run a manual verdict is that is seen now for the first time and names none. One that changed with the template
/// is for the new run. If the spec was changed more than once since the last look, nobody knows which change came first: it
/// is for the run before, because no one has looked at the new one.
#[must_use]
pub fn of_new_verdicts(seen: &Observed, status: &KanaryDeploymentStatus) -> i64 {
    let now = status.run.unwrap_or(1);
    let before = seen.status();
    let changes =
        before.observed_generation.zip(seen.kanary.metadata.generation).map(|(then, now)| now.saturating_sub(then));
    match before.run {
        Some(last) if last != now && changes.is_some_and(|changes| changes > 1) => last,
        Some(_) | None => now,
    }
}

/// Has the time of `spec.schedule` come?
#[must_use]
pub fn is_due(seen: &Observed) -> bool {
    seen.kanary.spec.schedule.is_none_or(|schedule| schedule <= seen.now)
}
