//! What one item says, what it measured, and what all items say together.

use jiff::Timestamp;

use crate::{api::Verdict, promql::Evidence};

/// What one item says, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemResult {
    /// The verdict.
    pub verdict: Verdict,
    /// Why; the same for as long as the verdict is.
    pub message: String,
    /// What was measured, if anything was.
    pub measurement: Option<Measurement>,
    /// Failed evaluations so far.
    pub failures: i32,
    /// When the query of the last of them was sent.
    pub last_failure: Option<Timestamp>,
    /// At the end of the period nothing more is waited for.
    pub is_final: bool,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measurement {
    /// The value that decided.
    pub value: Option<String>,
    /// What it was compared with.
    pub bound: Option<String>,
    /// The query as sent.
    pub query: Option<String>,
    /// How many samples there were.
    pub samples: Option<i32>,
}

impl Measurement {
    pub(super) fn of(evidence: &Evidence, query: &str) -> Self {
        Self {
            value: Some(evidence.value.clone()),
            bound: Some(evidence.bound.clone()),
            query: Some(query.to_owned()),
            samples: i32::try_from(evidence.samples).ok(),
        }
    }
}

impl ItemResult {
    pub(super) fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into(), measurement: None, failures: 0, last_failure: None, is_final: true }
    }
}

/// What all items say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// One is violated, or the whole run was rejected manually.
    Invalid {
        /// One sentence that names the item.
        message: String,
    },
    /// All hold, and for long enough.
    Valid {
        /// One sentence.
        message: String,
    },
    /// Not yet: the period is not over, or an item has no evidence.
    Open {
        /// One sentence on what is waited for, once the period is over.
        message: Option<String>,
    },
}

/// What the cluster and the clock say when the canary is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The canary was evaluated for the whole period.
    pub period_over: bool,
    /// It is available: all its pods but those that are terminating are of its template.
    pub available: bool,
}
