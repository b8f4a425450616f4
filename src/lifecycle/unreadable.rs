//! Objects that a run needs and that cannot be read: it is paused until they can be, and says so. They are there, so nothing
//! is taken for gone.

use super::{condition::set, facts::Facts};
use crate::{
    api::{ConditionStatus, ConditionType, Explanation, KanaryDeploymentStatus, Phase, Reason, names},
    decision::{Kind, Notice, Observed, Plan, StatusUpdate},
    objects::{Object, Unreadable},
    traffic,
};

/// One that the run made, or that may contain its mirror. While there is one, it is not known whether all is removed.
pub(super) fn child(seen: &Observed) -> Option<&Unreadable> {
    let base = names::base(&seen.kanary);
    let is_users = |why: &Unreadable| {
        let is = |kind: Kind, name: &str| why.kind == kind.as_str() && why.name == name;
        is(Kind::Deployment, &base)
            || is(Kind::KanaryDeployment, seen.kanary.name())
            || seen.kanary.spec.service_name.as_deref().is_some_and(|service| is(Kind::Service, service))
    };
    seen.unreadable.iter().find(|why| !is_users(why))
}

/// What is in the way after a verdict.
pub(super) fn after_verdict(seen: &Observed, phase: Phase) -> Option<Explanation> {
    let base = if phase == Phase::Promoting { seen.unreadable_base() } else { None };
    base.or_else(|| child(seen)).map(Unreadable::explain)
}

/// The plan for a resource that cannot be read itself: what it requests is not known, so its canary gets no traffic, and
/// everything else stays as it is.
pub(super) fn plan(seen: &Observed, facts: &Facts, why: &Unreadable) -> Plan {
    let mut actions = facts.traffic.withdraw();
    actions.extend(traffic::remove_own_routes(seen));
    // A status that cannot be read is not replaced: it may contain all that is known of the run.
    let status = if why.field.starts_with("status") { None } else { update(seen, facts, why) };
    Plan { actions, status, requeue_at: None }
}

/// A status that cannot be read cannot say so itself, so an event does.
#[must_use]
pub fn event(seen: &Observed) -> Option<Notice> {
    let why = seen.unreadable_itself().filter(|why| why.field.starts_with("status"))?;
    let name = seen.kanary.name();
    let note = format!(
        "{why}, with kubectl edit kanarydeployment {name} --subresource=status; until then its canary gets no traffic, and \
         nothing is decided or reported"
    );
    Some(Notice { warning: true, reason: Reason::Unreadable, note })
}

fn update(seen: &Observed, facts: &Facts, why: &Unreadable) -> Option<StatusUpdate> {
    let before = seen.status();
    let mut status: KanaryDeploymentStatus = before.clone();
    let why = why.explain();
    status.message = Some(why.message.clone());
    if status.condition(ConditionType::Traffic).is_some() && !status.phase.is_some_and(Phase::is_over) {
        let message = "the canary gets no traffic while its KanaryDeployment cannot be read";
        let removed = Explanation::new(Reason::Unreadable, message);
        set(seen, &mut status, ConditionType::Traffic, ConditionStatus::False, removed);
    }
    if let Some(canary) = &mut status.canary {
        canary.routes = facts.traffic.routes();
    }
    set(seen, &mut status, ConditionType::Ready, ConditionStatus::False, why.clone());
    set(seen, &mut status, ConditionType::Reconciling, ConditionStatus::False, why.clone());
    set(seen, &mut status, ConditionType::Stalled, ConditionStatus::True, why.clone());
    let is_told = before.condition(ConditionType::Stalled).is_some_and(|stalled| stalled.reason == Reason::Unreadable);
    let notice = Notice { warning: true, reason: why.reason, note: why.message };
    let notices = if is_told { Vec::new() } else { vec![notice] };
    (status != *before).then_some(StatusUpdate { status, notices, can_wait: false })
}
