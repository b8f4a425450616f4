//! One task reconciles one `KanaryDeployment`: it observes, decides, acts, updates the status, and sleeps until something
//! happens.
//!
//! A task of its own means that a request that hangs delays this canary only, and that no two reconciliations of it overlap.
//!
//! Not here: what comes next (`lifecycle::driver`), and how it is done (`execute`, `lookup`, `queries`, `status`).

use std::{pin::pin, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{sync::mpsc::UnboundedReceiver, time::Instant};
use tracing::Instrument;

use super::{
    clock,
    context::Context,
    endpoints::EndpointWatch,
    execute::{self, ExecuteError},
    key::Key,
    lookup, observe, queries,
    queue::New,
    status,
    supervise::supervise,
    task_state::{Task, TaskState, until},
    turns::Turn,
};
use crate::{
    api::KanaryDeployment,
    decision::{Fault, Observed},
    lifecycle::{
        self,
        step::{Done, Step, StepError, Wait},
        unreadable,
    },
    objects::Object,
};

/// Spawns a task for each resource that is new in the queue.
pub async fn dispatch(context: Arc<Context>, mut new: UnboundedReceiver<New>) {
    while let Some((key, signal)) = new.recv().await {
        if !context.is_known(&key) {
            retire(&context, &key);
            continue;
        }
        let task = Task { context: context.clone(), key, signal };
        supervise(format!("{}/{}", task.key.namespace, task.key.name), move || run(task.clone()));
    }
}

/// Ends a task. The resource may be back since the task last observed; the events of that woke the old task.
fn retire(context: &Context, key: &Key) {
    context.queue.dismiss(key);
    if context.is_known(key) {
        context.queue.wake(key);
    }
}

/// Reconciles one resource until it is gone.
async fn run(task: Task) {
    let mut state = TaskState::new(clock::now());
    while let Some(sleep) = reconcile(&task, &mut state).await {
        let observed = Instant::now();
        tokio::select! {
            () = task.signal.notified() => tokio::time::sleep_until(observed + task.burst()).await,
            () = tokio::time::sleep(sleep) => {}
        }
    }
    task.context.metrics.forget(&task.key, state.driver.history().keys().map(String::as_str));
    retire(&task.context, &task.key);
}

/// Steps until there is nothing to do. Returns how long to sleep, or nothing once the resource is gone.
async fn reconcile(task: &Task, state: &mut TaskState) -> Option<Duration> {
    state.woken = clock::now();
    loop {
        let wait = match acquire_permit(task, state).await? {
            Ready::Idle(wait) => Some(wait),
            Ready::Permit(_permit, step) => perform_all(task, state, step).await,
        };
        match wait {
            None => {}
            Some(Wait::BackOff(wait)) => {
                state.driver.let_go();
                return Some(wait);
            }
            Some(Wait::Until(time)) => {
                if let Some(seen) = state.driver.seen() {
                    state.rested = seen.now;
                }
                state.driver.let_go();
                return Some(until(time));
            }
        }
    }
}

/// Whether there is something to do.
enum Ready {
    /// Not for this long.
    Idle(Wait),
    /// This, as far as can be seen now, and requests may be made for it.
    Permit(Turn, Step),
}

/// Waits for a permit to make requests to the API server, or until there is nothing to do; none, if the resource is gone.
///
/// Permits are short where thousands write, or where the server is slow. Queries that are due are sent to Prometheus
/// meanwhile: evidence that comes late pauses the clock, and to report that takes two more writes, for which all wait longer.
async fn acquire_permit(task: &Task, state: &mut TaskState) -> Option<Ready> {
    let permits = &task.context.permits;
    let mut permit = pin!(permits.take(&task.key.namespace));
    let mut mine = permits.try_take();
    loop {
        if !task.context.leadership.holds() {
            (state.endpoints, state.rested) = (None, clock::now());
            state.driver.stand_by();
            return task.context.is_known(&task.key).then_some(Ready::Idle(Wait::Until(None)));
        }
        let turn = task.context.decisions.take(&task.key.namespace).await;
        let step = observe(task, state)?;
        drop(turn);
        let requeue_at = match step {
            Step::Sleep(wait) => return Some(Ready::Idle(wait)),
            Step::Observe => continue,
            step @ (Step::Lookup(_) | Step::Apply(_) | Step::WriteStatus(_)) => match mine {
                Some(permit) => return Some(Ready::Permit(permit, step)),
                None => state.driver.requeue_at(),
            },
        };
        // All events that come until then are observed together: where many tasks wait, there are many.
        let observed = Instant::now();
        let events = async {
            task.signal.notified().await;
            tokio::time::sleep_until(observed + task.burst()).await;
        };
        // What is due already needs the permit, or waits for a status update that does.
        let due = requeue_at.filter(|due| *due > clock::now());
        tokio::select! {
            permit = &mut permit => mine = Some(permit),
            () = events => {}
            () = tokio::time::sleep(until(due)) => {}
        }
    }
}

/// Observes what is there now, and decides what comes next; none, if the resource is gone.
fn observe(task: &Task, state: &mut TaskState) -> Option<Step> {
    // What an event reports is in a store before it wakes the task, so this observation has it: the signal is used up.
    let _ = task.signal.notified().now_or_never();
    task.context.metrics.reconciled();
    state.take_answers();
    let seen = observe::gather(&task.context, &task.key, state)?;
    watch_endpoints(task, state, &seen);
    let kanary = seen.kanary.clone();
    tell_unreadable(task, state, &seen);
    state.driver.observed(seen);
    let (queries, step) = state.driver.step();
    queries::send_all(task, state, &kanary, queries);
    queries::forget_old(task, &mut state.driver, &kanary);
    Some(step)
}

/// Performs steps until something must be observed, which returns nothing, or there is nothing to do for a while.
async fn perform_all(task: &Task, state: &mut TaskState, mut step: Step) -> Option<Wait> {
    let kanary = state.driver.seen()?.kanary.clone();
    loop {
        // A status may begin a run.
        let update = match &step {
            Step::WriteStatus(update) => Some(&update.status),
            Step::Observe | Step::Lookup(_) | Step::Apply(_) | Step::Sleep(_) => kanary.status.as_ref(),
        };
        let run = update.and_then(|status| status.run);
        let result = match step {
            Step::Observe => return None,
            Step::Sleep(wait) => return Some(wait),
            Step::Lookup(_) | Step::Apply(_) | Step::WriteStatus(_) => {
                perform(task, &kanary, &step).instrument(task.key.span(run)).await
            }
        };
        state.driver.done(result);
        (_, step) = state.driver.step();
    }
}

async fn perform(task: &Task, kanary: &Arc<KanaryDeployment>, step: &Step) -> Result<Done, StepError> {
    tracing::debug!(step = step.describe(), "performing");
    let context = &task.context;
    let result = match step {
        Step::Lookup(lookup) => lookup::perform(context, kanary, lookup).await,
        Step::Apply(action) => execute::apply(context, kanary.namespace(), action).await,
        Step::WriteStatus(update) => status::write(context, kanary, update).await.map(|()| Done::Written),
        Step::Observe | Step::Sleep(_) => Ok(Done::Written),
    };
    result.map_err(|error| {
        log_error(&error);
        match error {
            ExecuteError::Stale(_) | ExecuteError::NotLeader => StepError::Stale,
            ExecuteError::Failed(fault) => StepError::Failed(fault),
        }
    })
}

/// What no status can report is an event, once.
fn tell_unreadable(task: &Task, state: &mut TaskState, seen: &Observed) {
    let event = unreadable::event(seen);
    if let Some(event) = event.clone().filter(|_| event != state.unreadable) {
        status::tell(&task.context, &seen.kanary, event);
    }
    state.unreadable = event;
}

/// The EndpointSlices of the production Service are watched while a decision needs them, and no longer.
fn watch_endpoints(task: &Task, state: &mut TaskState, seen: &Observed) {
    match &seen.kanary.spec.service_name {
        Some(service) if lifecycle::needs_endpoints(seen) => {
            let (client, signal) = (&task.context.client, &task.signal);
            let start = || EndpointWatch::start(client, &task.key.namespace, service, signal.clone());
            state.endpoints.get_or_insert_with(start);
        }
        Some(_) | None => state.endpoints = None,
    }
}

fn log_error(error: &ExecuteError) {
    match error {
        ExecuteError::Stale(action) => tracing::debug!(action, "not as observed, observing again"),
        ExecuteError::NotLeader => tracing::debug!("another controller is the leader"),
        ExecuteError::Failed(Fault { action, error }) => tracing::warn!(action, error, "request failed"),
    }
}
