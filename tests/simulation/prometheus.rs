//! A Prometheus with moods, and the questions on their way to it. What it says is read by the real reader.

use jiff::{SignedDuration, Timestamp};
use kanary::promql::{Outcome, Query};
use serde_json::json;

/// The controller waits no longer for an answer.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// The canary is well.
    True,
    /// It is not.
    False,
    /// It answers, but nothing that says anything: one of four.
    QueryError(usize),
    /// It does not answer.
    Hangs,
}

/// A question under way.
#[derive(Clone)]
pub struct Flight {
    pub kanary: String,
    pub uid: String,
    pub query: Query,
    pub at: Timestamp,
}

impl Flight {
    /// What comes of it now; nothing as long as it may still be answered.
    pub fn land(&self, mood: Mood, now: Timestamp) -> Option<Outcome> {
        let scalar = |value: &str| {
            json!({"status": "success", "data": {"resultType": "scalar", "result": [1, value]}}).to_string()
        };
        let (status, body) = match mood {
            Mood::True => (200, scalar("1")),
            Mood::False => (200, scalar("0")),
            Mood::QueryError(0) => (200, scalar("NaN")),
            Mood::QueryError(1) => (200, scalar("0.5")),
            Mood::QueryError(2) => (503, String::new()),
            Mood::QueryError(_) => (200, "<".into()),
            Mood::Hangs if self.at.duration_until(now) >= PATIENCE => {
                return Some(Outcome::Unknown("no answer within 5s".into()));
            }
            Mood::Hangs => return None,
        };
        Some(self.query.read(status, body.as_bytes()))
    }
}

/// Which question it is, for those who keep account.
pub fn key(name: &str, item: &kanary::api::PromQl) -> String {
    format!("{name} {}", json!(item))
}
