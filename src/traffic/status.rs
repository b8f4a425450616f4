//! Does the requested traffic reach the canary, as far as objects show?

use crate::api::{ConditionStatus, Explanation, Reason};

/// The status of the traffic, as the condition `Traffic` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficStatus {
    /// Does it reach the canary?
    pub truth: ConditionStatus,
    /// The reason and the message of the condition.
    pub why: Explanation,
}

impl TrafficStatus {
    pub(super) fn new(truth: ConditionStatus, reason: Reason, message: impl Into<String>) -> Self {
        Self { truth, why: Explanation::new(reason, message) }
    }

    /// Does it certainly reach the canary?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.truth == ConditionStatus::True
    }
}
