//! The writes that the persisted phase requires.

use jiff::{SignedDuration, Timestamp};

use super::{base, base::Rollout, children, facts::Facts, neighbours, unreadable};
use crate::{
    api::{Cleanup, KanaryDeploymentStatus, Phase},
    canary::Readiness,
    decision::{Action, Observed},
    traffic::{self, Extent},
};

/// After the run the canary's pods have this long to leave the production Service's EndpointSlices.
const LEAVE_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// The writes of this phase, in order; at most one for each object.
pub(super) fn act(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    match status.phase {
        None => Vec::new(),
        // A restart may have left a canary that is not evaluated.
        Some(Phase::Scheduled) => withdraw(seen, facts),
        Some(Phase::Starting) => start(seen, status, facts),
        Some(Phase::Validating) => maintain(seen, facts),
        Some(Phase::Promoting) => promote(seen, status, facts),
        Some(Phase::Failing) => leave(seen, status, facts),
        // A write of ours that arrived late, or of a controller that is no longer the leader.
        Some(Phase::Succeeded | Phase::Failed) => end(seen, facts),
    }
}

fn start(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    if base::is_pinned(status) && !facts.is_hindered() {
        return maintain(seen, facts);
    }
    // What a restart found is not made again yet, but it goes where the spec sends it.
    let mut actions = put(facts, Extent::NoneJoins, Vec::new());
    let is_first = status.base.is_none() && seen.base.is_none();
    let is_known = seen.endpoints.is_some() || !neighbours::needs_endpoints(seen);
    if is_first && is_known && facts.refusal.is_none() {
        actions.push(base::create(seen));
    }
    actions
}

/// Traffic first: a child that the API server refuses must not keep pods in production.
fn maintain(seen: &Observed, facts: &Facts) -> Vec<Action> {
    let available = facts.readiness == Readiness::Ready;
    if facts.refusal.is_some() {
        return put(facts, Extent::NoMore { available }, Vec::new());
    }
    put(facts, Extent::All { available }, children::ensure(seen, &facts.withheld, &facts.desired_hash))
}

/// Pods and Services, then the children, then the routes.
fn put(facts: &Facts, extent: Extent, children: Vec<Action>) -> Vec<Action> {
    let mut actions = facts.traffic.ensure(extent);
    actions.extend(children);
    actions.extend(facts.traffic.ensure_routes(extent));
    actions
}

fn promote(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    match base::rollout(seen, status) {
        Rollout::Due if base::drift(seen, status).is_none() => base::promote(seen).into_iter().collect(),
        rollout if is_ended_by(seen, &rollout) => leave(seen, status, facts),
        // The rollout may take hours. A source that requests less traffic meanwhile gets less.
        Rollout::Due
        | Rollout::Withheld(_)
        | Rollout::Paused
        | Rollout::RollingOut
        | Rollout::Stalled(_)
        | Rollout::Unreadable(_)
        | Rollout::LeftAlone
        | Rollout::Done => put(facts, Extent::Less { available: facts.readiness == Readiness::Ready }, Vec::new()),
    }
}

/// Is the canary no longer needed for the base? One that cannot begin its rollout is given the canary's room, too.
pub(super) fn is_ended_by(seen: &Observed, rollout: &Rollout) -> bool {
    let makes_room = seen.kanary.spec.validation.cleanup == Cleanup::RolloutStarted;
    rollout.is_over() || (makes_room && matches!(rollout, Rollout::Stalled(_)))
}

/// Is a canary that succeeded on its way out?
pub(super) fn is_ending(seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
    status.phase == Some(Phase::Promoting) && is_ended_by(seen, &base::rollout(seen, status))
}

/// The canary leaves production first; what is left is deleted once no EndpointSlice lists its pods.
fn leave(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Vec<Action> {
    let leaves = facts.traffic.withdraw();
    let is_overdue = leave_by(status).is_some_and(|deadline| deadline <= seen.now);
    if leaves.is_empty() {
        return match (is_overdue || !traffic::is_leaving(seen), kept_until(seen, status)) {
            (false, _) => Vec::new(),
            (true, Some(until)) if seen.now < until => children::remove_all_but_pods(seen),
            (true, Some(_) | None) => end(seen, facts),
        };
    }
    // A write that is refused must not keep a canary in production: without pods it is out as well.
    let mut actions = if is_overdue { children::remove_all(seen) } else { Vec::new() };
    actions.extend(leaves);
    actions
}

/// Out of production, then removed.
fn withdraw(seen: &Observed, facts: &Facts) -> Vec<Action> {
    let leaves = facts.traffic.withdraw();
    if leaves.is_empty() { end(seen, facts) } else { leaves }
}

/// First nothing refers to the canary any more, then it is removed, then the finalizer.
fn end(seen: &Observed, facts: &Facts) -> Vec<Action> {
    let cleared = facts.traffic.clear_routes();
    if !cleared.is_empty() {
        return cleared;
    }
    let removals = children::remove_all(seen);
    // What cannot be read may still refer to the canary.
    if removals.is_empty() && unreadable::child(seen).is_none() { facts.traffic.release() } else { removals }
}

/// Until when the pods of a failed canary are kept to be inspected; not while another run waits for their names.
pub(super) fn kept_until(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    let spec = &seen.kanary.spec;
    let is_wanted = spec.validation.keep_failed_for.is_positive() && status.phase == Some(Phase::Failing);
    let is_superseded = status.template_hash.as_deref() != Some(spec.template.hash()) || status.run_id != spec.run_id;
    let verdict = status.verdict_at.filter(|_| is_wanted && !is_superseded)?;
    verdict.saturating_add(spec.validation.keep_failed_for).ok()
}

/// When a canary is removed even if an EndpointSlice still lists its pods.
pub(super) fn leave_by(status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    let since = match status.phase {
        Some(Phase::Failing) => status.verdict_at,
        Some(Phase::Promoting) => status.canary.as_ref()?.leaving_since,
        Some(Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Succeeded | Phase::Failed) | None => None,
    };
    since?.saturating_add(LEAVE_WITHIN).ok()
}
