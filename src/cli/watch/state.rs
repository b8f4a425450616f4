//! The state that a watch has received so far.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{KanaryDeployment, Phase},
    cli::{
        client::{self, RunState},
        related::EventSummary,
    },
    objects::{Object, Pod},
};

/// A watch that opens again is silent until something changes. It is retried at least once a minute, so a failure that has
/// not been reported again for longer is over.
const STALE: SignedDuration = SignedDuration::from_mins(2);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// The resource.
    Run,
    /// The canary's pods.
    Pods,
    /// The events about the run.
    Events,
}

/// One thing that changed.
#[derive(Debug)]
pub enum Update {
    /// The run.
    Kanary(Box<KanaryDeployment>),
    /// The run was deleted.
    KanaryDeleted,
    /// A pod of the canary.
    Pod(Box<Pod>),
    /// A pod was deleted.
    PodDeleted(String),
    /// An event, by its name.
    Event(String, EventSummary),
    /// One of the three cannot be read, as of this time.
    Unreadable(Watched, String, Timestamp),
    /// It can be read again.
    Readable(Watched),
    /// The user quits.
    Quit,
    /// Time has passed.
    Tick,
}

/// All that is shown.
#[derive(Clone, Debug)]
pub struct State {
    /// The run, as last read.
    pub kanary: KanaryDeployment,
    /// It was deleted.
    pub is_deleted: bool,
    /// Its pods, by name.
    pub pods: BTreeMap<String, Pod>,
    /// Its events, by name.
    pub events: BTreeMap<String, EventSummary>,
    /// What cannot be read, why, and when the last attempt was.
    pub unreadable: BTreeMap<Watched, (String, Timestamp)>,
}

impl Watched {
    /// The message if it cannot be read.
    #[must_use]
    pub fn unreadable(self, why: &str) -> String {
        let what = match self {
            Watched::Run => "the run",
            Watched::Pods => "its pods",
            Watched::Events => "its events",
        };
        format!("cannot read {what}: {why}")
    }
}

impl State {
    /// A run, without its pods and events yet.
    #[must_use]
    pub fn new(kanary: KanaryDeployment) -> Self {
        Self { kanary, is_deleted: false, pods: BTreeMap::new(), events: BTreeMap::new(), unreadable: BTreeMap::new() }
    }

    /// Records an update; false if the user quits.
    pub fn apply(&mut self, update: Update) -> bool {
        match update {
            Update::Kanary(kanary) => {
                self.kanary = *kanary;
                self.is_deleted = false;
            }
            Update::KanaryDeleted => self.is_deleted = true,
            Update::Pod(pod) => drop(self.pods.insert(pod.name().to_owned(), *pod)),
            Update::PodDeleted(name) => drop(self.pods.remove(&name)),
            Update::Event(name, event) => drop(self.events.insert(name, event)),
            Update::Unreadable(what, why, at) => drop(self.unreadable.insert(what, (why, at))),
            Update::Readable(what) => drop(self.unreadable.remove(&what)),
            Update::Quit => return false,
            Update::Tick => {}
        }
        true
    }

    /// The phase.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.kanary.status.as_ref()?.phase
    }

    /// The run is over; another template or runID is a new run that is about to start.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_deleted || matches!(client::run_state(&self.kanary), RunState::Over(_))
    }

    /// Did the run fail, as far as it is known?
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.phase() == Some(Phase::Failed)
    }

    /// The phase as text.
    #[must_use]
    pub fn word(&self) -> String {
        if self.is_deleted {
            return "deleted".into();
        }
        self.phase().map_or_else(|| "waiting for the controller".into(), |phase| format!("{phase:?}"))
    }

    /// The message, with a colon before it.
    #[must_use]
    pub fn message(&self) -> String {
        let message = self.kanary.status.as_ref().and_then(|status| status.message.as_ref());
        message.map(|message| format!(": {message}")).unwrap_or_default()
    }

    /// What cannot be read now, on one line; empty if everything can.
    #[must_use]
    pub fn warning(&self, now: Timestamp) -> String {
        let present = self.unreadable.iter().filter(|(_, (_, at))| at.duration_until(now) < STALE);
        present.map(|(what, (why, _))| what.unreadable(why)).collect::<Vec<_>>().join("; ")
    }

    /// The events, oldest first.
    #[must_use]
    pub fn events_by_time(&self) -> Vec<&EventSummary> {
        let mut events: Vec<&EventSummary> = self.events.values().collect();
        events.sort_by_key(|event| event.at);
        events
    }
}
