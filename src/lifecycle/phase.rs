//! The transition table: from a phase and the guards of the moment to the next phase, and why.

use super::base::{BaseDrift, Rollout};
use crate::{
    api::{Explanation, ItemStatus, Phase, Reason},
    validation::{Assessment, promql::Gap},
};

/// The conditions that a transition rests on.
#[derive(Clone, Debug)]
pub struct Guards {
    /// The time of `spec.schedule` has come.
    pub due: bool,
    /// The base is no longer what was pinned.
    pub drift: Option<BaseDrift>,
    /// What the items say.
    pub assessment: Assessment,
    /// The canary has not been available for longer than its progress deadline.
    pub stuck: Option<String>,
    /// The canary is available and its traffic on, and evidence comes in.
    pub judgeable: bool,
    /// The canary and its pods were read just now: without that nothing succeeds.
    pub is_fresh: bool,
    /// For how long no evidence came in, if that is what is missing.
    pub gap: Option<Gap>,
    /// What each item says, with all that was measured.
    pub items: Vec<ItemStatus>,
    /// After a verdict of success: what a user, or an invalidation label, says against the canary.
    pub rejection: Option<String>,
    /// Did this run write the base? From then on a rejection comes too late.
    pub is_written: bool,
    /// How far the base is, after a verdict of success.
    pub rollout: Rollout,
    /// Nothing of the canary is left.
    pub clean: bool,
}

/// The next phase, if another one begins.
#[must_use]
pub fn next(phase: Phase, guards: &Guards) -> Option<(Phase, Explanation)> {
    match phase {
        Phase::Scheduled => guards.due.then(|| to(Phase::Starting, Reason::Due, "due")),
        Phase::Starting => failure(guards).or_else(|| {
            guards
                .judgeable
                .then(|| to(Phase::Validating, Reason::Available, "the canary is available and receives its traffic"))
        }),
        Phase::Validating => failure(guards).or_else(|| success(guards)),
        // With noUpdate nothing is to be written, so the base may change.
        Phase::Promoting => (if guards.rollout == Rollout::LeftAlone { None } else { drifted(guards) })
            .or_else(|| rejected(guards))
            .or_else(|| {
                let over = guards.rollout.is_over() && guards.clean;
                over.then(|| to(Phase::Succeeded, Reason::Succeeded, "promotion complete, canary removed"))
            }),
        Phase::Failing => guards.clean.then(|| to(Phase::Failed, Reason::Failed, "the canary failed and was removed")),
        Phase::Succeeded | Phase::Failed => None,
    }
}

fn to(phase: Phase, reason: Reason, message: impl Into<String>) -> (Phase, Explanation) {
    (phase, Explanation::new(reason, message))
}

fn drifted(guards: &Guards) -> Option<(Phase, Explanation)> {
    guards.drift.as_ref().map(|drift| match drift {
        BaseDrift::Gone(message) => to(Phase::Failing, Reason::BaseGone, message),
        BaseDrift::Changed(message) => to(Phase::Failing, Reason::BaseChanged, message),
    })
}

fn rejected(guards: &Guards) -> Option<(Phase, Explanation)> {
    let message = guards.rejection.as_ref().filter(|_| !guards.is_written)?;
    Some(to(Phase::Failing, Reason::Invalid, message))
}

fn failure(guards: &Guards) -> Option<(Phase, Explanation)> {
    let invalid = || match &guards.assessment {
        Assessment::Invalid { message } => Some(to(Phase::Failing, Reason::Invalid, message)),
        Assessment::Valid { .. } | Assessment::Open { .. } => None,
    };
    let stuck = || guards.stuck.as_ref().map(|message| to(Phase::Failing, Reason::CanaryNotAvailable, message));
    drifted(guards).or_else(invalid).or_else(stuck)
}

fn success(guards: &Guards) -> Option<(Phase, Explanation)> {
    match &guards.assessment {
        Assessment::Valid { message } if guards.judgeable && guards.is_fresh => {
            Some(to(Phase::Promoting, Reason::Valid, message))
        }
        Assessment::Valid { .. } | Assessment::Open { .. } | Assessment::Invalid { .. } => None,
    }
}
