//! Objects that a `KanaryDeployment` owns: how they are marked, when they are current, how they are replaced and deleted.

use serde_json::{Value, json};

use super::{Action, Kind, Patch, Target};
use crate::{
    api::{KanaryDeployment, Template, names},
    objects::{Labels, Object},
};

/// The value of the canary label.
#[must_use]
pub fn mark(kanary: &KanaryDeployment) -> String {
    kanary.name().to_owned()
}

/// Metadata of a child: owned, so that deleting the `KanaryDeployment` removes it at any phase.
#[must_use]
pub fn metadata(kanary: &KanaryDeployment, name: &str, labels: Labels, annotations: Labels) -> Value {
    json!({
        "name": name,
        "namespace": kanary.namespace(),
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [reference(kanary, true)],
    })
}

fn reference(kanary: &KanaryDeployment, is_controller: bool) -> Value {
    json!({
        "apiVersion": Kind::KanaryDeployment.api_version(),
        "kind": Kind::KanaryDeployment.as_str(),
        "name": kanary.name(),
        "uid": kanary.metadata.uid,
        "controller": is_controller,
        "blockOwnerDeletion": true,
    })
}

/// The owner references with ours among them, if another client removed it; without it the child would outlive us. An object
/// has at most one controller.
#[must_use]
pub fn restored_references<K: Object>(kanary: &KanaryDeployment, child: &K) -> Option<Value> {
    if child.is_owned_by(kanary.uid()) {
        return None;
    }
    let others = child.meta().owner_references.iter().flatten().map(|owner| json!(owner));
    Some(others.chain([reference(kanary, !child.has_controller())]).collect())
}

/// The template's annotations, except those that describe another object.
#[must_use]
pub fn user_annotations(template: &Template) -> Labels {
    let mut annotations = template.annotations();
    annotations.retain(|key, _| {
        !key.starts_with(names::PREFIX)
            && key != names::REVISION
            && key != "kubectl.kubernetes.io/last-applied-configuration"
    });
    annotations
}

/// Writes the hash of the desired object into its annotations.
#[must_use]
pub fn stamp(mut object: Value, desired_hash: &str) -> Value {
    object["metadata"]["annotations"][names::APPLIED_HASH] = desired_hash.into();
    object
}

/// What is recorded of a child that was written: what was desired, and what the API server stored. Defaults and admission
/// webhooks make the two differ.
#[must_use]
pub fn fingerprint<K: Object>(child: &K) -> Option<String> {
    Some(format!("{}:{}", child.annotation(names::APPLIED_HASH)?, child.spec_hash()?))
}

/// Is the child the desired one, still owned, and still as the API server stored it? Without a record, for example after a lost reply, it
/// counts as edited.
#[must_use]
pub fn is_current<K: Object>(kanary: &KanaryDeployment, desired_hash: &str, child: &K, recorded: Option<&str>) -> bool {
    child.is_owned_by(kanary.uid())
        && child.annotation(names::APPLIED_HASH) == Some(desired_hash)
        && fingerprint(child).as_deref() == recorded
}

/// Replaces the whole spec, and adds to labels, annotations and owner references; those of other clients stay.
#[must_use]
pub fn replace<K: Object>(kanary: &KanaryDeployment, child: &K, object: &Value) -> Patch {
    let meta = child.meta();
    let mut operations = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": child.version()}),
        json!({"op": "replace", "path": "/spec", "value": object["spec"]}),
    ];
    let wanted = |field: &str| serde_json::from_value(object["metadata"][field].clone()).unwrap_or_default();
    operations.extend(additions("labels", meta.labels.is_some(), wanted("labels")));
    operations.extend(additions("annotations", meta.annotations.is_some(), wanted("annotations")));
    let references = restored_references(kanary, child);
    operations.extend(references.map(|all| json!({"op": "add", "path": "/metadata/ownerReferences", "value": all})));
    Patch::Json(operations)
}

/// Operations that add keys to a map of the metadata, and the map itself where there is none; all other keys stay.
#[must_use]
pub fn additions(field: &str, exists: bool, entries: Labels) -> Vec<Value> {
    if !exists {
        return vec![json!({"op": "add", "path": format!("/metadata/{field}"), "value": entries})];
    }
    let pointer = |key: &str| format!("/metadata/{field}/{}", key.replace('~', "~0").replace('/', "~1"));
    entries.iter().map(|(key, value)| json!({"op": "add", "path": pointer(key), "value": value})).collect()
}

/// Deletes a child, once.
#[must_use]
pub fn delete<K: Object>(kind: Kind, child: &K) -> Option<Action> {
    let target = Target { kind, name: child.name().to_owned() };
    (!child.is_terminating()).then(|| Action::Delete { target, uid: child.uid().to_owned() })
}
