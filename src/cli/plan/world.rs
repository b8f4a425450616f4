//! A cluster in memory, of one namespace: objects as JSON, versions, guarded patches.
//!
//! It behaves well: nobody else writes, and every request is answered. What it does to an object on the way in is
//! `admission`'s business; what happens by itself, `machinery`'s.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::admission;
use crate::{
    decision::{Action, Patch, Target},
    objects::Object,
};

/// Kind and name.
pub type Key = (String, String);

/// The objects.
#[derive(Clone, Debug)]
pub struct World {
    /// What time it is.
    pub now: Timestamp,
    namespace: String,
    objects: BTreeMap<Key, Value>,
    elsewhere: Vec<Value>,
    version: u64,
}

/// The key of an object that a plan names.
#[must_use]
pub fn key(target: &Target) -> Key {
    (target.kind.as_str().to_owned(), target.name.clone())
}

impl World {
    /// An empty namespace.
    #[must_use]
    pub fn new(namespace: &str, now: Timestamp) -> Self {
        Self { now, namespace: namespace.to_owned(), objects: BTreeMap::new(), elsewhere: Vec::new(), version: 0 }
    }

    /// One object.
    #[must_use]
    pub fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), name.to_owned()))
    }

    /// All objects of a kind, by name.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let of_kind = self.objects.iter().filter(move |((of, _), _)| of == kind);
        of_kind.map(|((_, name), object)| (name.as_str(), object))
    }

    /// One object as the controller sees it.
    #[must_use]
    pub fn sight<K: Object + DeserializeOwned>(&self, kind: &str, name: &str) -> Option<Arc<K>> {
        self.get(kind, name).and_then(read)
    }

    /// All objects of a kind as the controller sees them.
    #[must_use]
    pub fn sights<K: Object + DeserializeOwned>(&self, kind: &str) -> Vec<Arc<K>> {
        self.all(kind).filter_map(|(_, object)| read(object)).collect()
    }

    /// Adds a route of another namespace: a mesh reads those as well.
    pub fn add_elsewhere(&mut self, object: Value) {
        self.elsewhere.push(object);
    }

    /// The routes of a mesh, wherever they are, as the controller sees them.
    #[must_use]
    pub fn routes<K: Object + DeserializeOwned>(&self, kind: &str) -> Vec<Arc<K>> {
        let elsewhere = self.elsewhere.iter().filter(|object| object["kind"] == kind).filter_map(read);
        self.sights(kind).into_iter().chain(elsewhere).collect()
    }

    /// Puts an object there that is there already: as a file has it, or as its own controller makes it.
    ///
    /// # Errors
    /// What the API server would have said.
    pub fn place(&mut self, mut object: Value) -> Result<(), String> {
        admission::admit(None, &mut object)?;
        self.put(object);
        Ok(())
    }

    /// Puts an object there as it is.
    pub fn put(&mut self, mut object: Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (text("/kind"), text("/metadata/name"));
        self.version += 1;
        let created = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let meta = &mut object["metadata"];
        meta["namespace"] = self.namespace.clone().into();
        meta["resourceVersion"] = self.version.to_string().into();
        for (field, value) in [
            ("uid", json!(format!("{}-{}", key.0, key.1).to_lowercase())),
            ("generation", json!(1)),
            ("creationTimestamp", json!(created)),
        ] {
            if meta[field].is_null() {
                meta[field] = value;
            }
        }
        self.objects.insert(key, object);
    }

    /// Carries out one write of a plan.
    ///
    /// # Errors
    /// What the API server would say.
    pub fn act(&mut self, action: &Action) -> Result<(), String> {
        let target = action.target();
        match action {
            Action::Create { object, .. } | Action::CreateBase { object, .. } => self.create(object.clone()),
            Action::Patch { patch, .. } | Action::Promote { patch, .. } => {
                self.patched(target, patch).map(|after| self.replace(&key(target), after))
            }
            Action::Delete { .. } => {
                self.remove(&key(target));
                Ok(())
            }
        }
    }

    /// What a patch would make of an object.
    ///
    /// # Errors
    /// What the API server would say.
    pub fn patched(&self, target: &Target, patch: &Patch) -> Result<Value, String> {
        let Target { kind, name } = target;
        let before =
            self.objects.get(&key(target)).ok_or_else(|| format!("{} {name} does not exist", kind.as_str()))?;
        let mut after = applied(before, patch)?;
        admission::admit(Some(before), &mut after)?;
        Ok(after)
    }

    /// Changes an object, as its own controller or a person would.
    pub fn edit(&mut self, kind: &str, name: &str, edit: impl FnOnce(&mut Value)) -> bool {
        let key = (kind.to_owned(), name.to_owned());
        let Some(before) = self.objects.get(&key) else { return false };
        let mut after = before.clone();
        edit(&mut after);
        let changed = after != *before;
        if changed {
            self.replace(&key, after);
        }
        changed
    }

    /// Takes an object away; its pods go with a Deployment.
    pub fn remove(&mut self, key: &Key) {
        let Some(gone) = self.objects.remove(key) else { return };
        let uid = &gone["metadata"]["uid"];
        self.objects.retain(|_, object| object["metadata"]["ownerReferences"][0]["uid"] != *uid);
    }

    fn create(&mut self, mut object: Value) -> Result<(), String> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind").to_owned(), text("/metadata/name").to_owned());
        if self.get(&kind, &name).is_some() {
            return Err(format!("{kind} {name} exists already"));
        }
        admission::admit(None, &mut object)?;
        self.put(object);
        Ok(())
    }

    fn replace(&mut self, key: &Key, mut after: Value) {
        let Some(before) = self.objects.get(key) else { return };
        if after["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(1);
            after["metadata"]["generation"] = (generation + 1).into();
        }
        self.version += 1;
        after["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key.clone(), after);
    }
}

/// An object after a guarded patch.
///
/// # Errors
/// A stale guard, or a path that leads nowhere.
pub fn applied(before: &Value, patch: &Patch) -> Result<Value, String> {
    let mut after = before.clone();
    match patch {
        Patch::Merge(patch) => json_patch::merge(&mut after, patch),
        Patch::Json(operations) => {
            let operations: json_patch::Patch = serde_json::from_value(json!(operations)).map_err(say)?;
            json_patch::patch(&mut after, &operations).map_err(say)?;
        }
    }
    let is_as_observed = after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"];
    if is_as_observed { Ok(after) } else { Err("the object is not as observed".into()) }
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn read<K: Object + DeserializeOwned>(object: &Value) -> Option<Arc<K>> {
    let mut seen = K::deserialize(object).ok()?;
    seen.prune();
    Some(Arc::new(seen))
}
