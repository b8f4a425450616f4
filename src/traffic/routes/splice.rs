//! How an entry of ours gets into a list of a user's route, and out of it again: by a JSON patch that touches nothing else,
//! and that the API server refuses if the object is not as observed. Only so are indices safe.

use serde_json::{Value, json};

use super::{
    json::items,
    object::{RouteObject, RouteRule},
};
use crate::decision::{Action, Patch};

/// A list in a rule, and which of its entries are ours.
pub struct EntryList {
    /// JSON pointer to it.
    pub pointer: String,
    /// Its length; none if there is no list.
    pub length: Option<usize>,
    /// Our entries in it, in order; one is enough.
    pub ours: Vec<RouteEntry>,
}

/// An entry of ours.
pub struct RouteEntry {
    index: usize,
    /// The Service of ours that it points to.
    pub service: String,
    /// Does it say what is desired now?
    is_current: bool,
}

impl EntryList {
    /// Reads a list of a rule: an entry that points to a Service of ours is ours.
    pub fn read(
        rule: RouteRule,
        field: &str,
        our_service: impl Fn(&Value) -> Option<String>,
        is_current: impl Fn(&Value) -> bool,
    ) -> Self {
        let entry = |(index, entry): (usize, &Value)| {
            Some(RouteEntry { index, service: our_service(entry)?, is_current: is_current(entry) })
        };
        Self {
            pointer: rule.pointer(field),
            length: rule.json.get(field).and_then(Value::as_array).map(Vec::len),
            ours: items(rule.json, field).iter().enumerate().filter_map(entry).collect(),
        }
    }

    /// Does it have one entry of ours, and is that as desired?
    pub fn is_current(&self) -> bool {
        matches!(self.ours[..], [RouteEntry { is_current: true, .. }])
    }

    /// Does it have entries of others?
    pub fn has_others(&self) -> bool {
        self.length.unwrap_or_default() > self.ours.len()
    }

    /// Operations that make our entry what is desired, and remove all others of ours; if it `adds`, also where there is none.
    pub fn put(&self, entry: &Value, adds: bool) -> Vec<Value> {
        let list = &self.pointer;
        match (&self.ours[..], self.length) {
            ([], _) if !adds => Vec::new(),
            ([], None) => vec![json!({"op": "add", "path": list, "value": [entry]})],
            ([], Some(_)) => vec![json!({"op": "add", "path": format!("{list}/-"), "value": entry})],
            ([first, others @ ..], _) => {
                let mut changes = self.remove(others);
                if !first.is_current {
                    changes.push(json!({"op": "replace", "path": format!("{list}/{}", first.index), "value": entry}));
                }
                changes
            }
        }
    }

    /// Operations that remove our entries. A list that has only ours was not there before, so it goes as a whole.
    pub fn take(&self) -> Vec<Value> {
        match self.length {
            Some(length) if length == self.ours.len() && length > 0 => {
                vec![json!({"op": "remove", "path": self.pointer})]
            }
            Some(_) | None => self.remove(&self.ours),
        }
    }

    /// From the end, so that each index still means what it meant.
    fn remove(&self, entries: &[RouteEntry]) -> Vec<Value> {
        let list = &self.pointer;
        entries.iter().rev().map(|entry| json!({"op": "remove", "path": format!("{list}/{}", entry.index)})).collect()
    }
}

/// One guarded write of these operations; nothing if there are none.
pub fn patch(object: RouteObject, changes: Vec<Value>) -> Option<Action> {
    if changes.is_empty() {
        return None;
    }
    let guard = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": object.version()});
    let patch = Patch::Json([guard].into_iter().chain(changes).collect());
    Some(Action::Patch { target: object.target(), patch })
}
