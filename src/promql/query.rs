//! A query that is due, with all that sending it and reading its result needs.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, judge::judge, result};
use crate::api::PromQl;

/// A query that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Name of the item.
    pub item: String,
    /// Which query it is; the result of another one does not count.
    pub hash: String,
    /// The query to send.
    pub query: String,
    /// Where to.
    pub url: String,
    /// How to send it, and how to read the result.
    pub prom_ql: PromQl,
    /// The canary's pods but those that are terminating.
    pub pods: BTreeSet<String>,
    /// For how long the clock has been paused so far.
    pub held: SignedDuration,
    /// When it was due, by the clock.
    pub due: Timestamp,
}

impl Query {
    /// Reads the response.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8]) -> Outcome {
        match result::read(status, body) {
            Ok(result) => judge(&self.prom_ql, &self.pods, &result),
            Err(error) => Outcome::Unknown(error.to_string()).bounded(),
        }
    }
}
