//! What is remembered of an item's questions. It can be lost without harm: then there is no evidence, and it is asked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Outcome;

/// The questions of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// One is under way, since then. There is never a second.
    pub pending: Option<Timestamp>,
    /// The last that was answered.
    pub last: Option<Reply>,
}

/// A question, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Which question, as [`super::Inquiry::hash`].
    pub hash: String,
    /// The query as sent.
    pub query: String,
    /// When it was sent.
    pub at: Timestamp,
    /// What the answer means.
    pub outcome: Outcome,
    /// So many answers in a row were not conclusive.
    pub doubts: u32,
    /// When the last question was sent that had a conclusive answer.
    pub conclusive: Option<Timestamp>,
    /// When the last such question before that one was sent.
    pub previous: Option<Timestamp>,
}

impl Asked {
    /// A question was answered.
    pub fn take_in(&mut self, hash: String, query: String, at: Timestamp, outcome: Outcome) {
        let before = self.last.take().filter(|before| before.hash == hash);
        let known = before.as_ref().map(|before| (before.doubts, before.conclusive, before.previous));
        let (doubts, conclusive, previous) = known.unwrap_or_default();
        let (doubts, conclusive, previous) = if outcome.is_conclusive() {
            (0, Some(at), conclusive)
        } else {
            (doubts.saturating_add(1), conclusive, previous)
        };
        self.pending = None;
        self.last = Some(Reply { hash, query, at, outcome, doubts, conclusive, previous });
    }
}
