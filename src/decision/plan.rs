//! What a decision is made of: data that says what to do and what to tell, and nothing about how.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Observed;
use crate::api::{KanaryDeploymentStatus, Reason};

/// What to do, what to tell, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In this order; at most one write an object.
    pub actions: Vec<Action>,
    /// The new status, if it differs from the persisted one, and the events that go with it.
    pub status: Option<StatusUpdate>,
    /// Look again at this time, even if nothing is seen to happen.
    pub requeue_at: Option<Timestamp>,
}

impl Plan {
    /// Does it tell of another phase than the persisted one?
    #[must_use]
    pub fn enters_phase(&self, seen: &Observed) -> bool {
        self.status.as_ref().is_some_and(|update| update.status.phase != seen.status().phase)
    }
}

/// Progress is told so much later at most.
const COALESCE_FOR: SignedDuration = SignedDuration::from_secs(5);

/// A new status, and what to say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// The whole status.
    pub status: KanaryDeploymentStatus,
    /// Events, published once the status is persisted.
    pub notices: Vec<Notice>,
    /// It tells of progress only: nothing is decided by it, and as a rule something newer is told soon.
    pub can_wait: bool,
}

impl StatusUpdate {
    /// Until when it is put off, if it was first to be told `since` then; nothing, if it is told now.
    #[must_use]
    pub fn deferred_until(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        since.saturating_add(COALESCE_FOR).ok().filter(|until| self.can_wait && now < *until)
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Does somebody have to look?
    pub warning: bool,
    /// One word. Events are merged by it and keep their first note.
    pub reason: Reason,
    /// One sentence.
    pub note: String,
}

/// The kinds that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Kind {
    Deployment,
    Service,
    HorizontalPodAutoscaler,
    Pod,
    VirtualService,
    HTTPRoute,
    KanaryDeployment,
}

impl Kind {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Deployment => "Deployment",
            Kind::Service => "Service",
            Kind::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Kind::Pod => "Pod",
            Kind::VirtualService => "VirtualService",
            Kind::HTTPRoute => "HTTPRoute",
            Kind::KanaryDeployment => "KanaryDeployment",
        }
    }

    /// Its API group and version.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Kind::Deployment => "apps/v1",
            Kind::Service | Kind::Pod => "v1",
            Kind::HorizontalPodAutoscaler => "autoscaling/v2",
            Kind::VirtualService => "networking.istio.io/v1",
            Kind::HTTPRoute => "gateway.networking.k8s.io/v1",
            Kind::KanaryDeployment => "kanary.k8s.io/v1alpha1",
        }
    }
}

/// An object in the namespace of the `KanaryDeployment`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// A patch that the API server refuses with 409 if the object is not as observed: each carries its resourceVersion.
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
        /// Which.
        target: Target,
        /// The whole object.
        object: Value,
    },
    /// Creates the base, which nobody owns.
    CreateBase {
        /// Which.
        target: Target,
        /// The whole object.
        object: Value,
    },
    /// Changes a child, a canary pod, the mirror in somebody's route, or our finalizer.
    Patch {
        /// Which.
        target: Target,
        /// How.
        patch: Patch,
    },
    /// Gives the base the proven template: the one write to it in a run.
    Promote {
        /// The base.
        target: Target,
        /// How.
        patch: Patch,
    },
    /// Deletes a child; of a Deployment what hangs on it goes first.
    Delete {
        /// Which.
        target: Target,
        /// Its uid: an object of the same name that came later is spared.
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

    /// As a person would say it.
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

/// What must be asked of the API server before a plan can be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Lookup {
    /// A dry run of the promotion; the answer is a [`super::DryRun`].
    DryRunPromotion {
        /// The base.
        target: Target,
        /// The very patch of the promotion.
        patch: Patch,
        /// Hash of the user's template.
        template_hash: String,
        /// Hash of the base's pod template.
        base_hash: String,
    },
    /// The canary and its pods as they are now: a success is final, and a watch that fell silent looks like one that has
    /// nothing to tell.
    ReadCanary,
    /// The routes of the namespace as they are now: before the finalizer goes, memory is not enough, for it may not have
    /// seen yet what a write whose answer was lost did.
    ReadRoutes,
}
