//! How an entry of ours gets into a list of somebody else's, and out of it again: by a JSON patch that touches nothing
//! else, and that the API server refuses if the object is not as observed. Only so are indices safe.

use serde_json::{Value, json};

use super::carrier::{Carrier, Entry, Rule};
use crate::decision::{Action, Patch};

/// Makes the rules that are aimed at carry our entry, if `adds` new ones too, and all others not. Nothing, if it is so.
pub fn patch(carrier: &Carrier, is_aimed: impl Fn(&Rule) -> bool, adds: bool) -> Option<Action> {
    let change = |rule: &Rule| match &rule.wanted {
        Some(wanted) if is_aimed(rule) => put(rule, &wanted.entry, adds),
        Some(_) | None => take(rule, &rule.ours),
    };
    let changes: Vec<Value> = carrier.rules.iter().flat_map(change).collect();
    let guard = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": carrier.version});
    (!changes.is_empty()).then(|| Action::Patch {
        target: carrier.target.clone(),
        patch: Patch::Json([guard].into_iter().chain(changes).collect()),
    })
}

fn put(rule: &Rule, entry: &Value, adds: bool) -> Vec<Value> {
    let list = &rule.list;
    match (&rule.ours[..], rule.length) {
        ([], _) if !adds => Vec::new(),
        ([], None) => vec![json!({"op": "add", "path": list, "value": [entry]})],
        ([], Some(_)) => vec![json!({"op": "add", "path": format!("{list}/-"), "value": entry})],
        ([first, others @ ..], _) => {
            // From the end, so that each index still means what it meant.
            let mut changes = remove(list, others);
            if !first.is_current {
                changes.push(json!({"op": "replace", "path": format!("{list}/{}", first.index), "value": entry}));
            }
            changes
        }
    }
}

/// A list that had only ours was not there before.
fn take(rule: &Rule, entries: &[Entry]) -> Vec<Value> {
    match rule.length {
        Some(length) if length == entries.len() && length > 0 => vec![json!({"op": "remove", "path": rule.list})],
        Some(_) | None => remove(&rule.list, entries),
    }
}

fn remove(list: &str, entries: &[Entry]) -> Vec<Value> {
    entries.iter().rev().map(|entry| json!({"op": "remove", "path": format!("{list}/{}", entry.index)})).collect()
}
