//! The simulation's own stopwatch: for how long was a canary really seen to be available, and each item watched?
//!
//! It shares no code with the core's clock, and counts what happened, not what was written down.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kanary::{
    api::{KanaryDeploymentStatus, Phase},
    decision::Observed,
    objects::{Deployment, Object},
};
use serde_json::json;

/// One run's.
#[derive(Default)]
pub struct Stopwatch {
    run: i64,
    /// The last look, and whether the canary was available then.
    last: Option<(Timestamp, bool)>,
    /// A new leader has a full view since then, and has not looked yet.
    resumed: Option<Timestamp>,
    seen: SignedDuration,
    /// Looks that the controller could not write down.
    lost: SignedDuration,
    unwritten: bool,
    /// What was on the watch when each item that gathers evidence appeared.
    items: BTreeMap<String, SignedDuration>,
    /// The items of the last look, which count once it is written down.
    looked_at: Option<(Vec<String>, SignedDuration)>,
}

impl Stopwatch {
    /// Validation begins, with a canary that is available.
    pub fn begin(&mut self, seen: &Observed, run: i64) {
        let items = watches(seen).into_iter().map(|item| (item, SignedDuration::ZERO)).collect();
        *self = Self { run, last: Some((seen.now, true)), items, ..Self::default() };
    }

    /// The controller looked.
    pub fn look(&mut self, seen: &Observed, as_asked: bool) {
        let status = seen.status();
        if status.phase != Some(Phase::Validating) || status.run != Some(self.run) {
            return;
        }
        let available = as_asked && is_available(seen);
        self.pass(seen.now);
        self.last = Some((seen.now, available));
        self.note_items(seen);
    }

    /// What it saw could not be written down.
    pub fn lose(&mut self) {
        self.unwritten = true;
    }

    /// From here on no controller is watching.
    pub fn stop(&mut self, now: Timestamp) {
        self.pass(now);
        self.last = None;
    }

    /// Somebody has a full view again.
    pub fn resume(&mut self, now: Timestamp) {
        self.resumed = Some(now);
    }

    fn pass(&mut self, now: Timestamp) {
        // A leader looks as soon as it has its list; that chance puts some seconds in between is not its fault.
        if let Some(since) = self.resumed.take() {
            self.seen += since.duration_until(now);
        }
        let Some((then, available)) = self.last else { return };
        let span = then.duration_until(now);
        match (available, self.unwritten) {
            (true, _) => self.seen += span,
            (false, true) => self.lost += span,
            (false, false) => {}
        }
    }

    fn note_items(&mut self, seen: &Observed) {
        if let Some((keys, at)) = self.looked_at.replace((watches(seen), self.seen)).filter(|_| !self.unwritten) {
            self.items.retain(|key, _| keys.contains(key));
            for key in keys {
                self.items.entry(key).or_insert(at);
            }
        }
        self.unwritten = false;
    }

    /// For how long the canary was seen to be available.
    pub fn seen(&self) -> SignedDuration {
        self.seen
    }

    /// Looks that could not be written down.
    pub fn lost(&self) -> SignedDuration {
        self.lost
    }

    /// Why there is not enough evidence for success, if there is not.
    pub fn objection(&self, seen: &Observed) -> Option<String> {
        let validation = &seen.kanary.spec.validation;
        let whole = delay(seen, seen.status()) + validation.validation_period;
        let (seen_for, lost) = (self.seen, self.lost);
        if seen_for + lost < whole {
            return Some(format!("the canary was seen to be available for {seen_for:#} of {whole:#}"));
        }
        let watched = |item: &String| seen_for - self.items.get(item).copied().unwrap_or(seen_for);
        let young = watches(seen).into_iter().find(|item| watched(item) + lost < validation.validation_period);
        young.map(|item| format!("{item} was watched for {:#} only", watched(&item)))
    }
}

/// How much of the initial delay is part of the evidence that counts: it runs from the start of validation, whatever is
/// edited then.
pub fn delay(seen: &Observed, status: &KanaryDeploymentStatus) -> SignedDuration {
    let (Some(begun), Some(since)) = (status.validation_started_at, status.evidence_since) else {
        return seen.kanary.spec.validation.initial_delay;
    };
    let over = begun + seen.kanary.spec.validation.initial_delay;
    let over = over.max(status.clean_from.unwrap_or(over));
    since.duration_until(over).max(SignedDuration::ZERO)
}

/// Items that need time, by name and content.
fn watches(seen: &Observed) -> Vec<String> {
    let items = seen.kanary.spec.validation.named_items().into_iter();
    items
        .filter(|(_, item)| item.label_watch.is_some() || item.prom_ql.is_some())
        .map(|(name, item)| format!("{name} {}", json!(item)))
        .collect()
}

/// Every replica updated and available, one at least, and a pod that says so itself.
pub fn is_available(seen: &Observed) -> bool {
    let ours = seen.canary.as_deref().filter(|canary| canary.is_owned_by(seen.kanary.uid()));
    let ready = seen.pods.iter().any(|pod| pod.status.ready && !pod.is_terminating());
    ready && ours.is_some_and(|canary| is_full(canary) && !canary.is_terminating())
}

fn is_full(canary: &Deployment) -> bool {
    let (status, wanted) = (&canary.status, canary.spec.replicas);
    status.observed_generation == canary.metadata.generation.unwrap_or_default()
        && wanted > 0
        && status.updated_replicas == wanted
        && status.available_replicas == wanted
        && status.replicas == wanted
}
