//! Which corners the histories reached. A run of the simulation that never saw a failure proves nothing about failures.

use std::collections::{BTreeMap, BTreeSet};

use kanary::{
    api::Condition,
    decision::{Observed, StatusUpdate},
};

/// In ten thousand histories each of these must be reached so often.
const ENOUGH: [(&str, u64); 51] = [
    ("phase Starting", 8000),
    ("phase Validating", 4500),
    ("phase Promoting", 2000),
    ("phase Succeeded", 1500),
    ("phase Failing", 4000),
    ("phase Failed", 4000),
    ("rests in Starting", 300),
    ("rests in Validating", 200),
    ("rests in Promoting", 200),
    ("rests in Succeeded", 1000),
    ("rests in Failed", 2000),
    ("a base gets a template", 1000),
    ("BaseCreated", 400),
    ("BaseChanged", 500),
    ("BaseGone", 500),
    ("BasePaused", 250),
    ("BaseRolloutStalled", 5),
    ("CanaryNotAvailable", 1000),
    ("Invalid", 1000),
    ("Restarted", 500),
    ("Retried", 500),
    ("NoUpdate", 100),
    ("AlreadyUpToDate", 100),
    ("AwaitingEvidence", 300),
    ("PromotionRefused", 300),
    ("ServiceLosesPods", 100),
    ("ServiceUnsupported", 100),
    ("RequestFailed", 2000),
    ("NameTaken", 100),
    ("AmbiguousHPA", 100),
    ("ServiceNotFound", 500),
    ("ReplicaFailure", 30),
    ("AcceptedUnverified", 600),
    ("MirrorReverted", 150),
    ("SingularMirror", 50),
    ("SplitRoute", 50),
    ("VirtualServiceNotFound", 100),
    ("held", 300),
    ("absence", 300),
    ("straggler", 100),
    ("undoes the rollout of the base", 200),
    ("removes the owner reference of a child", 200),
    ("answer true", 5000),
    ("answer false", 400),
    ("answer unknown", 1000),
    ("success beside an old word", 20),
    ("success by promQL", 300),
    ("failure by promQL", 200),
    ("BadQuery", 300),
    ("AwaitingPrometheus", 50),
    ("Paused", 300),
];

#[derive(Clone, Default)]
pub struct Coverage {
    pub plans: usize,
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

    /// The phase, the events and the conditions that a status brings; each reason once, however it is reported.
    pub fn told(&mut self, observed: &Observed, tell: &StatusUpdate) {
        let before = observed.status();
        if before.phase != tell.status.phase {
            self.reach(&format!("phase {:?}", tell.status.phase.expect("a status that is told has a phase")));
        }
        if tell.status.held_since.is_some() && before.held_since.is_none() {
            self.reach("held");
        }
        if tell.status.accounted_until != before.accounted_until && tell.status.accounted_until.is_some() {
            self.reach("absence");
        }
        let known = |new: &Condition| before.conditions.iter().any(|c| c.type_ == new.type_ && c.reason == new.reason);
        let news = tell.status.conditions.iter().filter(|condition| !known(condition)).map(|c| c.reason.as_str());
        let reasons: BTreeSet<&str> = tell.notices.iter().map(|notice| notice.reason.as_str()).chain(news).collect();
        reasons.into_iter().for_each(|reason| self.reach(reason));
    }

    /// What was reached less often than so many times in ten thousand histories, and should not be.
    pub fn gaps(&self, histories: u64) -> Vec<String> {
        let wanted = |least: u64| usize::try_from(least * histories / 10_000).unwrap_or_default();
        let reached = |what: &str| self.reached.get(what).copied().unwrap_or_default();
        let short = ENOUGH.iter().filter(|(what, least)| reached(what) < wanted(*least));
        short.map(|(what, least)| format!("{what}: {} of {}", reached(what), wanted(*least))).collect()
    }

    pub fn merge(&mut self, other: &Self) {
        self.plans += other.plans;
        for (what, count) in &other.reached {
            *self.reached.entry(what.clone()).or_default() += count;
        }
    }
}
