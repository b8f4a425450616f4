//! The transition table: from a phase and the signs of the moment to the next phase, and why.

use super::base::{Loss, Progress};
use crate::{
    api::{ItemStatus, Phase},
    validation::{Judgement, promql::Gap},
};

/// The signs that a transition rests on.
#[derive(Clone, Debug)]
pub struct Signs {
    /// The time of `spec.schedule` has come.
    pub due: bool,
    /// The base is no longer what was pinned.
    pub loss: Option<Loss>,
    /// What the items say.
    pub judgement: Judgement,
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
pub fn next(phase: Phase, signs: &Signs) -> Option<(Phase, Cause)> {
    match phase {
        Phase::Scheduled => signs.due.then(|| to(Phase::Starting, "Due", "the scheduled time has come")),
        Phase::Starting => failure(signs).or_else(|| {
            signs.judgeable.then(|| to(Phase::Validating, "Available", "the canary is available and its traffic on"))
        }),
        Phase::Validating => failure(signs).or_else(|| success(signs)),
        // Who is left alone may do with the base what he likes: nothing of ours is to be written.
        Phase::Promoting => lost(signs).filter(|_| signs.progress != Progress::LeftAlone).or_else(|| {
            let over = signs.progress.is_over() && signs.clean;
            over.then(|| to(Phase::Succeeded, "Cleaned", "the template is proven, nothing of the canary is left"))
        }),
        Phase::Failing => signs.clean.then(|| to(Phase::Failed, "Cleaned", "the canary failed, nothing of it is left")),
        Phase::Succeeded | Phase::Failed => None,
    }
}

fn to(phase: Phase, reason: &'static str, message: impl Into<String>) -> (Phase, Cause) {
    (phase, Cause { reason, message: message.into() })
}

fn lost(signs: &Signs) -> Option<(Phase, Cause)> {
    signs.loss.as_ref().map(|loss| match loss {
        Loss::Gone(message) => to(Phase::Failing, "BaseGone", message),
        Loss::Changed(message) => to(Phase::Failing, "BaseChanged", message),
    })
}

fn failure(signs: &Signs) -> Option<(Phase, Cause)> {
    let invalid = || match &signs.judgement {
        Judgement::Invalid { message } => Some(to(Phase::Failing, "Invalid", message)),
        Judgement::Valid { .. } | Judgement::Open { .. } => None,
    };
    let stuck = || signs.stuck.as_ref().map(|message| to(Phase::Failing, "CanaryNotAvailable", message));
    lost(signs).or_else(invalid).or_else(stuck)
}

fn success(signs: &Signs) -> Option<(Phase, Cause)> {
    match &signs.judgement {
        Judgement::Valid { message } if signs.judgeable && signs.is_fresh => {
            Some(to(Phase::Promoting, "Valid", message))
        }
        Judgement::Valid { .. } | Judgement::Open { .. } | Judgement::Invalid { .. } => None,
    }
}
