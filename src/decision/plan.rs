//! What a decision consists of: data that says what to write and what to report, and nothing about how.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Kind, Observed};
use crate::api::{KanaryDeploymentStatus, Reason};

/// What to write, what to report, and when to reconcile again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In this order; at most one write for each object.
    pub actions: Vec<Action>,
    /// The new status, if it differs from the persisted one, and the events that go with it.
    pub status: Option<StatusUpdate>,
    /// Reconcile again at this time, even if no event arrives.
    pub requeue_at: Option<Timestamp>,
}

impl Plan {
    /// Does it report another phase than the persisted one?
    #[must_use]
    pub fn enters_phase(&self, seen: &Observed) -> bool {
        self.status.as_ref().is_some_and(|update| update.status.phase != seen.status().phase)
    }
}

/// Progress is reported at most this much later.
const COALESCE_FOR: SignedDuration = SignedDuration::from_secs(5);

/// A new status, and the events that go with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// The whole status, not a difference.
    pub status: KanaryDeploymentStatus,
    /// Events, published once the status is persisted.
    pub notices: Vec<Notice>,
    /// It reports only progress: no decision rests on it, and as a rule something newer follows soon.
    pub can_wait: bool,
}

impl StatusUpdate {
    /// Until when it is deferred, if it has been due `since` then; nothing, if it is written now.
    #[must_use]
    pub fn deferred_until(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let until = since.saturating_add(COALESCE_FOR).ok()?;
        if self.can_wait && now < until { Some(until) } else { None }
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Is it a warning, which a user should read?
    pub warning: bool,
    /// For machines.
    pub reason: Reason,
    /// For people.
    pub note: String,
}

/// An object in the namespace of the `KanaryDeployment`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// One of the kinds that are written.
    pub kind: Kind,
    /// Name within the namespace.
    pub name: String,
}

/// A patch that the API server refuses with 409 if the object is not as observed: each contains its resourceVersion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Patch {
    /// RFC 7386.
    Merge(Value),
    /// RFC 6902.
    Json(Vec<Value>),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Creates a child, owned by the `KanaryDeployment`.
    Create {
        /// The child.
        target: Target,
        /// The whole object.
        object: Value,
    },
    /// Creates the base, which has no owner.
    CreateBase {
        /// The base.
        target: Target,
        /// The whole object.
        object: Value,
    },
    /// Changes a child, a canary pod, our entry in a user's route, or our finalizer.
    Patch {
        /// The object that is changed.
        target: Target,
        /// The change.
        patch: Patch,
    },
    /// Gives the base the promoted template: the only write to it in a run.
    Promote {
        /// The base.
        target: Target,
        /// The change.
        patch: Patch,
    },
    /// Deletes a child; of a Deployment its dependents go first.
    Delete {
        /// The child.
        target: Target,
        /// Protects an object of the same name that was created later.
        uid: String,
    },
}

impl Action {
    /// The object that it writes.
    #[must_use]
    pub fn target(&self) -> &Target {
        match self {
            Action::Create { target, .. }
            | Action::CreateBase { target, .. }
            | Action::Patch { target, .. }
            | Action::Promote { target, .. }
            | Action::Delete { target, .. } => target,
        }
    }

    /// The kind of the child whose whole spec it writes; a merge patch, as of replicas alone, does not.
    #[must_use]
    pub fn rewrites(&self) -> Option<Kind> {
        match self {
            Action::Create { target, .. } | Action::Patch { target, patch: Patch::Json(_) } => Some(target.kind),
            Action::Patch { patch: Patch::Merge(_), .. }
            | Action::CreateBase { .. }
            | Action::Promote { .. }
            | Action::Delete { .. } => None,
        }
    }

    /// Does it rest on the absence of its object?
    #[must_use]
    pub fn creates(&self) -> bool {
        matches!(self, Action::Create { .. } | Action::CreateBase { .. })
    }

    /// As a message names it: `create Deployment web-kanary`.
    #[must_use]
    pub fn describe(&self) -> String {
        let verb = match self {
            Action::Create { .. } => "create",
            Action::CreateBase { .. } => "create the base",
            Action::Patch { .. } => "patch",
            Action::Promote { .. } => "promote",
            Action::Delete { .. } => "delete",
        };
        let Target { kind, name } = self.target();
        format!("{verb} {} {name}", kind.as_str())
    }
}

/// What must be read from the API server before a plan can be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Lookup {
    /// A dry run of the promotion; the result is a [`super::DryRun`].
    DryRunPromotion {
        /// The base.
        target: Target,
        /// The same patch as that of the promotion.
        patch: Patch,
        /// Hash of the user's template.
        template_hash: String,
        /// Hash of the base's pod template.
        base_hash: String,
    },
    /// The canary and its pods as they are now: success is final, and a watch that hangs is like one without events.
    ReadCanary,
    /// Whether these are absent, as the observation says: a watch may be behind, and what is there is not created.
    ReadAbsent(Vec<Target>),
    /// The routes of the namespace as they are now: before the finalizer is released, the store is not enough, because it
    /// may not have seen yet what a write with a lost answer did.
    ReadRoutes,
}
