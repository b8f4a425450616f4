//! What is remembered of an item's queries. It can be lost without harm: then there is no evidence, and the query is sent
//! again.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Outcome;

/// The queries of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryHistory {
    /// One is under way, since then. There is never a second.
    pub pending: Option<Timestamp>,
    /// The last that has a result.
    pub last: Option<Evaluation>,
}

/// A query, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which query, as [`super::Query::hash`].
    pub hash: String,
    /// The query as sent.
    pub query: String,
    /// When it was sent.
    pub at: Timestamp,
    /// What the result means.
    pub outcome: Outcome,
    /// How many results in a row were inconclusive.
    pub inconclusive: u32,
    /// The last query that had a conclusive result.
    pub conclusive: Option<ClockMark>,
    /// The last one before that.
    pub previous: Option<ClockMark>,
}

/// A moment, and for how long the clock of the validation had been paused by then. It makes moments comparable, whatever
/// pauses lie between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClockMark {
    /// When.
    pub at: Timestamp,
    /// For how long the clock had been paused.
    pub held: SignedDuration,
}

impl QueryHistory {
    /// A query has its outcome.
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
