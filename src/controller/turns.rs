//! Turns, given out fairly: no namespace waits for the whole queue of another.
//!
//! There are so many turns at a time. Whoever finds none waits in the queue of its namespace, and the queues take turns.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Gives out turns.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<Queues>>);

struct Queues {
    free: usize,
    /// Those who wait, by namespace.
    waiting: HashMap<String, VecDeque<oneshot::Sender<Turn>>>,
    /// The namespaces in which anyone waits, the next first.
    order: VecDeque<String>,
}

/// A turn; it ends when this is dropped.
pub struct Turn(Option<Turns>);

impl Turns {
    /// So many at a time.
    pub fn new(count: usize) -> Self {
        let queues = Queues { free: count, waiting: HashMap::new(), order: VecDeque::new() };
        Self(Arc::new(Mutex::new(queues)))
    }

    /// A turn, if one is free. Then nobody waits.
    pub fn try_take(&self) -> Option<Turn> {
        let mut queues = self.0.lock();
        queues.free = queues.free.checked_sub(1)?;
        Some(Turn(Some(self.clone())))
    }

    /// Waits for a turn. One who does not wait any more is passed over.
    pub async fn take(&self, namespace: &str) -> Turn {
        loop {
            let waits = {
                let mut queues = self.0.lock();
                if let Some(free) = queues.free.checked_sub(1) {
                    queues.free = free;
                    return Turn(Some(self.clone()));
                }
                queues.wait(namespace)
            };
            // The sender is kept until it gives the turn.
            if let Ok(turn) = waits.await {
                return turn;
            }
        }
    }

    /// To the next namespace, and there to who has waited longest.
    fn give_back(&self) {
        let mut turn = Turn(Some(self.clone()));
        while let Some(next) = self.next() {
            match next.send(turn) {
                Ok(()) => return,
                Err(back) => turn = back,
            }
        }
        turn.0 = None;
    }

    /// Who is next; if nobody waits, the turn is free.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut queues = self.0.lock();
        let next = queues.next();
        queues.free += usize::from(next.is_none());
        next
    }
}

impl Queues {
    fn wait(&mut self, namespace: &str) -> oneshot::Receiver<Turn> {
        let (give, waits) = oneshot::channel();
        let queue = self.waiting.entry(namespace.to_owned()).or_default();
        if queue.is_empty() {
            self.order.push_back(namespace.to_owned());
        }
        queue.push_back(give);
        waits
    }

    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let namespace = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&namespace)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.order.push_back(namespace);
        }
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::BoxFuture};

    use super::*;

    fn waiting<'a>(turns: &'a Turns, namespace: &'a str) -> BoxFuture<'a, Turn> {
        let mut turn = turns.take(namespace).boxed();
        assert!((&mut turn).now_or_never().is_none(), "it waits");
        turn
    }

    #[test]
    fn namespaces_take_turns() {
        let turns = Turns::new(1);
        let mut held = turns.try_take();
        let names = ["many", "many", "many", "few", "other"];
        let mut all: Vec<_> = names.iter().map(|name| (*name, waiting(&turns, name))).collect();
        let mut order = Vec::new();
        while !all.is_empty() {
            drop(held.take());
            let at = all.iter_mut().position(|(_, turn)| match turn.now_or_never() {
                Some(turn) => {
                    held = Some(turn);
                    true
                }
                None => false,
            });
            order.push(all.remove(at.expect("one is next")).0);
        }
        assert_eq!(order, ["many", "few", "other", "many", "many"]);
    }

    #[test]
    fn who_does_not_wait_any_more_is_passed_over() {
        let turns = Turns::new(1);
        let held = turns.try_take().expect("it is free");
        drop(waiting(&turns, "gone"));
        let mut waits = waiting(&turns, "patient");
        drop(held);
        let turn = (&mut waits).now_or_never().expect("it is the next");
        assert!(turns.try_take().is_none());
        drop(turn);
        assert!(turns.try_take().is_some(), "it is free again");
    }

    #[test]
    fn a_turn_that_was_given_to_one_who_left_is_not_lost() {
        let turns = Turns::new(1);
        let held = turns.try_take();
        let waits = waiting(&turns, "shop");
        drop(held);
        assert!(turns.try_take().is_none(), "it is given");
        drop(waits);
        assert!(turns.try_take().is_some());
    }
}
