//! A cluster in memory, with one namespace: objects as JSON, versions, guarded patches.
//!
//! There is no other client, and no request fails. `admission` checks what is written; `controllers` simulates the other
//! controllers.

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
pub struct Cluster {
    /// The simulated time.
    pub now: Timestamp,
    namespace: String,
    objects: BTreeMap<Key, Value>,
    foreign_routes: Vec<Value>,
    version: u64,
}

/// The key of the target of an action.
#[must_use]
pub fn key(target: &Target) -> Key {
    (target.kind.as_str().to_owned(), target.name.clone())
}

impl Cluster {
    /// An empty namespace.
    #[must_use]
    pub fn new(namespace: &str, now: Timestamp) -> Self {
        Self { now, namespace: namespace.to_owned(), objects: BTreeMap::new(), foreign_routes: Vec::new(), version: 0 }
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

    /// One object as the controller reads it.
    #[must_use]
    pub fn view<K: Object + DeserializeOwned>(&self, kind: &str, name: &str) -> Option<Arc<K>> {
        self.get(kind, name).and_then(read)
    }

    /// All objects of a kind as the controller reads them.
    #[must_use]
    pub fn views<K: Object + DeserializeOwned>(&self, kind: &str) -> Vec<Arc<K>> {
        self.all(kind).filter_map(|(_, object)| read(object)).collect()
    }

    /// Adds a route of another namespace, because a mesh reads those as well.
    pub fn add_foreign_route(&mut self, object: Value) {
        self.foreign_routes.push(object);
    }

    /// The routes of all namespaces as the controller reads them.
    #[must_use]
    pub fn routes<K: Object + DeserializeOwned>(&self, kind: &str) -> Vec<Arc<K>> {
        let foreign = self.foreign_routes.iter().filter(|object| object["kind"] == kind).filter_map(read);
        self.views(kind).into_iter().chain(foreign).collect()
    }

    /// Adds an object that exists before the plan starts.
    ///
    /// # Errors
    /// Why the API server would have rejected it.
    pub fn load(&mut self, mut object: Value) -> Result<(), String> {
        admission::admit(None, &mut object)?;
        self.put(object);
        Ok(())
    }

    /// Adds an object as it is.
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

    /// Carries out one action of a plan.
    ///
    /// # Errors
    /// Why the API server would reject it.
    pub fn apply(&mut self, action: &Action) -> Result<(), String> {
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

    /// The result of a patch.
    ///
    /// # Errors
    /// Why the API server would reject it.
    pub fn patched(&self, target: &Target, patch: &Patch) -> Result<Value, String> {
        let Target { kind, name } = target;
        let before =
            self.objects.get(&key(target)).ok_or_else(|| format!("{} {name} does not exist", kind.as_str()))?;
        let mut after = applied(before, patch)?;
        admission::admit(Some(before), &mut after)?;
        Ok(after)
    }

    /// Changes an object, as its own controller would; true if it changed.
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

    /// Removes an object; the pods of a Deployment are removed with it.
    pub fn remove(&mut self, key: &Key) {
        let Some(gone) = self.objects.remove(key) else { return };
        let uid = &gone["metadata"]["uid"];
        self.objects.retain(|_, object| object["metadata"]["ownerReferences"][0]["uid"] != *uid);
    }

    fn create(&mut self, mut object: Value) -> Result<(), String> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind").to_owned(), text("/metadata/name").to_owned());
        if self.get(&kind, &name).is_some() {
            return Err(format!("{kind} {name} already exists"));
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
/// A stale guard, or a path that does not exist.
pub fn applied(before: &Value, patch: &Patch) -> Result<Value, String> {
    let mut after = before.clone();
    match patch {
        Patch::Merge(patch) => json_patch::merge(&mut after, patch),
        Patch::Json(operations) => {
            let operations: json_patch::Patch = serde_json::from_value(json!(operations)).map_err(text)?;
            json_patch::patch(&mut after, &operations).map_err(text)?;
        }
    }
    let is_as_observed = after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"];
    if is_as_observed { Ok(after) } else { Err("the object is not as observed".into()) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn read<K: Object + DeserializeOwned>(object: &Value) -> Option<Arc<K>> {
    let mut seen = K::deserialize(object).ok()?;
    seen.prune();
    Some(Arc::new(seen))
}
