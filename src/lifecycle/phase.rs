//! The transition table: from a phase and the signs of the moment to the next phase, and why.

use super::base::{BaseDrift, Progress};
use crate::{
    api::{ItemStatus, Phase},
    validation::{Assessment, promql::Gap},
};

/// The signs that a transition rests on.
#[derive(Clone, Debug)]
pub struct Guards {
    /// The time of `spec.schedule` has come.
    pub due: bool,
    /// The base is no longer what was pinned.
    pub loss: Option<BaseDrift>,
    /// What the items say.
    pub assessment: Assessment,
    /// The canary has not been available for longer than its progress deadline.
    pub stuck: Option<String>,
    /// The canary is available and its traffic on, and evidence comes in.
    pub judgeable: bool,
    /// All this is as it is now: without that nothing succeeds.
    pub is_fresh: bool,
    /// For how long no evidence came in, if that is what is missing.
    pub gap: Option<Gap>,
    /// What each item says, with all that was measured.
    pub items: Vec<ItemStatus>,
    /// Where the base stands, after a verdict of success.
    pub progress: Progress,
    /// Nothing of the canary is left.
    pub clean: bool,
}

/// Why a phase is entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// One word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

/// The next phase, if another one begins.
#[must_use]
pub fn next(phase: Phase, guards: &Guards) -> Option<(Phase, Cause)> {
    match phase {
        Phase::Scheduled => guards.due.then(|| to(Phase::Starting, "Due", "the scheduled time has come")),
        Phase::Starting => failure(guards).or_else(|| {
            guards.judgeable.then(|| to(Phase::Validating, "Available", "the canary is available and its traffic on"))
        }),
        Phase::Validating => failure(guards).or_else(|| success(guards)),
        // Who is left alone may do with the base what he likes: nothing of ours is to be written.
        Phase::Promoting => lost(guards).filter(|_| guards.progress != Progress::LeftAlone).or_else(|| {
            let over = guards.progress.is_over() && guards.clean;
            over.then(|| to(Phase::Succeeded, "Cleaned", "the template is proven, nothing of the canary is left"))
        }),
        Phase::Failing => {
            guards.clean.then(|| to(Phase::Failed, "Cleaned", "the canary failed, nothing of it is left"))
        }
        Phase::Succeeded | Phase::Failed => None,
    }
}

fn to(phase: Phase, reason: &'static str, message: impl Into<String>) -> (Phase, Cause) {
    (phase, Cause { reason, message: message.into() })
}

fn lost(guards: &Guards) -> Option<(Phase, Cause)> {
    guards.loss.as_ref().map(|loss| match loss {
        BaseDrift::Gone(message) => to(Phase::Failing, "BaseGone", message),
        BaseDrift::Changed(message) => to(Phase::Failing, "BaseChanged", message),
    })
}

fn failure(guards: &Guards) -> Option<(Phase, Cause)> {
    let invalid = || match &guards.assessment {
        Assessment::Invalid { message } => Some(to(Phase::Failing, "Invalid", message)),
        Assessment::Valid { .. } | Assessment::Open { .. } => None,
    };
    let stuck = || guards.stuck.as_ref().map(|message| to(Phase::Failing, "CanaryNotAvailable", message));
    lost(guards).or_else(invalid).or_else(stuck)
}

fn success(guards: &Guards) -> Option<(Phase, Cause)> {
    match &guards.assessment {
        Assessment::Valid { message } if guards.judgeable && guards.is_fresh => {
            Some(to(Phase::Promoting, "Valid", message))
        }
        Assessment::Valid { .. } | Assessment::Open { .. } | Assessment::Invalid { .. } => None,
    }
}
