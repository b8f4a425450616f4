//! One item and what is known of it: when its query is due, and for how long there was no evidence.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::identity::{identity, query_id};
use crate::{
    api::{ItemStatus, KanaryDeploymentStatus, PromQl},
    decision::{Absence, Observed},
    hash,
    objects::Object,
    promql::{ClockMark, Evaluation, Outcome},
};

/// After an inconclusive result the query is repeated after this time, then ever later, up to the interval.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(1);

/// The status of an item. One without a name is called by its place in the list, which moves when another one is removed:
/// what counts against it must not be forgotten because of that.
pub fn status_of<'a>(seen: &Observed, all: &'a [ItemStatus], name: &str, identity: &str) -> Option<&'a ItemStatus> {
    let mut same = all.iter().filter(|status| status.hash.as_deref() == Some(identity));
    let items = &seen.kanary.spec.validation.items;
    let is_named = |name: &str| items.iter().any(|item| item.name.as_deref() == Some(name));
    let by_name = same.clone().find(|status| status.name == name);
    by_name.or_else(|| same.find(|status| !is_named(name) && !is_named(&status.name)))
}

/// An item as it is now.
pub struct PromqlItem<'a> {
    pub seen: &'a Observed,
    pub status: &'a KanaryDeploymentStatus,
    pub name: &'a str,
    pub spec: &'a PromQl,
    /// Which query it sends.
    pub identity: String,
    /// The last evaluation of it in this validation.
    pub evaluation: Option<&'a Evaluation>,
}

impl<'a> PromqlItem<'a> {
    pub fn new(seen: &'a Observed, status: &'a KanaryDeploymentStatus, name: &'a str, spec: &'a PromQl) -> Self {
        let identity = identity(seen, spec);
        let last = seen.answers.get(name).and_then(|history| history.last.as_ref());
        let evaluation = last.filter(|evaluation| evaluation.hash == query_id(&identity, status));
        Self { seen, status, name, spec, identity, evaluation }
    }

    /// What the status says of this very query.
    pub fn before(&self) -> Option<&'a ItemStatus> {
        status_of(self.seen, &self.status.items, self.name, &self.identity)
    }

    /// The last evidence on the clock; before the first, and after a restart, evidence is awaited since then.
    pub fn base(&self) -> Option<Timestamp> {
        let last = self.conclusive().map(|mark| self.on_the_clock(mark));
        last.or_else(|| self.begins()).max(self.resumed(self.conclusive()))
    }

    /// A controller runs again since then, and has had no conclusive result yet but that one.
    pub fn resumed(&self, last: Option<ClockMark>) -> Option<Timestamp> {
        let begins = self.begins()?;
        let absences = self.seen.absences.iter().map(|absence| absence.until);
        let resumed = absences.max().filter(|until| begins < *until)?;
        last.is_none_or(|last| last.at < resumed).then_some(resumed)
    }

    /// The last query that had a conclusive result.
    pub fn conclusive(&self) -> Option<ClockMark> {
        self.evaluation.and_then(|evaluation| evaluation.conclusive)
    }

    /// Without a conclusive result the clock is paused from then on.
    pub fn stale_at(&self) -> Option<Timestamp> {
        self.base()?.saturating_add(self.patience()).ok()
    }

    /// Is there no evidence for longer than two intervals, or none since a controller runs again?
    pub fn lacks_evidence(&self) -> bool {
        let stale = self.stale_at().is_some_and(|at| at < self.seen.now);
        stale || self.resumed(self.conclusive()).is_some()
    }

    /// The time before the last conclusive result in which there should have been another one, as long as the status does
    /// not account for it. It is reported once it is over, too: what is not recorded in time must not count as evidence.
    pub fn unrecorded_gap(&self) -> Option<Absence> {
        let evaluation = self.evaluation?;
        let until = evaluation.conclusive?.at;
        let before = evaluation.previous.map(|mark| self.on_the_clock(mark)).or_else(|| self.begins())?;
        // Of the time before a restart nothing is known; the first result after it came late, however soon it came.
        let resumed = self
            .resumed(evaluation.previous)
            .map(|resumed| resumed.max(self.status.accounted_until.unwrap_or(resumed)));
        let (from, patience) = resumed.map_or((before, self.patience()), |resumed| (resumed, SignedDuration::ZERO));
        (from.duration_until(until) > patience).then_some(Absence { from, until })
    }

    /// When its query is due next; nothing while one is under way, or while the status does not hold yet what the last
    /// result says.
    pub fn due(&self) -> Option<Timestamp> {
        let is_pending = self.seen.answers.get(self.name).is_some_and(|history| history.pending.is_some());
        // That the clock is paused is reported first: the mark of a query is what the status says of the clock.
        let is_unreported = self.lacks_evidence() && self.status.held_since.is_none();
        if is_pending || is_unreported {
            return None;
        }
        let begins = self.begins()?;
        let Some(evaluation) = self.evaluation else { return Some(begins) };
        // A pause that goes on covers the gap; the result is awaited in it.
        let is_held = |gap: &Absence| self.status.held_since.is_some_and(|held| held <= gap.from);
        if self.unrecorded_gap().is_some_and(|gap| !is_held(&gap)) || !self.is_counted(evaluation) {
            return None;
        }
        let next = evaluation.at.saturating_add(self.pause(evaluation)).unwrap_or(Timestamp::MAX);
        let last = self.status.deadline.filter(|deadline| evaluation.at < *deadline);
        let again = self.resumed(evaluation.conclusive).filter(|resumed| evaluation.at < *resumed);
        [Some(next), last, again].into_iter().flatten().min()
    }

    /// How long to wait after a result.
    fn pause(&self, evaluation: &Evaluation) -> SignedDuration {
        let interval = self.seen.kanary.spec.validation.max_interval_period;
        match &evaluation.outcome {
            Outcome::True(_) | Outcome::False(_) => self.spread(interval),
            Outcome::Unknown(_) => {
                interval.min(FIRST_RETRY.saturating_mul(1 << evaluation.inconclusive.saturating_sub(1).min(16)))
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

    /// When querying begins: `initialDelay` is over, on a clock that may have been paused.
    pub fn begins(&self) -> Option<Timestamp> {
        let from = self.status.judged_from(self.seen.kanary.spec.validation.initial_delay)?;
        from.saturating_add(self.status.held).ok()
    }

    /// The moment of a mark, moved by the pauses since then.
    fn on_the_clock(&self, mark: ClockMark) -> Timestamp {
        let held = self.status.held.saturating_sub(mark.held).max(SignedDuration::ZERO);
        let last_hold = self.status.accounted_until.map_or(mark.at, |accounted| accounted.max(mark.at));
        mark.at.saturating_add(held).unwrap_or(Timestamp::MAX).min(last_hold)
    }

    /// Two intervals: the longest time without evidence that is tolerated.
    fn patience(&self) -> SignedDuration {
        self.seen.kanary.spec.validation.max_interval_period.saturating_mul(2)
    }

    /// A little less than the interval, by an amount of the item's own: canaries that started together do not query together.
    fn spread(&self, interval: SignedDuration) -> SignedDuration {
        let own = hash::of(&json!([self.seen.kanary.uid(), self.name]));
        let tenth = i32::from_str_radix(&own[..2], 16).unwrap_or_default();
        interval - interval / 2560 * tenth
    }
}
