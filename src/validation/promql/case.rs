//! One item and what is known of it: when it must be asked, and for how long there was no evidence.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::identity::{identity, query_id};
use crate::{
    api::{ItemStatus, KanaryDeploymentStatus, PromQl},
    decision::{Absence, Observed},
    hash,
    objects::Object,
    promql::{Evaluation, Mark, Outcome},
};

/// After an answer that says nothing it is asked again so soon, then ever later, up to the interval.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(1);

/// The line of the status that tells of a question. An item without a name is called by its place in the list, which moves
/// when another one goes: what counts against it must not be forgotten for that.
pub fn line_of<'a>(seen: &Observed, lines: &'a [ItemStatus], name: &str, identity: &str) -> Option<&'a ItemStatus> {
    let mut same = lines.iter().filter(|line| line.hash.as_deref() == Some(identity));
    let items = &seen.kanary.spec.validation.items;
    let is_named = |name: &str| items.iter().any(|item| item.name.as_deref() == Some(name));
    same.clone().find(|line| line.name == name).or_else(|| same.find(|line| !is_named(name) && !is_named(&line.name)))
}

/// An item as it stands.
pub struct Case<'a> {
    pub seen: &'a Observed,
    pub status: &'a KanaryDeploymentStatus,
    pub name: &'a str,
    pub item: &'a PromQl,
    /// Which question it asks.
    pub identity: String,
    /// The last answer to it in this validation.
    pub evaluation: Option<&'a Evaluation>,
}

impl<'a> Case<'a> {
    pub fn new(seen: &'a Observed, status: &'a KanaryDeploymentStatus, name: &'a str, item: &'a PromQl) -> Self {
        let identity = identity(seen, item);
        let last = seen.answers.get(name).and_then(|asked| asked.last.as_ref());
        let evaluation = last.filter(|evaluation| evaluation.hash == query_id(&identity, status));
        Self { seen, status, name, item, identity, evaluation }
    }

    /// What the status says of this very question.
    pub fn before(&self) -> Option<&'a ItemStatus> {
        line_of(self.seen, &self.status.items, self.name, &self.identity)
    }

    /// The last evidence on the clock; before the first, and after a restart, evidence is awaited since then.
    pub fn base(&self) -> Option<Timestamp> {
        let last = self.conclusive().map(|mark| self.on_the_clock(mark));
        last.or_else(|| self.begins()).max(self.resumed(self.conclusive()))
    }

    /// A controller looks on again since then, and has had no conclusive answer yet but that one.
    pub fn resumed(&self, last: Option<Mark>) -> Option<Timestamp> {
        let begins = self.begins()?;
        let absences = self.seen.absences.iter().map(|absence| absence.until);
        let resumed = absences.max().filter(|until| begins < *until)?;
        last.is_none_or(|last| last.at < resumed).then_some(resumed)
    }

    /// The last question that had a conclusive answer.
    pub fn conclusive(&self) -> Option<Mark> {
        self.evaluation.and_then(|evaluation| evaluation.conclusive)
    }

    /// Without a conclusive answer the clock stands still from then on.
    pub fn stale_at(&self) -> Option<Timestamp> {
        self.base()?.saturating_add(self.patience()).ok()
    }

    /// Is there no evidence for longer than two intervals, or none since a controller looks on again?
    pub fn lacks_evidence(&self) -> bool {
        let stale = self.stale_at().is_some_and(|at| at < self.seen.now);
        stale || self.resumed(self.conclusive()).is_some()
    }

    /// The time before the last conclusive answer in which there should have been another one, as long as the status does
    /// not account for it. It is told once it is over, too: what is not written down in time must not pass for evidence.
    pub fn missing(&self) -> Option<Absence> {
        let evaluation = self.evaluation?;
        let until = evaluation.conclusive?.at;
        let before = evaluation.previous.map(|mark| self.on_the_clock(mark)).or_else(|| self.begins())?;
        // Of the time before a restart nothing is known; the first answer after it came late, however soon it came.
        let resumed = self
            .resumed(evaluation.previous)
            .map(|resumed| resumed.max(self.status.accounted_until.unwrap_or(resumed)));
        let (from, patience) = resumed.map_or((before, self.patience()), |resumed| (resumed, SignedDuration::ZERO));
        (from.duration_until(until) > patience).then_some(Absence { from, until })
    }

    /// When it must be asked next; nothing while a question is under way, or while the last answer has something to say
    /// that the status does not hold yet.
    pub fn due(&self) -> Option<Timestamp> {
        let is_pending = self.seen.answers.get(self.name).is_some_and(|asked| asked.pending.is_some());
        // That the clock stands still is told first: the mark of a question is what the status says of the clock.
        let is_untold = self.lacks_evidence() && self.status.held_since.is_none();
        let begins = self.begins().filter(|_| !is_pending && !is_untold)?;
        let Some(evaluation) = self.evaluation else { return Some(begins) };
        // A hold that goes on covers what is missing; in that the answer is waited for.
        let is_held = |gap: &Absence| self.status.held_since.is_some_and(|held| held <= gap.from);
        if self.missing().is_some_and(|gap| !is_held(&gap)) || !self.is_counted(evaluation) {
            return None;
        }
        let next = evaluation.at.saturating_add(self.pause(evaluation)).unwrap_or(Timestamp::MAX);
        let last = self.status.deadline.filter(|deadline| evaluation.at < *deadline);
        let anew = self.resumed(evaluation.conclusive).filter(|resumed| evaluation.at < *resumed);
        [Some(next), last, anew].into_iter().flatten().min()
    }

    /// How long to wait after an answer.
    fn pause(&self, evaluation: &Evaluation) -> SignedDuration {
        let interval = self.seen.kanary.spec.validation.max_interval_period;
        match &evaluation.outcome {
            Outcome::True(_) | Outcome::False(_) => self.spread(interval),
            Outcome::Unknown(_) => {
                interval.min(FIRST_RETRY.saturating_mul(1 << evaluation.doubts.saturating_sub(1).min(16)))
            }
        }
    }

    /// Does the status know of it, if it is false?
    fn is_counted(&self, evaluation: &Evaluation) -> bool {
        match &evaluation.outcome {
            Outcome::False(_) => self.before().is_some_and(|before| before.last_failure >= Some(evaluation.at)),
            Outcome::True(_) | Outcome::Unknown(_) => true,
        }
    }

    /// When asking begins: `initialDelay` is over, on a clock that may have stood still.
    fn begins(&self) -> Option<Timestamp> {
        let from = self.status.judged_from(self.seen.kanary.spec.validation.initial_delay)?;
        from.saturating_add(self.status.held).ok()
    }

    /// Where the clock would have to stand again to stand as it did at a mark.
    fn on_the_clock(&self, mark: Mark) -> Timestamp {
        let held = self.status.held.saturating_sub(mark.held).max(SignedDuration::ZERO);
        let last_hold = self.status.accounted_until.map_or(mark.at, |accounted| accounted.max(mark.at));
        mark.at.saturating_add(held).unwrap_or(Timestamp::MAX).min(last_hold)
    }

    /// Two intervals: longer there must not be no evidence.
    fn patience(&self) -> SignedDuration {
        self.seen.kanary.spec.validation.max_interval_period.saturating_mul(2)
    }

    /// A little less than the interval, by an amount of the item's own: canaries that began together do not ask together.
    fn spread(&self, interval: SignedDuration) -> SignedDuration {
        let own = hash::of(&json!([self.seen.kanary.uid(), self.name]));
        let tenth = i32::from_str_radix(&own[..2], 16).unwrap_or_default();
        interval - interval / 2560 * tenth
    }
}
