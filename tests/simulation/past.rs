//! What the checker remembers of the objects: what was asked for, what became of bases and canaries.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kanary::{api::names, decision::Observed, hash, objects::Object};
use serde_json::Value;

use crate::{
    machinery::uid,
    server::{Actor, Change, Kind, Server},
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
    /// Canaries that another client edited before the controller had recorded what the API server made of its own
    /// write. Known: it takes such an edit for the API server's defaults.
    edited_unseen: BTreeSet<String>,
    /// Canaries that the controller wrote, and whose record in the status is still that of the write before.
    written: BTreeSet<String>,
}

impl Past {
    pub fn remember(&mut self, server: &Server, change: &Change) {
        match (change.kind, &change.after) {
            (Kind::Kanary, Some(after)) => {
                let template = &after["spec"]["template"];
                self.templates.entry(hash::of(template)).or_insert_with(|| template.clone());
            }
            (Kind::Deployment, after) => self.remember_deployment(change, after.as_deref()),
            _ => {}
        }
        self.note_record(change);
        if let (Actor::Leader | Actor::Deposed, None, Some(after)) = (change.actor, &change.before, &change.after) {
            self.made.insert(uid(after));
        }
        if let (Kind::Deployment | Kind::Autoscaler, Actor::Person) = (change.kind, change.actor)
            && (has_no_record(server, change) || self.written.contains(&change.name))
        {
            self.edited_unseen.insert(change.name.clone());
        }
    }

    /// A status that follows a write takes the record of the write before away.
    fn note_record(&mut self, change: &Change) {
        let status = |object: &Option<Arc<Value>>| object.as_ref().map(|object| object["status"].clone());
        match (change.kind, change.actor) {
            (Kind::Deployment | Kind::Autoscaler, Actor::Leader) => drop(self.written.insert(change.name.clone())),
            (Kind::Kanary, Actor::Leader) if status(&change.before) != status(&change.after) => {
                self.written.remove(&format!("{}-kanary", change.name));
            }
            _ => {}
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

    /// Did another client edit this canary, or its autoscaler, before it was first seen?
    pub fn was_edited_unseen(&self, canary: &str) -> bool {
        self.edited_unseen.contains(canary)
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
        if self.was_edited_unseen(canary.name()) {
            return true;
        }
        let version: u64 = canary.version().parse().unwrap_or_default();
        let images = self.images.get(canary.name()).into_iter().flatten();
        let image = images.take_while(|(at, _)| *at <= version).last().map(|(_, image)| image);
        let template = observed.kanary.spec.template.pod_template();
        image.is_some() && image == template.pointer("/spec/containers/0/image")
    }
}

/// Is it a child of which the status does not say yet what the API server made of our last write?
fn has_no_record(server: &Server, change: &Change) -> bool {
    let field = if change.kind == Kind::Deployment { "deploymentHash" } else { "hpaHash" };
    let kanary = change.name.strip_suffix("-kanary").and_then(|name| server.get(Kind::Kanary, name));
    let applied =
        change.before.as_ref().and_then(|child| child["metadata"]["annotations"][names::APPLIED_HASH].as_str());
    let (Some(kanary), Some(applied)) = (kanary, applied) else { return false };
    let record = kanary.pointer(&format!("/status/canary/{field}")).and_then(Value::as_str);
    record.is_none_or(|record| !record.starts_with(applied))
}
