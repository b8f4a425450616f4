//! The requests that arrived at each pod: counted where they arrive, whatever the configuration claims.

use std::{collections::VecDeque, time::Instant};

/// More than a test sends; a lab that runs for days must not grow.
const KEPT: usize = 200_000;

/// One request that reached a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Unique among all pods, ascending; a header of the response has it.
    pub number: u64,
    /// When it arrived.
    pub at: Instant,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's port.
    pub port: u16,
    /// E.g. `GET`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The Host header.
    pub host: String,
    /// The load that sent it.
    pub load: Option<String>,
    /// The status of the response.
    pub status: u16,
}

/// The latest ones.
#[derive(Debug, Default)]
pub struct Arrivals {
    next: u64,
    kept: VecDeque<Arrival>,
}

impl Arrivals {
    /// Records one, and returns its number.
    pub fn record(&mut self, arrival: impl FnOnce(u64) -> Arrival) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(arrival(number));
        number
    }

    /// Those at the pods of a namespace.
    pub fn of(&self, namespace: &str) -> Vec<Arrival> {
        self.since(0, namespace)
    }

    /// Those with this number or a higher one.
    pub fn since(&self, number: u64, namespace: &str) -> Vec<Arrival> {
        let known = self.kept.partition_point(|arrival| arrival.number < number);
        self.kept.range(known..).filter(|arrival| arrival.namespace == namespace).cloned().collect()
    }

    /// The number of the next one.
    pub fn next(&self) -> u64 {
        self.next
    }
}
