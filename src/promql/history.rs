//! What is remembered of an item's questions. It can be lost without harm: then there is no evidence, and it is asked.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Outcome;

/// The questions of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryHistory {
    /// One is under way, since then. There is never a second.
    pub pending: Option<Timestamp>,
    /// The last that was answered.
    pub last: Option<Evaluation>,
}

/// A question, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which question, as [`super::Query::hash`].
    pub hash: String,
    /// The query as sent.
    pub query: String,
    /// When it was sent.
    pub at: Timestamp,
    /// What the answer means.
    pub outcome: Outcome,
    /// So many answers in a row were not conclusive.
    pub inconclusive: u32,
    /// The last question that had a conclusive answer.
    pub conclusive: Option<ClockMark>,
    /// The last one before that.
    pub previous: Option<ClockMark>,
}

/// A moment, and how long the clock of the validation had stood still by then. It makes moments comparable, whatever was
/// held between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClockMark {
    /// When.
    pub at: Timestamp,
    /// How long the clock had stood still.
    pub held: SignedDuration,
}

impl QueryHistory {
    /// A question was answered.
    pub fn record(&mut self, hash: String, query: String, sent: ClockMark, outcome: Outcome) {
        let before = self.last.take().filter(|before| before.hash == hash);
        let counts = before.as_ref().map(|before| (before.inconclusive, before.conclusive, before.previous));
        let (inconclusive, conclusive, previous) = counts.unwrap_or_default();
        let (inconclusive, conclusive, previous) = if outcome.is_conclusive() {
            (0, Some(sent), conclusive)
        } else {
            (inconclusive.saturating_add(1), conclusive, previous)
        };
        self.pending = None;
        self.last = Some(Evaluation { hash, query, at: sent.at, outcome, inconclusive, conclusive, previous });
    }
}
