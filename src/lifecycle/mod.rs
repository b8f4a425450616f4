//! What happens next: from all that is observed to what is done, what the status reports, and when to reconcile again.
//!
//! Pure: no I/O, no clock, no randomness. The same observation gives the same plan, always.

mod actions;
pub mod base;
mod base_condition;
mod bounds;
mod canary_status;
pub mod children;
mod clock;
mod coalesce;
mod condition;
mod conditions;
pub mod driver;
mod events;
mod facts;
mod guards;
mod neighbours;
pub mod phase;
mod preflight;
mod readiness;
mod remains;
pub mod run;
pub mod step;
mod summary;
pub mod unreadable;
mod warnings;

use facts::Facts;
use jiff::Timestamp;
use phase::Guards;
use run::NewRun;

use crate::{
    api::{Explanation, KanaryDeploymentStatus, Phase},
    decision::{Action, Kind, Lookup, Notice, Observed, Plan, StatusUpdate, Target},
    objects::{Object, Unreadable},
    promql::Query,
    traffic, validation,
};

/// What must be read from the API server before a plan can be made of this observation.
#[must_use]
pub fn lookup(seen: &Observed) -> Option<Lookup> {
    View::of(seen).lookup()
}

/// What to query of Prometheus now. Nothing waits for the results: they are observed when they come.
#[must_use]
pub fn due_queries(seen: &Observed) -> Vec<Query> {
    View::of(seen).due_queries()
}

/// What to do, what to report and when to reconcile again. It never fails: what cannot be done is a condition.
#[must_use]
pub fn plan(seen: &Observed) -> Plan {
    View::of(seen).plan()
}

/// An observation, and what follows from it: computed once, for all that is decided on it.
pub struct View<'a> {
    seen: &'a Observed,
    facts: Facts<'a>,
    new_run: Option<NewRun>,
    /// What the persisted phase requires.
    actions: Vec<Action>,
    /// What it requires to be created, if it is not known for certain that it is absent.
    unconfirmed: Vec<Target>,
    /// The status brought up to now, but for its phase and what it reports to people.
    status: KanaryDeploymentStatus,
    guards: Guards,
}

impl<'a> View<'a> {
    /// Actions follow from the *persisted* phase: the next phase goes into the status first, and is acted on once that is
    /// persisted.
    #[must_use]
    pub fn of(seen: &'a Observed) -> Self {
        let facts = Facts::gather(seen);
        let new_run = if is_deleted(seen) { None } else { run::new_run(seen) };
        let mut status = new_run.as_ref().map_or_else(|| seen.status().clone(), |run| run.status.clone());
        let is_persisted = new_run.is_none() && !is_deleted(seen);
        let mut actions = if is_persisted { actions::act(seen, &status, &facts) } else { Vec::new() };
        let unconfirmed = take_unconfirmed(seen, &mut actions);
        let first = run::of_new_verdicts(seen, &status);
        validation::given::record(&seen.kanary, &mut status, first);
        pin_base(seen, &mut status);
        canary_status::record_canary(seen, &mut status, &facts, &actions);
        let guards = guards::guards(seen, &mut status, &facts);
        Self { seen, facts, new_run, actions, unconfirmed, status, guards }
    }

    /// What must be read from the API server before a plan can be made.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        if self.seen.unreadable_itself().is_some() {
            return None;
        }
        let phase = self.status.phase;
        let before_write = match phase {
            Some(Phase::Starting | Phase::Validating) => true,
            Some(Phase::Promoting) => !base::is_promoted(self.seen, &self.status),
            Some(Phase::Scheduled | Phase::Failing | Phase::Succeeded | Phase::Failed) | None => false,
        };
        let dry_run = if before_write && !is_deleted(self.seen) { base::lookup(self.seen, &self.status) } else { None };
        let canary = || self.is_about_to_succeed().then_some(Lookup::ReadCanary);
        dry_run.or_else(canary).or_else(|| self.routes_lookup()).or_else(|| self.absence_lookup())
    }

    /// When the next observation is due, if nothing happens before.
    #[must_use]
    pub fn requeue_at(&self) -> Option<Timestamp> {
        requeue_at(self.seen, &self.status, &self.facts)
    }

    /// Would it be a success, if all is as it looks? A success is final, so it is checked against the cluster first.
    fn is_about_to_succeed(&self) -> bool {
        let is_validating = self.new_run.is_none() && self.status.phase == Some(Phase::Validating);
        if self.seen.is_fresh || is_deleted(self.seen) || !is_validating {
            return false;
        }
        let fresh = Guards { is_fresh: true, ..self.guards.clone() };
        phase::next(Phase::Validating, &fresh).is_some_and(|(phase, _)| phase == Phase::Promoting)
    }

    /// While a watch is broken nothing is created, whatever is there.
    fn absence_lookup(&self) -> Option<Lookup> {
        let is_due = !self.unconfirmed.is_empty() && !self.seen.is_blind();
        is_due.then(|| Lookup::ReadAbsent(self.unconfirmed.clone()))
    }

    /// Is nothing left that comes before the finalizer?
    fn routes_lookup(&self) -> Option<Lookup> {
        let nothing_left = || children::remove_all(self.seen).is_empty();
        let ends = match self.status.phase {
            _ if is_deleted(self.seen) => nothing_left() || keeps_children(self.seen),
            None => false,
            Some(Phase::Promoting) if self.guards.rollout.is_over() => nothing_left(),
            Some(Phase::Starting | Phase::Validating | Phase::Promoting) => !self.facts.traffic.needs_routes(),
            Some(Phase::Scheduled | Phase::Failing | Phase::Succeeded | Phase::Failed) => nothing_left(),
        };
        if ends { self.facts.traffic.lookup() } else { None }
    }

    /// What to query of Prometheus now; at most one query an item is under way.
    #[must_use]
    pub fn due_queries(&self) -> Vec<Query> {
        let (seen, persisted) = (self.seen, self.seen.status());
        if is_deleted(seen) || self.new_run.is_some() || seen.unreadable_itself().is_some() {
            return Vec::new();
        }
        if self.facts.traffic.requeue_at(persisted).is_some_and(|due| due <= seen.now) {
            return self.facts.traffic.query(persisted).into_iter().collect();
        }
        // An edit is persisted first: a result that came meanwhile would not count.
        let is_judged = persisted.phase == Some(Phase::Validating) && !validation::is_edited(seen);
        if !is_judged || !validation::has_queries(seen) || !self.facts.is_at_work(seen, persisted) {
            return Vec::new();
        }
        validation::due_queries(seen, persisted)
    }

    /// What to do, what to report and when to reconcile again.
    ///
    /// A canary that fails leaves production at once: that is safe whatever becomes of the status.
    #[must_use]
    pub fn plan(self) -> Plan {
        let Self { seen, facts, new_run, mut actions, unconfirmed: _, mut status, guards } = self;
        if is_deleted(seen) {
            let in_the_way = unreadable::child(seen);
            let leaves = facts.traffic.withdraw();
            let has_left = leaves.is_empty();
            let actions = if has_left && in_the_way.is_none() { depart(seen, &facts) } else { leaves };
            let blocked = facts.traffic.blocked().or_else(|| in_the_way.map(Unreadable::explain));
            return Plan { actions, status: readiness::of_deletion(seen, blocked, has_left), requeue_at: None };
        }
        if let Some(why) = seen.unreadable_itself() {
            return unreadable::plan(seen, &facts, why);
        }
        let is_persisted = new_run.is_none();
        let mut notices: Vec<Notice> = new_run.map(|run| run.notice).into_iter().collect();
        let next = if is_persisted { phase::next(status.phase.unwrap_or(Phase::Scheduled), &guards) } else { None };
        if let Some((phase, mut why)) = next {
            if phase == Phase::Failing {
                why.message.push_str(&guards::trouble(&why, &facts));
            }
            notices.push(enter(seen, &mut status, phase, &why, &guards));
            if phase == Phase::Failing {
                actions = facts.traffic.withdraw();
            }
        }
        notices.extend(conditions::update(seen, &mut status, &facts, &guards));
        bounds::fit(&mut status);
        let requeue_at = requeue_at(seen, &status, &facts);
        Plan { status: status_update(seen, status, notices, &actions), actions, requeue_at }
    }
}

/// Nothing is created because a store lacks it: a store may be behind.
fn take_unconfirmed(seen: &Observed, actions: &mut Vec<Action>) -> Vec<Target> {
    if seen.is_absence_confirmed && !seen.is_blind() {
        return Vec::new();
    }
    actions.extract_if(.., |action| action.creates()).map(|action| action.target().clone()).collect()
}

fn status_update(
    seen: &Observed,
    status: KanaryDeploymentStatus,
    notices: Vec<Notice>,
    actions: &[Action],
) -> Option<StatusUpdate> {
    if Some(&status) == seen.kanary.status.as_ref() || patches_own_resource(seen, actions) {
        return None;
    }
    let can_wait = notices.is_empty() && coalesce::is_progress(seen.status(), &status);
    Some(StatusUpdate { status, notices, can_wait })
}

/// Does the plan write the resource itself? A status that goes with the resourceVersion of before would be refused. After
/// a failed request the status goes first.
fn patches_own_resource(seen: &Observed, actions: &[Action]) -> bool {
    seen.faults.is_empty() && actions.iter().any(|action| action.target().kind == Kind::KanaryDeployment)
}

/// Must the EndpointSlices of the production Service be known: while pods leave it, or before a base is created?
#[must_use]
pub fn needs_endpoints(seen: &Observed) -> bool {
    let is_leaving = is_ending(seen.status()) && seen.pods.iter().any(|pod| traffic::was_in_production(pod));
    is_leaving || (seen.status().phase == Some(Phase::Starting) && neighbours::needs_endpoints(seen))
}

/// Is the canary on its way out of production?
#[must_use]
fn is_ending(status: &KanaryDeploymentStatus) -> bool {
    match status.phase {
        Some(Phase::Failing) => true,
        Some(Phase::Promoting) => status.canary.as_ref().is_some_and(|canary| canary.leaving_since.is_some()),
        Some(Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Succeeded | Phase::Failed) | None => false,
    }
}

fn is_deleted(seen: &Observed) -> bool {
    seen.kanary.metadata.deletion_timestamp.is_some()
}

/// Removes what a resource made, once it gets no traffic. Owner references normally do that. But a finalizer of any client can
/// delay the deletion, and an unevaluated canary must not stay meanwhile.
fn depart(seen: &Observed, facts: &Facts) -> Vec<Action> {
    let removals = children::remove_all(seen);
    if removals.is_empty() || keeps_children(seen) { facts.traffic.release() } else { removals }
}

/// With `kubectl delete --cascade=orphan` the objects stay; only their traffic is taken away.
fn keeps_children(seen: &Observed) -> bool {
    seen.kanary.has_finalizer("orphan")
}

fn pin_base(seen: &Observed, status: &mut KanaryDeploymentStatus) {
    match status.phase {
        Some(Phase::Starting) if !base::is_pinned(status) => {
            status.base = base::pin(seen).or_else(|| status.base.take()).or_else(|| base::record(seen));
        }
        Some(Phase::Starting | Phase::Validating) => base::record_dry_run(seen, status),
        Some(Phase::Scheduled | Phase::Promoting | Phase::Failing | Phase::Succeeded | Phase::Failed) | None => {}
    }
}

fn enter(
    seen: &Observed,
    status: &mut KanaryDeploymentStatus,
    phase: Phase,
    why: &Explanation,
    guards: &Guards,
) -> Notice {
    status.phase = Some(phase);
    match phase {
        Phase::Starting => status.started_at = Some(seen.now),
        Phase::Validating => clock::start(status, seen),
        Phase::Promoting | Phase::Failing => {
            status.verdict_at = Some(seen.now);
            status.items.clone_from(&guards.items);
        }
        Phase::Succeeded | Phase::Failed => status.finished_at = Some(seen.now),
        Phase::Scheduled => {}
    }
    conditions::enter(seen, status, phase, why, guards)
}

/// When something is due that no watch announces.
fn requeue_at(seen: &Observed, status: &KanaryDeploymentStatus, facts: &Facts) -> Option<Timestamp> {
    let stuck = || guards::stuck_at(seen, status, facts);
    let dry_run =
        || if base::needs_dry_run(seen, status) { base::dry_run(seen).map(base::retry_dry_run_at) } else { None };
    let evidence = || if facts.is_at_work(seen, status) { validation::wake(seen, status) } else { None };
    let earliest = |times: [Option<Timestamp>; 3]| times.into_iter().flatten().min();
    let due = match status.phase? {
        Phase::Scheduled => seen.kanary.spec.schedule,
        Phase::Starting => earliest([stuck(), dry_run(), facts.traffic.requeue_at(status)]),
        Phase::Validating if status.held_since.is_some() => earliest([stuck(), evidence(), dry_run()]),
        Phase::Validating => earliest([status.deadline.filter(|deadline| *deadline > seen.now), evidence(), None]),
        Phase::Promoting | Phase::Failing => {
            let times = [actions::leave_by(status), actions::kept_until(seen, status)];
            times.into_iter().flatten().filter(|time| *time > seen.now).min()
        }
        Phase::Succeeded | Phase::Failed => None,
    };
    due.map(|due| due.max(seen.now))
}
