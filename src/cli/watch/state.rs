//! What a watch has seen so far.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{KanaryDeployment, Phase},
    cli::{
        around::Happened,
        kanaries::{self, Run},
    },
    objects::{Object, Pod},
};

/// A watch that opens again is silent until something changes. It is tried every minute at least, so that what is not said
/// again for longer is over.
const STALE: SignedDuration = SignedDuration::from_mins(2);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The resource.
    Run,
    /// The canary's pods.
    Pods,
    /// What is told of the run.
    Events,
}

/// One thing that changed.
#[derive(Debug)]
pub enum Change {
    /// The run.
    Kanary(Box<KanaryDeployment>),
    /// The run is gone.
    KanaryGone,
    /// A pod of the canary.
    Pod(Box<Pod>),
    /// A pod is gone.
    PodGone(String),
    /// An event, by its name.
    Event(String, Happened),
    /// One of the three cannot be read, since then.
    Trouble(What, String, Timestamp),
    /// It can be read again.
    Well(What),
    /// Somebody wants to leave.
    Quit,
    /// Time has passed.
    Tick,
}

/// All that is shown.
#[derive(Clone, Debug)]
pub struct State {
    /// The run, as last seen.
    pub kanary: KanaryDeployment,
    /// It was deleted.
    pub gone: bool,
    /// Its pods, by name.
    pub pods: BTreeMap<String, Pod>,
    /// Its events, by name.
    pub events: BTreeMap<String, Happened>,
    /// What cannot be read, why, and when that was last tried.
    pub trouble: BTreeMap<What, (String, Timestamp)>,
}

impl What {
    /// The sentence that says so.
    #[must_use]
    pub fn unreadable(self, why: &str) -> String {
        let what = match self {
            What::Run => "the run",
            What::Pods => "its pods",
            What::Events => "its events",
        };
        format!("cannot read {what}: {why}")
    }
}

impl State {
    /// A run of which nothing more is known.
    #[must_use]
    pub fn new(kanary: KanaryDeployment) -> Self {
        Self { kanary, gone: false, pods: BTreeMap::new(), events: BTreeMap::new(), trouble: BTreeMap::new() }
    }

    /// Takes a change in; false if it says to leave.
    pub fn take(&mut self, change: Change) -> bool {
        match change {
            Change::Kanary(kanary) => {
                self.kanary = *kanary;
                self.gone = false;
            }
            Change::KanaryGone => self.gone = true,
            Change::Pod(pod) => drop(self.pods.insert(pod.name().to_owned(), *pod)),
            Change::PodGone(name) => drop(self.pods.remove(&name)),
            Change::Event(name, event) => drop(self.events.insert(name, event)),
            Change::Trouble(what, why, at) => drop(self.trouble.insert(what, (why, at))),
            Change::Well(what) => drop(self.trouble.remove(&what)),
            Change::Quit => return false,
            Change::Tick => {}
        }
        true
    }

    /// The phase.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.kanary.status.as_ref()?.phase
    }

    /// Nothing more will happen; another template or runID is a run that is about to begin.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.gone || matches!(kanaries::run(&self.kanary), Run::Over(_))
    }

    /// The phase in a word.
    #[must_use]
    pub fn word(&self) -> String {
        if self.gone {
            return "deleted".into();
        }
        self.phase().map_or_else(|| "no controller has seen it yet".into(), |phase| format!("{phase:?}"))
    }

    /// The message, with what goes before one.
    #[must_use]
    pub fn message(&self) -> String {
        let message = self.kanary.status.as_ref().and_then(|status| status.message.as_ref());
        message.map(|message| format!(": {message}")).unwrap_or_default()
    }

    /// What cannot be read now, in a line; empty if all can.
    #[must_use]
    pub fn troubles(&self, now: Timestamp) -> String {
        let present = self.trouble.iter().filter(|(_, (_, at))| at.duration_until(now) < STALE);
        present.map(|(what, (why, _))| what.unreadable(why)).collect::<Vec<_>>().join("; ")
    }

    /// The events, oldest first.
    #[must_use]
    pub fn happened(&self) -> Vec<&Happened> {
        let mut events: Vec<&Happened> = self.events.values().collect();
        events.sort_by_key(|event| event.at);
        events
    }
}
