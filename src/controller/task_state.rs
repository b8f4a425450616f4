//! What the task of one resource remembers, and what it decides from that: whether progress is reported now, and when the
//! next step follows. It makes no request.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{clock, context::Context, endpoints::EndpointWatch, execute::ExecuteError, key::Key};
use crate::{
    api::Phase,
    decision::{DryRun, Fault, Observed, Plan},
    lifecycle,
    objects::Service,
    promql::QueryHistory,
};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Events come in bursts: a pod, its Deployment, its Service. Those that follow an observation within this time are observed
/// together; a single one, such as an invalidation label, is observed when it comes.
const BURST: Duration = Duration::from_millis(50);
/// While pods come and go, and no canary is evaluated or on the way out of production, there is more to observe together.
const LONG_BURST: Duration = Duration::from_millis(250);
/// Timers of this process and the clock of the host may drift apart: observe now and then.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// The task of one resource.
#[derive(Clone)]
pub struct Task {
    pub context: Arc<Context>,
    pub key: Key,
    /// Wakes it.
    pub signal: Arc<Notify>,
}

impl Task {
    /// How long events are collected: a canary that is evaluated, or must leave production, is observed again soon.
    pub fn burst(&self) -> Duration {
        let kanary = self.context.stores.kanaries.get(&self.key.namespace, &self.key.name);
        match kanary.and_then(|kanary| kanary.status.as_ref()?.phase) {
            Some(Phase::Validating | Phase::Failing) => BURST,
            Some(Phase::Scheduled | Phase::Starting | Phase::Promoting | Phase::Succeeded | Phase::Failed) | None => {
                LONG_BURST
            }
        }
    }
}

/// By name of the item.
pub type Answers = Mutex<BTreeMap<String, QueryHistory>>;

/// The Services of a namespace that matter to a canary and have no canary's label, as of the last observation. There may be
/// hundreds of others, and they seldom change.
#[derive(Default)]
pub struct Services {
    /// The revision, and the resource and its generation, that they were found for.
    pub of: Option<(u64, String, Option<i64>)>,
    pub found: Vec<Arc<Service>>,
}

/// What a task remembers between steps; all of it can be lost without harm.
#[derive(Default)]
pub struct TaskState {
    /// The last dry run of the promotion.
    pub dry_run: Option<DryRun>,
    /// The request that failed in the last step.
    pub faults: Vec<Fault>,
    /// The watch of the production Service's EndpointSlices, while the canary leaves it.
    pub endpoints: Option<EndpointWatch>,
    /// The Services that matter and have no canary's label.
    pub services: Services,
    /// Prometheus queries and their answers; an answer may come at any time.
    pub answers: Arc<Answers>,
    /// When this task last woke up.
    pub woken: Timestamp,
    /// There is progress to be reported since then.
    unreported_since: Option<Timestamp>,
    tries: u32,
    /// When there was last nothing left to do, so no query was due either.
    rested: Timestamp,
}

/// How far a plan was carried out.
pub enum Done {
    Nothing,
    FaultReported,
    All,
}

impl TaskState {
    pub fn new(now: Timestamp) -> Self {
        Self { rested: now, ..Self::default() }
    }

    /// Prometheus queries and their answers so far.
    pub fn answers(&self) -> BTreeMap<String, QueryHistory> {
        self.answers.lock().clone()
    }

    /// Since when a query that was due then could have been sent. At rest none was due: one that was due before that could
    /// not be sent yet, and what woke the task changed it.
    pub fn sendable_since(&self, due: Timestamp) -> Timestamp {
        if due < self.rested { self.woken } else { due }
    }

    /// What to do now. Mere progress is not reported yet, unless a request failed: then it explains what is stuck.
    pub fn decide(&mut self, seen: &Observed) -> Plan {
        let mut plan = lifecycle::plan(seen);
        let update = plan.status.as_ref().filter(|_| seen.faults.is_empty());
        self.unreported_since = update.map(|_| self.unreported_since.unwrap_or(seen.now));
        let until =
            update.zip(self.unreported_since).and_then(|(update, since)| update.deferred_until(since, seen.now));
        if let Some(until) = until {
            plan.status = None;
            plan.requeue_at = plan.requeue_at.into_iter().chain([until]).min();
        }
        plan
    }

    /// A request failed; did the same one fail in the last step already?
    pub fn fail(&mut self, fault: Fault) -> bool {
        let is_repeated = self.faults.first() == Some(&fault);
        self.faults = vec![fault];
        is_repeated
    }

    /// How long to sleep after a step; none: the next one follows at once.
    pub fn conclude(
        &mut self,
        seen: &Observed,
        plan: &Plan,
        is_unanswered: bool,
        result: Result<Done, ExecuteError>,
    ) -> Option<Duration> {
        if plan.status.is_some() {
            self.unreported_since = None;
        }
        match result {
            Ok(Done::Nothing) if is_unanswered => Some(self.retry()),
            Ok(Done::Nothing) if seen.faults.is_empty() => Some(self.rest(seen.now, plan.requeue_at)),
            Ok(Done::Nothing | Done::All) => self.go_on(),
            // What failed before need not hinder what comes now, least of all that a canary leaves production.
            Ok(Done::FaultReported) if plan.enters_phase(seen) => self.go_on(),
            Ok(Done::FaultReported) | Err(ExecuteError::Stale(_) | ExecuteError::NotLeader) => Some(self.retry()),
            Err(ExecuteError::Failed(fault)) => self.fail(fault).then(|| self.retry()),
        }
    }

    fn go_on(&mut self) -> Option<Duration> {
        self.faults.clear();
        None
    }

    /// Nothing to do: how long until something is due.
    pub fn rest(&mut self, observed: Timestamp, requeue_at: Option<Timestamp>) -> Duration {
        (self.tries, self.rested) = (0, observed);
        until(requeue_at)
    }

    /// How long to wait before the next try.
    pub fn retry(&mut self) -> Duration {
        let wait = FIRST_RETRY.saturating_mul(1 << self.tries.min(16)).min(LAST_RETRY);
        self.tries += 1;
        wait
    }
}

/// How long until then; there is an end to each sleep.
pub fn until(time: Option<Timestamp>) -> Duration {
    let due = time.map(|at| Duration::try_from(clock::now().duration_until(at)).unwrap_or_default());
    due.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_waits_from_when_it_could_be_sent() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let state = TaskState { rested: at(10), woken: at(15), ..TaskState::default() };
        assert_eq!(state.sendable_since(at(12)), at(12), "the timer was late");
        assert_eq!(state.sendable_since(at(3)), at(15), "until it woke, its canary was not there");
    }
}
