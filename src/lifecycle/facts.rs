//! What is true at this moment, whatever the phase: computed once for each decision.

use super::{base, preflight};
use crate::{
    api::{Explanation, KanaryDeploymentStatus},
    canary::{self, Readiness, Withheld},
    decision::Observed,
    traffic::Traffic,
};

/// The facts of one moment.
pub(crate) struct Facts<'a> {
    pub withheld: Withheld,
    /// Which canary Deployment there should be.
    pub desired_hash: String,
    pub readiness: Readiness,
    /// What the user must change.
    pub refusal: Option<Explanation>,
    pub traffic: Traffic<'a>,
}

impl<'a> Facts<'a> {
    pub fn gather(seen: &'a Observed) -> Self {
        let withheld = canary::withhold(seen);
        let desired_hash = canary::desired_hash(&seen.kanary, &withheld);
        let traffic = Traffic::of(seen, &withheld);
        Self {
            readiness: canary::readiness(seen, &withheld, &desired_hash),
            refusal: preflight::find(seen, &withheld, &traffic),
            traffic,
            withheld,
            desired_hash,
        }
    }

    /// Is something in the way, so that nothing is created?
    pub fn is_hindered(&self) -> bool {
        self.refusal.is_some() || self.traffic.obstacle().is_some()
    }

    /// Can the canary be evaluated, as far as the cluster goes? A restart may find the canary of the run before still
    /// available: without a pin nothing is proven against anything.
    pub fn is_at_work(&self, seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
        base::is_pinned(status)
            && !base::needs_dry_run(seen, status)
            && self.readiness == Readiness::Ready
            && self.traffic.status().is_on()
            && seen.watch_broken_since.is_none()
            && self.refusal.is_none()
    }
}
