//! A query that is due, with all that sending it and reading its result needs.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, judge::judge, result};
use crate::api::PromQl;

/// A question that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Name of the item.
    pub item: String,
    /// Which question it is; of another one the answer does not count.
    pub hash: String,
    /// The query to send.
    pub query: String,
    /// Where to.
    pub url: String,
    /// How to ask, and how to read the answer.
    pub prom_ql: PromQl,
    /// The canary's pods but those on their way out.
    pub pods: BTreeSet<String>,
    /// How long the clock has stood still so far.
    pub held: SignedDuration,
    /// When it was to be asked, by the clock.
    pub due: Timestamp,
}

impl Query {
    /// Reads what came.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8]) -> Outcome {
        match result::read(status, body) {
            Ok(result) => judge(&self.prom_ql, &self.pods, &result),
            Err(error) => Outcome::Unknown(error.to_string()),
        }
    }
}
