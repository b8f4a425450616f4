//! What the status records of the canary's objects.

use jiff::Timestamp;

use super::{actions, facts::Facts};
use crate::{
    api::{CanaryStatus, KanaryDeploymentStatus, Phase, names},
    canary::Readiness,
    decision::{Action, Kind, Observed},
    objects::Object,
};

/// What the status says of the canary's objects.
pub(super) fn record_canary(seen: &Observed, status: &mut KanaryDeploymentStatus, facts: &Facts, planned: &[Action]) {
    if status.phase.is_none_or(Phase::is_over) {
        return;
    }
    // After a failed request the status is written before anything else, so what is planned says nothing of what is there.
    let rewritten = |kind| seen.faults.is_empty() && planned.iter().any(|action| action.rewrites() == Some(kind));
    let before = status.canary.clone().unwrap_or_default();
    let canary = seen.own_canary();
    // Of a canary that is being removed only the end is news.
    let is_over = matches!(status.phase, Some(Phase::Promoting | Phase::Failing));
    let (ready_replicas, replicas) = match canary {
        Some(canary) if is_over && canary.is_terminating() => (before.ready_replicas, before.replicas),
        Some(canary) => (canary.status.ready_replicas, canary.spec.replicas),
        None => (0, 0),
    };
    let record = |kind, is_there: bool| {
        if is_there && !rewritten(kind) { seen.recorded(kind).map(str::to_owned) } else { None }
    };
    let spec = &seen.kanary.spec;
    status.canary = Some(CanaryStatus {
        deployment: names::canary(&seen.kanary),
        service: spec.traffic.source.has_kanary_service().then(|| names::kanary_service(&seen.kanary)),
        hpa: spec.scale.hpa.as_ref().map(|_| names::canary(&seen.kanary)),
        routes: facts.traffic.routes(),
        ready_replicas,
        replicas,
        deployment_hash: record(Kind::Deployment, canary.is_some()),
        hpa_hash: record(Kind::HorizontalPodAutoscaler, seen.own_autoscaler().is_some()),
        uids: seen.own_uids(),
        leaving_since: before.leaving_since.or_else(|| actions::is_ending(seen, status).then_some(seen.now)),
        unavailable_since: unavailable_since(seen, status.phase, &facts.readiness, before.unavailable_since),
    });
}

/// It counts while the canary is awaited or evaluated: one that is being removed is not news.
fn unavailable_since(
    seen: &Observed,
    phase: Option<Phase>,
    readiness: &Readiness,
    before: Option<Timestamp>,
) -> Option<Timestamp> {
    match (phase, readiness) {
        (Some(Phase::Starting), Readiness::NotReady(_))
        | (Some(Phase::Validating), Readiness::Absent | Readiness::NotReady(_)) => before.or(Some(seen.now)),
        (
            None
            | Some(
                Phase::Scheduled
                | Phase::Starting
                | Phase::Validating
                | Phase::Promoting
                | Phase::Failing
                | Phase::Succeeded
                | Phase::Failed,
            ),
            Readiness::Absent | Readiness::Ready | Readiness::NotReady(_),
        ) => None,
    }
}
