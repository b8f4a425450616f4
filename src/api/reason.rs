//! Why a condition has its status, and why an event is recorded: every reason that the controller gives, in one place.
//!
//! `docs/reference.md` lists exactly these; a test compares the two.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{AsRefStr, Display, EnumIter, EnumString};

/// The reason of a condition or of an event, a word in `CamelCase`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, AsRefStr, Display, EnumIter, EnumString)]
#[allow(missing_docs)] // docs/reference.md says what each means
pub enum Reason {
    // Scheduled
    Due,
    Waiting,
    // CanaryReady; `Waiting`, too
    Absent,
    Available,
    Progressing,
    Removed,
    Removing,
    ReplicaFailure,
    // Traffic; `Removed`, too
    Accepted,
    AcceptedUnverified,
    AmbiguousHPA,
    CopiesSeen,
    ForeignRoute,
    HTTPRouteNotFound,
    HTTPRouteWins,
    HostTaken,
    InheritedMirrors,
    MirrorReverted,
    NoCopiesSeen,
    NoMesh,
    NoRoute,
    NotAccepted,
    NotHTTP,
    NotPermitted,
    NotRequested,
    On,
    Pending,
    PortNotFound,
    PortRequired,
    RouteNotFound,
    RouteUnreached,
    RoutesNotListed,
    ServiceNotFound,
    ServiceUnsupported,
    SingularMirror,
    SplitRoute,
    VirtualServiceNotFound,
    VirtualServiceWins,
    // Running
    AwaitingEvidence,
    AwaitingPrometheus,
    Evaluated,
    Evaluating,
    Paused,
    // Succeeded and Failed
    BaseChanged,
    BaseGone,
    CanaryNotAvailable,
    Invalid,
    Valid,
    // DeploymentUpdated
    AlreadyUpToDate,
    BasePaused,
    BaseRolloutStalled,
    NoUpdate,
    Promoted,
    Promoting,
    Reverted,
    RollingOut,
    // Stalled
    BadPrometheus,
    BaseNotFound,
    BaseScaledToZero,
    BadQuery,
    ForeignNamespace,
    NameTaken,
    PromotionRefused,
    ServiceLosesPods,
    SubsetLosesPods,
    RequestFailed,
    Resolved,
    SelectorTooWide,
    Unreadable,
    // Ready and Reconciling, and the events of a phase that begins; `Promoting`, too
    Failed,
    Failing,
    Scheduled,
    Starting,
    Succeeded,
    Validating,
    // Events alone
    BaseCreated,
    BaseHPACountsCanary,
    BaseManaged,
    JoinsOtherServices,
    LabelsWithheld,
    MirrorCopiesWrites,
    PDBCountsCanary,
    PortUndeclared,
    QueryDoubtful,
    QueryNotChecked,
    ReadinessGated,
    Restarted,
    ScheduledApart,
    SharesWithBase,
    SubsetExcludesCanary,
    UnevenTraffic,
    WithheldLabelRead,
    Retried,
    Started,
    /// Another component's reason, such as the kubelet's `ImagePullBackOff`, or one that an older version wrote.
    #[strum(default, transparent)]
    Other(String),
}

/// A longer word is no reason.
const LONGEST: usize = 100;

impl Reason {
    /// The reason of another component, such as a kubelet: anybody may write a status, and the API requires a word.
    #[must_use]
    pub fn of_others(text: &str) -> Option<Self> {
        let is_in_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.chars().all(is_in_word);
        (is_word && text.len() <= LONGEST).then(|| Self::from(text))
    }

    /// As the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.as_ref()
    }

    /// Does a healthy canary go through it, so that no user has to act?
    #[must_use]
    pub fn is_progress(&self) -> bool {
        matches!(
            self,
            Self::Absent
                | Self::Progressing
                | Self::Available
                | Self::Pending
                | Self::On
                | Self::Removing
                | Self::Removed
        )
    }

    /// Is it so common in the course of a run that a person need not read it beside the phase?
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        self.is_progress()
            || matches!(
                self,
                Self::Accepted
                    | Self::AcceptedUnverified
                    | Self::CopiesSeen
                    | Self::NotRequested
                    | Self::Evaluating
                    | Self::Promoting
                    | Self::RollingOut
                    | Self::Promoted
                    | Self::AlreadyUpToDate
                    | Self::NoUpdate
            )
    }

    /// Does it pass without a change by a user, or once something is made that may well be on its way?
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        matches!(self, Self::ServiceNotFound | Self::RoutesNotListed)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*Cow::<'de, str>::deserialize(deserializer)?))
    }
}

/// Why something is as it is, for a condition or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// For machines: scripts and alerts match it.
    pub reason: Reason,
    /// For people: what is the case, where, and what to do.
    pub message: String,
}

impl Explanation {
    /// A reason with its message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The same, with the field or the object that it is about before the message.
    #[must_use]
    pub fn prefixed(self, about: &str) -> Self {
        Self { message: format!("{about}{}", self.message), ..self }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn a_reason_survives_its_spelling() {
        for reason in Reason::iter().filter(|reason| *reason != Reason::Other(String::new())) {
            let json = serde_json::to_string(&reason).expect("it is text");
            assert_eq!(json, format!("\"{reason:?}\""), "the variant is the word");
            assert_eq!(serde_json::from_str::<Reason>(&json).expect("it is read"), reason);
        }
    }

    #[test]
    fn what_is_no_word_is_no_reason() {
        for text in ["", "Has blanks", "\u{1b}[31m", "ünicode", "1st", "a-b", &"x".repeat(101)] {
            assert_eq!(Reason::of_others(text), None, "{text}");
        }
        assert_eq!(Reason::of_others("Paused"), Some(Reason::Paused));
        assert_eq!(Reason::of_others("Err_2"), Some(Reason::Other("Err_2".into())));
    }

    #[test]
    fn the_words_of_others_are_kept() {
        let reason: Reason = serde_json::from_str("\"ImagePullBackOff\"").expect("it is read");
        assert_eq!(reason, Reason::Other("ImagePullBackOff".into()));
        assert_eq!(reason.as_str(), "ImagePullBackOff");
        assert_eq!(reason.to_string(), "ImagePullBackOff");
    }
}
