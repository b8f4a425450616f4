//! What the checker remembers of the objects: what was asked for, what became of bases and canaries.

use std::collections::{BTreeMap, BTreeSet};

use kanary::{decision::Observed, hash, objects::Object};
use serde_json::Value;

use crate::{
    machinery::uid,
    server::{Actor, Change, Kind},
};

/// A run: the uid of its `KanaryDeployment`, and its number.
pub type Run = (String, i64);

/// A Deployment's uid and the hash of its pod template; none once it is gone.
type State = Option<(String, String)>;

#[derive(Default)]
pub struct Past {
    /// What was made by a write whose answer was lost, or by a controller that led no more: it must vanish, if late.
    pub stragglers: BTreeSet<String>,
    /// The uids of what a controller made.
    made: BTreeSet<String>,
    /// Every template that was ever asked for, by hash.
    templates: BTreeMap<String, Value>,
    /// What became of each Deployment, by resourceVersion.
    states: BTreeMap<String, Vec<(u64, State)>>,
    /// The images of each Deployment, by resourceVersion.
    images: BTreeMap<String, Vec<(u64, Value)>>,
}

impl Past {
    pub fn remember(&mut self, change: &Change) {
        match (change.kind, &change.after) {
            (Kind::Kanary, Some(after)) => {
                let template = &after["spec"]["template"];
                self.templates.entry(hash::of(template)).or_insert_with(|| template.clone());
            }
            (Kind::Deployment, after) => self.remember_deployment(change, after.as_deref()),
            _ => {}
        }
        if let (Actor::Leader | Actor::Deposed, None, Some(after)) = (change.actor, &change.before, &change.after) {
            self.made.insert(uid(after));
        }
    }

    fn remember_deployment(&mut self, change: &Change, after: Option<&Value>) {
        let name = &change.name;
        // What a person deletes leaves its pods to the garbage collector.
        if let (Actor::Person, Some(before), None) = (change.actor, &change.before, after) {
            self.stragglers.insert(uid(before));
        }
        let state = after.map(|after| (uid(after), hash::of(&after["spec"]["template"])));
        let states = self.states.entry(name.clone()).or_default();
        if states.last().is_none_or(|(_, last)| *last != state) {
            states.push((change.version, state));
        }
        if let Some(after) = after {
            let image = &after["spec"]["template"]["spec"]["containers"][0]["image"];
            self.images.entry(name.clone()).or_default().push((change.version, image.clone()));
        }
    }

    /// Notes what was made by a write that no controller knows of. Was it?
    pub fn note_straggler(&mut self, change: &Change, lost: bool) -> bool {
        let unknown = lost || change.actor == Actor::Deposed;
        let made = change.after.as_ref().filter(|_| unknown && change.before.is_none());
        made.is_some_and(|made| self.stragglers.insert(uid(made)))
    }

    /// Did a controller make the object?
    pub fn was_made(&self, uid: &str) -> bool {
        self.made.contains(uid)
    }

    /// A template that was asked for.
    pub fn template(&self, hash: &str) -> Value {
        self.templates.get(hash).cloned().unwrap_or_default()
    }

    /// Did the Deployment go, or get another template, after this resourceVersion?
    pub fn was_touched(&self, name: &str, since: u64, uid: &str, template: &str) -> bool {
        let same = Some((uid.to_owned(), template.to_owned()));
        let mut states = self.states.get(name).into_iter().flatten();
        states.any(|(version, state)| *version > since && *state != same)
    }

    /// Does the canary that was observed run the image that is asked for?
    pub fn is_as_asked(&self, observed: &Observed) -> bool {
        let Some(canary) = observed.canary.as_deref() else { return false };
        let version: u64 = canary.version().parse().unwrap_or_default();
        let images = self.images.get(canary.name()).into_iter().flatten();
        let image = images.take_while(|(at, _)| *at <= version).last().map(|(_, image)| image);
        let template = observed.kanary.spec.template.pod_template();
        image.is_some() && image == template.pointer("/spec/containers/0/image")
    }
}
