//! The state that a watch has received so far.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;

use crate::{
    api::{KanaryDeployment, ManualStatus, Phase},
    cli::{
        client::{self, RunState},
        related::EventSummary,
    },
    objects::{Object, Pod},
};

/// A watch that opens again is silent until something changes. It is retried at least once a minute, so a failure that has
/// not been reported again for longer is over.
const STALE: SignedDuration = SignedDuration::from_mins(2);

/// More values of an item are not kept.
const MOST_VALUES: usize = 120;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// The resource.
    Run,
    /// The canary's pods.
    Pods,
    /// The events about the run.
    Events,
    /// The base.
    Base,
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
    /// One of them cannot be read, as of this time.
    Unreadable(Watched, String, Timestamp),
    /// It can be read again.
    Readable(Watched),
    /// The base.
    Base(Box<Deployment>),
    /// A key was pressed.
    Key(char),
    /// What became of a verdict that was sent.
    Sent(String),
    /// The user quits.
    Quit,
    /// Time has passed.
    Tick,
}

/// What the keys do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each has its meaning.
    #[default]
    Usual,
    /// Any leaves the help.
    Help,
    /// `y` gives this verdict, any other does not.
    Confirm(ManualStatus),
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
    /// The base, if there is one.
    pub base: Option<Deployment>,
    /// The values of each item since the watch began, by its name.
    pub values: BTreeMap<String, VecDeque<f64>>,
    /// What the keys do now.
    pub mode: Mode,
    /// What became of the last key.
    pub notice: Option<String>,
    /// A verdict that the user has confirmed, and that is not sent yet.
    pub verdict: Option<ManualStatus>,
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
            Watched::Base => "its base",
        };
        format!("cannot read {what}: {why}")
    }
}

impl State {
    /// A run, without its pods and events yet.
    #[must_use]
    pub fn new(kanary: KanaryDeployment) -> Self {
        let mut state = Self {
            kanary,
            is_deleted: false,
            pods: BTreeMap::new(),
            events: BTreeMap::new(),
            base: None,
            values: BTreeMap::new(),
            mode: Mode::default(),
            notice: None,
            verdict: None,
            unreadable: BTreeMap::new(),
        };
        state.record_values();
        state
    }

    /// Records an update; false if the user quits.
    pub fn apply(&mut self, update: Update) -> bool {
        match update {
            Update::Kanary(kanary) => {
                self.kanary = *kanary;
                self.is_deleted = false;
                self.record_values();
            }
            Update::KanaryDeleted => self.is_deleted = true,
            Update::Pod(pod) => drop(self.pods.insert(pod.name().to_owned(), *pod)),
            Update::PodDeleted(name) => drop(self.pods.remove(&name)),
            Update::Event(name, event) => drop(self.events.insert(name, event)),
            Update::Unreadable(what, why, at) => drop(self.unreadable.insert(what, (why, at))),
            Update::Readable(what) => drop(self.unreadable.remove(&what)),
            Update::Base(base) => self.base = Some(*base),
            Update::Key(key) => return self.press(key),
            Update::Sent(result) => self.notice = Some(result),
            Update::Quit => return false,
            Update::Tick => {}
        }
        true
    }

    /// False if the user quits.
    fn press(&mut self, key: char) -> bool {
        self.notice = None;
        match (std::mem::take(&mut self.mode), key) {
            (Mode::Usual, '\u{1b}') | (_, 'q') => return false,
            (Mode::Usual, 'a') => self.mode = Mode::Confirm(ManualStatus::Valid),
            (Mode::Usual, 'r') => self.mode = Mode::Confirm(ManualStatus::Invalid),
            (Mode::Usual, '?') => self.mode = Mode::Help,
            (Mode::Confirm(verdict), 'y' | 'Y') => self.verdict = Some(verdict),
            (Mode::Usual | Mode::Help | Mode::Confirm(_), _) => {}
        }
        true
    }

    /// A value that comes again with another change of the status counts again, so that time is the axis.
    fn record_values(&mut self) {
        for item in self.kanary.status.iter().flat_map(|status| &status.items) {
            let number =
                item.value.as_ref().and_then(|value| value.parse::<f64>().ok()).filter(|value| value.is_finite());
            if let Some(number) = number {
                let values = self.values.entry(item.name.clone()).or_default();
                values.push_back(number);
                if values.len() > MOST_VALUES {
                    values.pop_front();
                }
            }
        }
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
        self.phase().map_or_else(|| "waiting for the controller".into(), |phase| phase.as_str().to_owned())
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
        // Of the base no more is lost than its image.
        let shown = self.unreadable.iter().filter(|(what, _)| **what != Watched::Base);
        let present = shown.filter(|(_, (_, at))| at.duration_until(now) < STALE);
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
