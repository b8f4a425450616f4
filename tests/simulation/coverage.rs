//! Which corners the histories reached. A run of the simulation that never saw a failure proves nothing about failures.

use std::collections::BTreeMap;

use kanary::{
    api::Truth,
    lifecycle::{Observed, Tell},
};

#[derive(Clone, Default)]
pub struct Coverage {
    pub plans: usize,
    pub promotions: usize,
    pub bases_created: usize,
    /// Phases entered, reasons of conditions and events, and whatever else is worth a count.
    pub reached: BTreeMap<String, usize>,
}

impl Coverage {
    pub fn reach(&mut self, what: &str) {
        match self.reached.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.reached.insert(what.to_owned(), 1)),
        }
    }

    /// The phase, the events and the conditions that a status brings.
    pub fn told(&mut self, observed: &Observed, tell: &Tell) {
        let before = observed.status();
        if before.phase != tell.status.phase {
            self.reach(&format!("{:?}", tell.status.phase.expect("a status that is told has a phase")));
        }
        for notice in &tell.notices {
            self.reach(&notice.reason);
        }
        if tell.status.held_since.is_some() && before.held_since.is_none() {
            self.reach("held");
        }
        if tell.status.accounted_until != before.accounted_until && tell.status.accounted_until.is_some() {
            self.reach("absence");
        }
        for condition in tell.status.conditions.iter().filter(|condition| condition.status == Truth::False) {
            let known = before.conditions.iter().any(|c| c.type_ == condition.type_ && c.reason == condition.reason);
            if !known {
                self.reach(&condition.reason);
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.plans += other.plans;
        self.promotions += other.promotions;
        self.bases_created += other.bases_created;
        for (what, count) in &other.reached {
            *self.reached.entry(what.clone()).or_default() += count;
        }
    }
}
