//! What the task of one resource remembers. It decides nothing (`lifecycle::driver` does) and makes no request.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{clock, context::Context, endpoints::EndpointWatch, key::Key, subsets::Subsets};
use crate::{
    api::Phase,
    decision::Notice,
    lifecycle::driver::Driver,
    objects::Service,
    promql::{ClockMark, Outcome, Query},
};

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

/// A result that came from Prometheus: of which query, when it was sent, and what it says.
pub type Answer = (Query, ClockMark, Outcome);

/// The Services of a namespace that matter to a canary and have no canary's label, as of the last observation. There may be
/// hundreds of others, and they seldom change.
#[derive(Default)]
pub struct Services {
    /// The revision, the resource and its generation, and the hash of the base's pod template, that they were found for.
    pub of: Option<(u64, String, Option<i64>, Option<String>)>,
    pub found: Vec<Arc<Service>>,
}

/// What a task remembers between observations; all of it can be lost without harm.
#[derive(Default)]
pub struct TaskState {
    /// Decides what comes next.
    pub driver: Driver,
    /// Results that the driver does not know yet; one may come at any time.
    pub answers: Arc<Mutex<Vec<Answer>>>,
    /// The watch of the production Service's EndpointSlices, while the canary leaves it.
    pub endpoints: Option<EndpointWatch>,
    /// The Services that matter and have no canary's label.
    pub services: Services,
    /// The last event of a resource whose status cannot be read: it is published once.
    pub unreadable: Option<Notice>,
    /// What names subsets of production's pods.
    pub subsets: Subsets,
    /// When this task last woke up.
    pub woken: Timestamp,
    /// When there was last nothing left to do, so no query was due either.
    pub rested: Timestamp,
}

impl TaskState {
    pub fn new(now: Timestamp) -> Self {
        Self { rested: now, ..Self::default() }
    }

    /// Since when a query that was due then could have been sent. At rest none was due: one that was due before that could
    /// not be sent yet, and what woke the task changed it.
    pub fn sendable_since(&self, due: Timestamp) -> Timestamp {
        if due < self.rested { self.woken } else { due }
    }

    /// Results that came go to the driver.
    pub fn take_answers(&mut self) {
        for (query, sent, outcome) in self.answers.lock().drain(..) {
            self.driver.evaluated(query, sent, outcome);
        }
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
