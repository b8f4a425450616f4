//! The steps of the reconcile loop, and what comes of them: what a [`Driver`](super::driver::Driver) and the code that
//! performs its steps exchange.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    api::{KanaryDeploymentStatus, Phase},
    decision::{Action, Fault, Kind, Lookup, Routes, StatusUpdate, Target},
    objects::{Deployment, DeploymentSpec, Pod},
};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Observe again, and decide on that.
    Observe,
    /// Read this from the API server; the result goes to [`Driver::done`](super::driver::Driver::done), as that of the next two.
    Lookup(Lookup),
    /// Carry this out.
    Apply(Action),
    /// Write this status, if the resource is still as observed; then publish its events.
    WriteStatus(Box<StatusUpdate>),
    /// Nothing to do until something happens, or until then.
    Sleep(Wait),
}

impl Step {
    /// For a log.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Step::Observe => "observe".into(),
            Step::Lookup(Lookup::DryRunPromotion { target, .. }) => format!("dry-run the promotion of {}", target.name),
            Step::Lookup(Lookup::ReadCanary) => "read the canary and its pods".into(),
            Step::Lookup(Lookup::ReadAbsent(targets)) => {
                let names: Vec<_> =
                    targets.iter().map(|Target { kind, name }| format!("{} {name}", kind.as_str())).collect();
                format!("read whether there is no {}", names.join(", "))
            }
            Step::Lookup(Lookup::ReadRoutes) => "read the routes".into(),
            Step::Apply(action) => action.describe(),
            Step::WriteStatus(update) => {
                let KanaryDeploymentStatus { phase, message, .. } = &update.status;
                let phase = phase.map_or("none", Phase::as_str);
                format!("write the status: {phase}: {}", message.as_deref().unwrap_or_default())
            }
            Step::Sleep(wait) => format!("{wait:?}"),
        }
    }
}

/// How long to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Something is due then, if anything is.
    Until(Option<Timestamp>),
    /// Back off: something failed, and is tried again.
    BackOff(Duration),
}

/// What came of a step that succeeded.
#[derive(Clone, Debug)]
pub enum Done {
    /// It was written.
    Written,
    /// A child was written whole; its kind, and its fingerprint as stored.
    Stored(Kind, String),
    /// What the API server made of the base in a dry run at this time, or why it refuses.
    DryRun(Timestamp, Result<DeploymentSpec, String>),
    /// The canary and its pods as they are now.
    Canary(Option<Arc<Deployment>>, Vec<Arc<Pod>>),
    /// Are all of them absent? What is there is observed next.
    Absent(bool),
    /// The routes as they are now.
    Routes(Routes),
}

/// Why a step did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// Something is not as observed, or this controller does not lead any more: the decision is made again.
    Stale,
    /// The request failed.
    Failed(Fault),
}
