//! The reconcile loop without I/O: what is observed and what came of each step goes in, the next step comes out.
//!
//! The controller, `kubectl kanary plan` and the simulation all run this loop; each performs the steps in its own way.
//!
//! # Guarantees
//! - A status goes with the observation that it was decided on, so a decision on a stale view is refused and made again.
//! - All writes of a plan come before its status, unless the last request failed: then the status comes first, so that what
//!   fails again does not keep it from being seen.
//! - The same failure twice, a stale view, and 32 decisions without a rest back off: 100 ms, doubled up to 60 s.
//!
//! # Assumptions
//! - Between [`Driver::observed`] and the next [`Step::Observe`], each step is performed once, and its result given back.
//! - All that is remembered here can be lost without harm.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    View,
    step::{Done, Step, StepError, Wait},
};
use crate::{
    decision::{Action, DryRun, Fault, Kind, Lookup, Observed, Plan, Routes},
    promql::{ClockMark, Outcome, Query, QueryHistory},
};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// More decisions than this without a rest are a fight with another client.
const MOST_DECISIONS: usize = 32;

enum State {
    /// An observation is needed.
    Stale,
    /// There is one, and nothing is decided on it.
    Observed,
    /// Something must be read before that.
    LookingUp(Lookup, Option<Timestamp>),
    /// It was, or could not be.
    LookedUp,
    /// The plan is being carried out.
    UnderWay {
        /// The action that is next.
        action: usize,
        /// The status is not written yet.
        owes_status: bool,
        /// The last request failed, so the status is all that is written.
        reports_fault: bool,
    },
    Resting(Wait),
}

/// One of each kind. Each answers itself, so that more are a mistake.
const MOST_LOOKUPS: usize = 4;

/// What makes a plan of an observation.
pub type Planner = Box<dyn Fn(&Observed) -> Plan + Send>;

/// The loop of one `KanaryDeployment`.
pub struct Driver {
    state: State,
    seen: Option<Arc<Observed>>,
    /// What was decided last.
    plan: Plan,
    /// In the place of the real one: the simulation plays with planners that make mistakes.
    planner: Option<Planner>,
    dry_run: Option<DryRun>,
    /// What Prometheus was queried for and answered, by name of the item.
    history: BTreeMap<String, QueryHistory>,
    /// The children as they were stored when they were written, by kind.
    stored: BTreeMap<Kind, String>,
    faults: Vec<Fault>,
    /// The write that failed last, if none succeeded since; a lookup may have failed in between.
    failed_write: Option<Fault>,
    /// A lookup of the present observation failed.
    is_unanswered: bool,
    /// How many lookups the present observation took.
    lookups: usize,
    /// There is progress to report since then.
    unreported_since: Option<Timestamp>,
    tries: u32,
    decisions: usize,
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            state: State::Stale,
            seen: None,
            plan: Plan::default(),
            planner: None,
            dry_run: None,
            history: BTreeMap::new(),
            stored: BTreeMap::new(),
            faults: Vec::new(),
            failed_write: None,
            is_unanswered: false,
            lookups: 0,
            unreported_since: None,
            tries: 0,
            decisions: 0,
        }
    }
}

impl Driver {
    /// A driver that decides by another planner.
    #[must_use]
    pub fn with_planner(planner: Planner) -> Self {
        Self { planner: Some(planner), ..Self::default() }
    }

    /// Takes an observation in the place of the last one, and adds what is remembered.
    pub fn observed(&mut self, mut seen: Observed) {
        self.recall(&mut seen);
        (self.is_unanswered, self.lookups) = (false, 0);
        self.state = State::Observed;
        self.seen = Some(Arc::new(seen));
    }

    /// Adds what is remembered to an observation.
    pub fn recall(&self, seen: &mut Observed) {
        seen.dry_run.clone_from(&self.dry_run);
        seen.stored.clone_from(&self.stored);
        seen.faults.clone_from(&self.faults);
        seen.answers.clone_from(&self.history);
    }

    /// The present observation.
    #[must_use]
    pub fn seen(&self) -> Option<&Arc<Observed>> {
        self.seen.as_ref()
    }

    /// What was decided on it last.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// When the next observation is due although there is something to do, as while a permit for it is awaited.
    #[must_use]
    pub fn requeue_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::LookingUp(_, due) => *due,
            State::UnderWay { .. } => self.plan.requeue_at,
            State::Stale | State::Observed | State::LookedUp | State::Resting(_) => None,
        }
    }

    /// Lets go of the observation and the plan, for as long as there is nothing to do.
    pub fn let_go(&mut self) {
        (self.seen, self.plan) = (None, Plan::default());
    }

    /// A controller that does not lead has nothing to do, and nothing to try again.
    pub fn stand_by(&mut self) {
        (self.tries, self.decisions) = (0, 0);
        // Another controller may write meanwhile.
        self.stored.clear();
        self.let_go();
    }

    /// The writes of the plan that are not made yet.
    pub fn writes(&self) -> impl Iterator<Item = &Action> {
        let next = match self.state {
            State::UnderWay { action, reports_fault: false, .. } => action,
            State::UnderWay { .. }
            | State::Stale
            | State::Observed
            | State::LookingUp(..)
            | State::LookedUp
            | State::Resting(_) => self.plan.actions.len(),
        };
        self.plan.actions.iter().skip(next)
    }

    /// Is the status of the plan not written yet?
    #[must_use]
    pub fn owes_status(&self) -> bool {
        matches!(self.state, State::UnderWay { owes_status: true, .. })
    }

    /// What is known of each item's queries.
    #[must_use]
    pub fn history(&self) -> &BTreeMap<String, QueryHistory> {
        &self.history
    }

    /// Keeps the history of these items only, and of those with a query under way.
    pub fn forget_items(&mut self, is_known: impl Fn(&str) -> bool) {
        self.history.retain(|name, history| history.pending.is_some() || is_known(name));
    }

    /// The result of a query.
    pub fn evaluated(&mut self, query: Query, sent: ClockMark, outcome: Outcome) {
        self.history.entry(query.item).or_default().record(query.hash, query.query, sent, outcome);
    }

    /// What the last request met with, if it failed.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What to do next, the same until its result is given to [`Driver::done`]; and the queries to send now, once: their
    /// results go to [`Driver::evaluated`] whenever they come.
    pub fn step(&mut self) -> (Vec<Query>, Step) {
        let queries = self.decide();
        let step = match &self.state {
            State::Stale | State::Observed | State::LookedUp => Step::Observe,
            State::LookingUp(lookup, _) => Step::Lookup(lookup.clone()),
            State::Resting(wait) => Step::Sleep(*wait),
            State::UnderWay { action, reports_fault, .. } => {
                let next = self.plan.actions.get(*action).filter(|_| !reports_fault);
                let status = self.plan.status.clone().map(|update| Step::WriteStatus(Box::new(update)));
                next.cloned().map(Step::Apply).or(status).unwrap_or(Step::Observe)
            }
        };
        (queries, step)
    }

    /// Decides on a new observation, unless something must be looked up first.
    fn decide(&mut self) -> Vec<Query> {
        let Some(seen) = self.seen.clone() else { return Vec::new() };
        match self.state {
            State::Observed => {
                let view = View::of(&seen);
                let queries = view.due_queries();
                if queries.is_empty() {
                    self.choose(&seen, view);
                } else {
                    drop(view);
                    drop(seen);
                    self.start(&queries);
                }
                queries
            }
            State::LookedUp => {
                self.choose(&seen, View::of(&seen));
                Vec::new()
            }
            State::Stale | State::LookingUp(..) | State::UnderWay { .. } | State::Resting(_) => Vec::new(),
        }
    }

    /// These queries are under way from now on, and the decision knows it.
    fn start(&mut self, queries: &[Query]) {
        let Some(seen) = self.seen.as_mut().map(Arc::make_mut) else { return };
        for query in queries {
            let history = self.history.entry(query.item.clone()).or_default();
            history.pending = Some(seen.now);
            seen.answers.insert(query.item.clone(), history.clone());
        }
        if let Some(seen) = self.seen.clone() {
            self.choose(&seen, View::of(&seen));
        }
    }

    fn choose(&mut self, seen: &Observed, view: View<'_>) {
        let may_ask = !self.is_unanswered && self.lookups < MOST_LOOKUPS;
        match view.lookup().filter(|_| may_ask) {
            Some(lookup) => {
                self.lookups += 1;
                self.state = State::LookingUp(lookup, view.requeue_at());
            }
            None => self.carry_out(seen, view),
        }
    }

    fn carry_out(&mut self, seen: &Observed, view: View<'_>) {
        let mut plan = self.planner.as_ref().map_or_else(|| view.plan(), |planner| planner(seen));
        self.defer(seen, &mut plan);
        let owes_status = plan.status.is_some();
        let reports_fault = !seen.faults.is_empty() && owes_status;
        self.plan = plan;
        self.state = State::UnderWay { action: 0, owes_status, reports_fault };
        self.conclude();
    }

    /// Mere progress is not written yet, unless something failed: then a person wants to know how things are.
    fn defer(&mut self, seen: &Observed, plan: &mut Plan) {
        let update = plan.status.as_ref().filter(|_| seen.faults.is_empty());
        self.unreported_since = update.map(|_| self.unreported_since.unwrap_or(seen.now));
        let until =
            update.zip(self.unreported_since).and_then(|(update, since)| update.deferred_until(since, seen.now));
        if let Some(until) = until {
            plan.status = None;
            plan.requeue_at = plan.requeue_at.into_iter().chain([until]).min();
        }
    }

    /// What came of the step that [`Driver::step`] answered last.
    pub fn done(&mut self, result: Result<Done, StepError>) {
        match (&mut self.state, result) {
            (State::LookingUp(..), result) => self.looked_up(result),
            (State::UnderWay { action, owes_status, reports_fault }, Ok(done)) => {
                self.failed_write = None;
                if let Done::Stored(kind, fingerprint) = done {
                    self.stored.insert(kind, fingerprint);
                }
                if *reports_fault || *action >= self.plan.actions.len() {
                    *owes_status = false;
                    self.unreported_since = None;
                } else {
                    *action += 1;
                }
                self.conclude();
            }
            (State::UnderWay { .. }, Err(StepError::Stale)) => self.back_off(),
            (State::UnderWay { .. }, Err(StepError::Failed(fault))) => {
                let is_repeated = self.failed_write.as_ref() == Some(&fault);
                self.failed_write = Some(fault.clone());
                self.faults = vec![fault];
                if is_repeated { self.back_off() } else { self.observe_again() }
            }
            (State::Stale | State::Observed | State::LookedUp | State::Resting(_), Ok(_) | Err(_)) => {}
        }
    }

    fn looked_up(&mut self, result: Result<Done, StepError>) {
        let State::LookingUp(lookup, _) = std::mem::replace(&mut self.state, State::LookedUp) else { return };
        let Some(seen) = self.seen.as_mut().map(Arc::make_mut) else { return };
        match (lookup, result) {
            (Lookup::DryRunPromotion { template_hash, base_hash, .. }, Ok(Done::DryRun(at, after))) => {
                let before = seen.base.as_ref().map(|base| &base.spec);
                self.dry_run = Some(DryRun::of(template_hash, base_hash, at, before, after));
            }
            (Lookup::ReadCanary, Ok(Done::Canary(canary, pods))) => {
                (seen.canary, seen.pods) = (canary, pods);
                seen.is_fresh = true;
            }
            (Lookup::ReadAbsent(_), Ok(Done::Absent(true))) => seen.is_absence_confirmed = true,
            (Lookup::ReadAbsent(_), Ok(Done::Absent(false))) => return self.observe_again(),
            (Lookup::ReadRoutes, Ok(Done::Routes(routes))) => seen.routes = Routes { is_fresh: true, ..routes },
            (_, Ok(_) | Err(StepError::Stale)) => self.is_unanswered = true,
            (_, Err(StepError::Failed(fault))) => {
                self.is_unanswered = true;
                self.faults = vec![fault];
            }
        }
        seen.dry_run.clone_from(&self.dry_run);
        seen.faults.clone_from(&self.faults);
    }

    /// Once all is written: what failed before need not hinder what comes now, least of all that a canary leaves
    /// production.
    fn conclude(&mut self) {
        let State::UnderWay { action, owes_status, reports_fault } = self.state else { return };
        if owes_status || (!reports_fault && action < self.plan.actions.len()) {
            return;
        }
        let is_empty = self.plan.actions.is_empty() && self.plan.status.is_none();
        let faults = self.seen.as_ref().map_or(&[][..], |seen| &seen.faults);
        let enters_phase = self.seen.as_ref().is_some_and(|seen| self.plan.enters_phase(seen));
        match (is_empty, reports_fault) {
            (true, _) if self.is_unanswered => self.back_off(),
            (true, _) if faults.is_empty() => {
                (self.tries, self.decisions) = (0, 0);
                self.state = State::Resting(Wait::Until(self.plan.requeue_at));
            }
            (_, true) if !enters_phase => self.back_off(),
            (true | false, true | false) => {
                self.faults.clear();
                self.observe_again();
            }
        }
    }

    /// A client that undoes our writes as fast as they are made does not get a storm in return.
    fn observe_again(&mut self) {
        self.decisions += 1;
        if self.decisions >= MOST_DECISIONS {
            return self.back_off();
        }
        self.state = State::Stale;
    }

    fn back_off(&mut self) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.tries.min(16)).min(LAST_RETRY);
        self.tries += 1;
        self.decisions = 0;
        self.state = State::Resting(Wait::BackOff(wait));
    }
}
