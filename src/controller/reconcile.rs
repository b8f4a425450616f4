//! One task reconciles one `KanaryDeployment`: it observes, decides, acts, updates the status, and sleeps until something
//! happens.
//!
//! A task of its own means that a request that hangs delays this canary only, and that no two reconciliations of it overlap.
//!
//! Not here: what comes next (`task_state`, `lifecycle`), and how it is done (`execute`, `lookup`, `queries`, `status`).

use std::{pin::pin, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{
    sync::{AcquireError, SemaphorePermit, mpsc::UnboundedReceiver},
    time::Instant,
};
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
    task_state::{Done, Task, TaskState, until},
};
use crate::{
    api::Phase,
    decision::{Action, Fault, Observed, Plan},
    lifecycle,
    objects::Object,
    traffic,
};

/// More steps than this without a rest mean that another client undoes what is written.
const MOST_STEPS: usize = 32;

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
    task.context.metrics.forget(&task.key, state.answers().keys().map(String::as_str));
    retire(&task.context, &task.key);
}

/// Steps until there is nothing to do. Returns how long to sleep, or nothing once the resource is gone.
async fn reconcile(task: &Task, state: &mut TaskState) -> Option<Duration> {
    state.woken = clock::now();
    for _ in 0..MOST_STEPS {
        let (permit, seen) = match acquire_permit(task, state).await? {
            Ready::Idle(sleep) => return Some(sleep),
            Ready::Permit(permit, seen) => (permit, seen),
        };
        let sleep = step(task, state, *seen).await;
        drop(permit);
        if sleep.is_some() {
            return sleep;
        }
    }
    Some(state.retry())
}

/// Whether there is something to do.
enum Ready<'a> {
    /// There is nothing to do for this long.
    Idle(Duration),
    /// There is something to do, as far as can be seen now, and requests may be made for it.
    Permit(Result<SemaphorePermit<'a>, AcquireError>, Box<Observed>),
}

/// Waits for a permit to make requests to the API server, or until there is nothing to do; none, if the resource is gone.
///
/// Permits are short where thousands write, or where the server is slow. Queries that are due are sent to Prometheus
/// meanwhile: evidence that comes late pauses the clock, and to report that takes two more writes, for which all wait longer.
async fn acquire_permit<'a>(task: &'a Task, state: &mut TaskState) -> Option<Ready<'a>> {
    let permits = &task.context.permits;
    let mut permit = pin!(permits.acquire());
    let mut mine = permits.try_acquire().ok().map(Ok);
    loop {
        if !task.context.leadership.holds() {
            state.endpoints = None;
            return task.context.is_known(&task.key).then(|| Ready::Idle(state.rest(clock::now(), None)));
        }
        let seen = observe(task, state)?;
        if let Some(permit) = mine {
            return Some(Ready::Permit(permit, Box::new(seen)));
        }
        let plan = state.decide(&seen);
        if is_idle(&seen, &plan) {
            return Some(Ready::Idle(state.rest(seen.now, plan.requeue_at)));
        }
        // What is due already needs the permit, or waits for a status update that does.
        let wake = plan.requeue_at.filter(|wake| *wake > seen.now);
        // All events that come until then are observed together: where many tasks wait, there are many.
        let observed = Instant::now();
        let events = async {
            task.signal.notified().await;
            tokio::time::sleep_until(observed + task.burst()).await;
        };
        tokio::select! {
            permit = &mut permit => mine = Some(permit),
            () = events => {}
            () = tokio::time::sleep(until(wake)) => {}
        }
    }
}

/// Is no request to the API server needed?
fn is_idle(seen: &Observed, plan: &Plan) -> bool {
    let is_clear = seen.faults.is_empty() && lifecycle::lookup(seen).is_none();
    is_clear && plan.actions.is_empty() && plan.status.is_none()
}

/// What is there now; Prometheus queries that are due are sent.
fn observe(task: &Task, state: &mut TaskState) -> Option<Observed> {
    // What an event reports is in a store before it wakes the task, so this observation has it: the signal is used up.
    let _ = task.signal.notified().now_or_never();
    task.context.metrics.reconciled();
    let mut seen = observe::gather(&task.context, &task.key, state)?;
    watch_endpoints(task, state, &seen);
    queries::send_due(task, state, &mut seen);
    Some(seen)
}

/// One step: a lookup, the writes, the status. Returns how long to sleep; none: the next step follows at once.
async fn step(task: &Task, state: &mut TaskState, mut seen: Observed) -> Option<Duration> {
    let span = task.key.span(seen.status().run);
    let is_unanswered = look_up(task, state, &mut seen).instrument(span).await;
    let plan = state.decide(&seen);
    // A status may begin a run.
    let run = plan.status.as_ref().map_or(seen.status().run, |update| update.status.run);
    let result = async {
        log_plan(&plan);
        carry_out(&task.context, &seen, &plan).await.inspect_err(log_error)
    };
    let result = result.instrument(task.key.span(run)).await;
    state.conclude(&seen, &plan, is_unanswered, result)
}

/// Makes the lookup that is due, if one is. Was there no answer? It is still due then, and made again after a pause.
async fn look_up(task: &Task, state: &mut TaskState, seen: &mut Observed) -> bool {
    let Some(lookup) = lifecycle::lookup(seen) else { return false };
    tracing::debug!(lookup = lookup::describe(&lookup), "looking up");
    let result = lookup::perform(&task.context, seen, lookup).await;
    if let Err(error) = &result {
        log_error(error);
    }
    match result {
        Ok(Some(dry_run)) => state.dry_run = Some(dry_run),
        Ok(None) => {}
        // What the lookup was about is not as observed: the next observation decides.
        Err(ExecuteError::Stale(_) | ExecuteError::NotLeader) => return true,
        // The plan reports it.
        Err(ExecuteError::Failed(fault)) => {
            state.fail(fault);
            seen.faults.clone_from(&state.faults);
            return true;
        }
    }
    seen.dry_run.clone_from(&state.dry_run);
    false
}

/// All writes, then the status. After a failed request the status comes first: what fails again must not keep it unreported.
async fn carry_out(context: &Arc<Context>, seen: &Observed, plan: &Plan) -> Result<Done, ExecuteError> {
    let kanary = &seen.kanary;
    if let Some(update) = plan.status.as_ref().filter(|_| !seen.faults.is_empty()) {
        return status::write(context, kanary, update).await.map(|()| Done::FaultReported);
    }
    for action in &plan.actions {
        execute::apply(context, kanary.namespace(), action).await?;
    }
    match &plan.status {
        Some(update) => status::write(context, kanary, update).await.map(|()| Done::All),
        None if plan.actions.is_empty() => Ok(Done::Nothing),
        None => Ok(Done::All),
    }
}

/// While pods leave production, the EndpointSlices of the production Service are watched; and no longer.
fn watch_endpoints(task: &Task, state: &mut TaskState, seen: &Observed) {
    let is_failing = seen.status().phase == Some(Phase::Failing);
    let is_leaving = is_failing && seen.pods.iter().any(|pod| traffic::was_in_production(pod));
    match &seen.kanary.spec.service_name {
        Some(service) if is_leaving => {
            let (client, signal) = (&task.context.client, &task.signal);
            let start = || EndpointWatch::start(client, &task.key.namespace, service, signal.clone());
            state.endpoints.get_or_insert_with(start);
        }
        Some(_) | None => state.endpoints = None,
    }
}

fn log_plan(plan: &Plan) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let actions: Vec<_> = plan.actions.iter().map(Action::describe).collect();
    let update = plan.status.as_ref().map(|update| &update.status);
    let phase = update.and_then(|status| status.phase).map(tracing::field::debug);
    let cause = update.and_then(|status| status.message.as_deref());
    tracing::debug!(?actions, phase, cause, requeue_at = plan.requeue_at.map(tracing::field::display), "decided");
}

fn log_error(error: &ExecuteError) {
    match error {
        ExecuteError::Stale(action) => tracing::debug!(action, "not as observed, observing again"),
        ExecuteError::NotLeader => tracing::debug!("another controller is the leader"),
        ExecuteError::Failed(Fault { action, error }) => tracing::warn!(action, error, "request failed"),
    }
}
