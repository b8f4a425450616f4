//! The simulation's own account of what Prometheus said, by item: was it asked throughout, and what did it say last?
//!
//! It shares no code with the core, and counts what was answered, not what was written down.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kanary::{api::KanaryDeploymentStatus, decision::Observed, promql::Outcome};

use crate::{
    evidence::delay,
    prometheus::{Flight, key},
};

/// A look and its answer are not the same moment.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// One `KanaryDeployment`'s.
#[derive(Default)]
pub struct Ledger {
    /// What was on the stopwatch at each look.
    looks: BTreeMap<Timestamp, SignedDuration>,
    /// When a controller was gone, and what was on the stopwatch.
    crashes: Vec<(Timestamp, SignedDuration)>,
    items: BTreeMap<String, Record>,
}

#[derive(Default)]
struct Record {
    /// When each was sent, and when a controller first looked after it had come.
    conclusive: Vec<(Timestamp, Option<Timestamp>)>,
    last: Option<(Timestamp, bool)>,
    /// False answers that the status could take in, and those that it has not yet.
    failures: usize,
    fresh_failures: usize,
    /// Those that whoever was asked took away with it. One that is only deposed may yet write them down.
    lost_failures: usize,
    /// Conclusive answers that the status did not take in yet, and those that it never could.
    fresh: Vec<Timestamp>,
    forgotten: BTreeSet<Timestamp>,
}

impl Ledger {
    pub fn look(&mut self, now: Timestamp, seen: SignedDuration) {
        self.looks.insert(now, seen);
        for (_, looked) in self.items.values_mut().flat_map(|record| &mut record.conclusive) {
            looked.get_or_insert(now);
        }
    }

    pub fn landed(&mut self, flight: &Flight, outcome: &Outcome) {
        let record = self.items.entry(key(&flight.query.item, &flight.query.prom_ql)).or_default();
        record.last = Some((flight.at, matches!(outcome, Outcome::True(_))));
        if outcome.is_conclusive() {
            record.conclusive.push((flight.at, None));
            record.fresh.push(flight.at);
        }
        record.fresh_failures += usize::from(matches!(outcome, Outcome::False(_)));
    }

    /// The status was written by a controller that knew of all answers so far.
    pub fn written(&mut self) {
        for record in self.items.values_mut() {
            record.failures += std::mem::take(&mut record.fresh_failures);
            record.fresh.clear();
        }
    }

    /// What was not written down is forgotten.
    pub fn crash(&mut self, now: Timestamp, seen: SignedDuration) {
        self.crashes.push((now, seen));
        for record in self.items.values_mut() {
            record.lost_failures += std::mem::take(&mut record.fresh_failures);
            record.forgotten.extend(record.fresh.drain(..));
        }
    }

    /// So many false answers came at most for an item of this name.
    pub fn failures(&self, observed: &Observed, name: &str) -> Option<(usize, i32)> {
        let checks = observed.kanary.spec.validation.named_items();
        let item = checks.into_iter().find(|(other, _)| other == name)?.1.prom_ql.as_ref()?;
        let record = self.items.get(&key(name, item));
        let all = |record: &Record| record.failures + record.fresh_failures + record.lost_failures;
        Some((record.map_or(0, all), item.failure_limit))
    }

    /// Why there is not enough evidence for success, if there is not.
    pub fn objection(
        &self,
        observed: &Observed,
        status: &KanaryDeploymentStatus,
        lost: SignedDuration,
    ) -> Option<String> {
        let checks = observed.kanary.spec.validation.named_items();
        checks.into_iter().filter_map(|(name, item)| Some((name, item.prom_ql.as_ref()?))).find_map(|(name, item)| {
            let Some(record) = self.items.get(&key(&name, item)) else {
                return Some(format!("{name} was never asked"));
            };
            self.against(record, observed, status, lost).map(|why| format!("{name}: {why}"))
        })
    }

    fn against(
        &self,
        record: &Record,
        observed: &Observed,
        status: &KanaryDeploymentStatus,
        lost: SignedDuration,
    ) -> Option<String> {
        let validation = &observed.kanary.spec.validation;
        match record.last {
            Some((at, true)) if Some(at) >= status.deadline => {}
            last => return Some(format!("the last answer is {last:?}, the deadline {:?}", status.deadline)),
        }
        let since = status.evidence_since?;
        let delay = delay(observed, status);
        let covered = self.covered(record, since, delay, validation.max_interval_period * 2 + SLACK);
        let whole = delay + validation.validation_period;
        (covered + lost + SLACK < whole).then(|| format!("there was evidence for {covered:#} of {whole:#}"))
    }

    /// For how long one conclusive answer followed another soon enough, on the stopwatch.
    fn covered(
        &self,
        record: &Record,
        since: Timestamp,
        delay: SignedDuration,
        most: SignedDuration,
    ) -> SignedDuration {
        let begun = self.seen_at(since);
        // A gap before an answer that was never written down is forgotten with it.
        let answer = |(at, looked): &(Timestamp, Option<Timestamp>)| {
            (*at, self.seen_at(*at), self.seen_at(looked.unwrap_or(*at)), record.forgotten.contains(at))
        };
        let answers = record.conclusive.iter().filter(|(at, _)| *at >= since).map(answer);
        let crashes = self.crashes.iter().filter(|(at, _)| *at >= since).map(|(at, seen)| (*at, *seen, *seen, true));
        let mut events: Vec<_> = answers.chain(crashes).collect();
        events.sort_by_key(|(at, ..)| *at);
        let (mut covered, mut before, mut is_first) = (SignedDuration::ZERO, begun, true);
        for (_, seen, looked, is_excused) in events {
            let span = (seen - before).max(SignedDuration::ZERO);
            let most = if is_first { most + delay } else { most };
            let is_gap = !is_excused && span > most;
            if !is_gap {
                covered += span;
            } else if is_first {
                // In the delay nothing is asked.
                covered = covered.max(delay);
            }
            // After a gap the clock stands until the answer that ends it is looked at.
            before = if is_gap { looked } else { seen };
            is_first &= is_excused;
        }
        covered
    }

    fn seen_at(&self, at: Timestamp) -> SignedDuration {
        self.looks.range(..=at).next_back().map(|(_, seen)| *seen).unwrap_or_default()
    }
}
