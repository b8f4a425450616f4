//! The work queue: which resources have a task, and how their tasks are woken.
//!
//! A wake of a resource that has a task is a [`Notify`], so a burst of them is one. The first wake of a resource enters it
//! into the table and sends it to the dispatcher, which spawns its task (`reconcile::dispatch`).
//!
//! # Guarantees
//! No wake is lost. Table and channel change under one lock: a wake finds the entry, and its signal stays until the task
//! waits for it, even if the task is not spawned yet; or it makes a new entry. The channel has no bound of its own and
//! needs none: a resource is sent once for each time that it enters the table, and leaves the table only when its task has
//! ended, so that there are never more messages than resources.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{
    Notify,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use super::key::Key;

/// A resource without a task, and what wakes its task.
pub type New = (Key, Arc<Notify>);

/// The resources that have a task.
pub struct Queue {
    signals: Mutex<HashMap<Key, Arc<Notify>>>,
    new: UnboundedSender<New>,
}

impl Queue {
    /// An empty queue, and where the dispatcher receives what is new.
    pub fn new() -> (Self, UnboundedReceiver<New>) {
        let (new, received) = unbounded_channel();
        (Self { signals: Mutex::default(), new }, received)
    }

    /// Something happened around this resource. The first time, it gets a task.
    pub fn wake(&self, key: &Key) {
        let mut signals = self.signals.lock();
        if let Some(signal) = signals.get(key) {
            return signal.notify_one();
        }
        let signal = Arc::new(Notify::new());
        signals.insert(key.clone(), signal.clone());
        // The receiver lives as long as the process.
        let _ = self.new.send((key.clone(), signal));
    }

    /// Something happened that concerns all resources.
    pub fn wake_all(&self) {
        self.signals.lock().values().for_each(|signal| signal.notify_one());
    }

    /// The task of this resource has ended. Its wakes since it last observed are gone with it: the caller checks once more
    /// whether the resource is back.
    pub fn dismiss(&self, key: &Key) {
        self.signals.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn key() -> Key {
        Key::new("shop", "try")
    }

    #[test]
    fn a_resource_is_sent_once_and_its_wakes_wait_for_its_task() {
        let (queue, mut new) = Queue::new();
        queue.wake(&key());
        let (sent, signal) = new.try_recv().expect("it is new");
        assert_eq!(sent, key());
        assert!(signal.notified().now_or_never().is_none(), "the task observes at once, without a wake");
        queue.wake(&key());
        queue.wake_all();
        assert!(new.try_recv().is_err(), "it has a task");
        assert!(signal.notified().now_or_never().is_some(), "which is woken");
        assert!(signal.notified().now_or_never().is_none(), "once");
    }

    #[test]
    fn a_wake_after_the_end_of_a_task_makes_a_new_one() {
        let (queue, mut new) = Queue::new();
        queue.wake(&key());
        let (_, old) = new.try_recv().expect("it is new");
        queue.dismiss(&key());
        queue.wake(&key());
        let (_, signal) = new.try_recv().expect("it is new again");
        queue.wake(&key());
        assert!(old.notified().now_or_never().is_none() && signal.notified().now_or_never().is_some());
    }
}
