//! Turns at the API server: so many tasks make requests of it at once, and the others wait.
//!
//! They wait long where thousands write, or where the server is slow. What is due at Prometheus is asked meanwhile:
//! evidence that comes late holds the clock, and to tell of that is two more writes, for which all wait the longer.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{AcquireError, Notify, SemaphorePermit},
    time::Instant,
};

use super::{
    Context, Key, observe,
    tend::{TaskState, burst, look, rest, until},
};
use crate::{
    decision::{Observed, Plan},
    lifecycle,
};

/// What a task may do.
pub enum Turn<'a> {
    /// There is nothing to do.
    Rest(Duration),
    /// There is something to do, as far as can be seen now.
    Act(Result<SemaphorePermit<'a>, AcquireError>, Box<Observed>),
}

/// Waits for a turn, or until there is nothing to do; nothing, if the resource is gone.
pub async fn take<'a>(
    context: &'a Context,
    key: &Key,
    signal: &Arc<Notify>,
    state: &mut TaskState,
) -> Option<Turn<'a>> {
    let mut turn = pin!(context.permits.acquire());
    let mut mine = context.permits.try_acquire().ok().map(Ok);
    loop {
        if !context.leadership.holds() {
            state.endpoints = None;
            context.stores.kanaries.get(&key.namespace, &key.name)?;
            return Some(Turn::Rest(rest(state, observe::now(), None)));
        }
        let seen = look(context, key, signal, state)?;
        if let Some(permit) = mine {
            return Some(Turn::Act(permit, Box::new(seen)));
        }
        let plan = state.decide(&seen);
        if is_idle(&seen, &plan) {
            return Some(Turn::Rest(rest(state, seen.now, plan.requeue_at)));
        }
        // What is due already is not to be asked, or waits for what is to be told.
        let wake = plan.requeue_at.filter(|wake| *wake > seen.now);
        // All news that come until then are looked at together: where many wait, there are many.
        let looked = Instant::now();
        let news = async {
            signal.notified().await;
            tokio::time::sleep_until(looked + burst(context, key)).await;
        };
        tokio::select! {
            permit = &mut turn => mine = Some(permit),
            () = news => {}
            () = tokio::time::sleep(until(wake)) => {}
        }
    }
}

/// Is nothing to be asked of the API server, written or told?
fn is_idle(seen: &Observed, plan: &Plan) -> bool {
    let is_clear = seen.faults.is_empty() && lifecycle::lookup(seen).is_none();
    is_clear && plan.actions.is_empty() && plan.status.is_none()
}
