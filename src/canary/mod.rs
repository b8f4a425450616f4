//! The trial Deployment: what it looks like, whether it is available, and if not, why.
//!
//! How many pods it has is `scale`'s business, and which requests reach them `traffic`'s.

pub mod hazards;
mod policy;
mod readiness;
mod smallest;
mod trial;
mod withhold;

pub use policy::policy_hint;
pub use readiness::{Readiness, creating, readiness, restarts, unready_pod};
use serde_json::{Map, Value, json};
pub use trial::{is_anothers, is_own, is_under_test};
pub use withhold::{Withheld, withhold};

use crate::{
    api::{KanaryDeployment, names},
    decision::owned,
    decision::{Action, Kind, Observed, Patch, Target},
    hash,
    objects::{Deployment, Labels, Object},
    scale,
};

/// The labels of a canary pod as its ReplicaSet makes it: outside production.
#[must_use]
pub fn pod_labels(kanary: &KanaryDeployment, withheld: &Withheld) -> Labels {
    let mut labels = kanary.spec.template.pod_labels();
    labels.retain(|key, _| !withheld.keys.contains(key) && !key.starts_with(names::PREFIX));
    labels.insert(names::CANARY_LABEL.into(), owned::mark(kanary));
    labels
}

/// Raised when [`desired`] makes something else of the same template, so that what an older controller made is not current.
const FORM: &str = "1";

/// Identifies the desired canary Deployment by what it is made of. Each reconcile compares it with the one that exists; to
/// make the whole object each time was a tenth of the controller's work.
#[must_use]
pub fn desired_hash(kanary: &KanaryDeployment, withheld: &Withheld) -> String {
    let origin = [FORM, kanary.namespace(), kanary.name(), kanary.uid(), kanary.spec.template.hash()];
    hash::of_texts(origin.into_iter().chain(withheld.keys.iter().map(String::as_str)))
}

/// The whole canary Deployment.
#[must_use]
pub fn desired(kanary: &KanaryDeployment, withheld: &Withheld) -> Value {
    let template = &kanary.spec.template;
    let mut labels = template.labels();
    labels.insert(names::CANARY_LABEL.into(), owned::mark(kanary));
    let mut annotations = owned::user_annotations(template);
    if !withheld.keys.is_empty() {
        annotations.insert(names::WITHHELD_LABELS.into(), withheld.keys.iter().cloned().collect::<Vec<_>>().join(","));
    }
    let object = json!({
        "apiVersion": Kind::Deployment.api_version(),
        "kind": Kind::Deployment.as_str(),
        "metadata": owned::metadata(kanary, &names::canary(kanary), labels, annotations),
        "spec": spec(kanary, withheld),
    });
    owned::stamp(object, &desired_hash(kanary, withheld))
}

/// The template's spec, but: selected by our label only, never paused, replaced without a gap, and with no key of ours on
/// its pods, because the controller would take it for its own record.
fn spec(kanary: &KanaryDeployment, withheld: &Withheld) -> Map<String, Value> {
    let mut spec = kanary.spec.template.spec();
    spec.remove("paused");
    spec.remove("replicas");
    spec.insert("selector".into(), json!({"matchLabels": {names::CANARY_LABEL: owned::mark(kanary)}}));
    spec.insert(
        "strategy".into(),
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}),
    );
    let mut template = kanary.spec.template.pod_template();
    if let Some(template) = template.as_object_mut() {
        let metadata = template.entry("metadata").or_insert_with(|| json!({}));
        if metadata.is_null() {
            *metadata = json!({});
        }
        metadata["labels"] = json!(pod_labels(kanary, withheld));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !key.starts_with(names::PREFIX));
        }
    }
    spec.insert("template".into(), template);
    spec
}

/// Is it the desired one, and still labelled as ours?
fn is_current(seen: &Observed, canary: &Deployment, desired_hash: &str) -> bool {
    let is_marked = canary.label(names::CANARY_LABEL).is_some();
    is_marked && owned::is_current(&seen.kanary, desired_hash, canary, seen.recorded(Kind::Deployment))
}

/// Creates the canary Deployment, or restores what was changed. Nothing, if it is as it should be.
#[must_use]
pub fn ensure(seen: &Observed, withheld: &Withheld, desired_hash: &str) -> Option<Action> {
    let target = Target { kind: Kind::Deployment, name: names::canary(&seen.kanary) };
    let with_replicas = |replicas: i32| {
        let mut object = desired(&seen.kanary, withheld);
        object["spec"]["replicas"] = replicas.into();
        object
    };
    let Some(canary) = seen.own_canary() else {
        return Some(Action::Create { target, object: with_replicas(scale::initial_replicas(&seen.kanary)) });
    };
    if canary.is_terminating() {
        return None;
    }
    let replicas = scale::replicas(seen, canary);
    if !is_current(seen, canary, desired_hash) {
        let object = with_replicas(replicas.unwrap_or(canary.spec.replicas));
        return Some(Action::Patch { target, patch: owned::replace(&seen.kanary, canary, &object) });
    }
    let merge = |replicas| {
        Patch::Merge(json!({"metadata": {"resourceVersion": canary.version()}, "spec": {"replicas": replicas}}))
    };
    replicas.map(|replicas| Action::Patch { target, patch: merge(replicas) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_raised_when_something_else_is_made() {
        let kanary: KanaryDeployment = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "1"},
            "spec": {"serviceName": "web", "template": {
                "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
                "spec": {"replicas": 3, "paused": true, "template": {
                    "metadata": {"labels": {"app": "web", "tier": "front"}},
                    "spec": {"containers": [{"name": "web", "image": "web:2"}]},
                }},
            }},
        }))
        .expect("a KanaryDeployment");
        let withheld = Withheld { keys: ["app".to_owned()].into(), unavoidable: None };
        let mut object = desired(&kanary, &withheld);
        object["metadata"]["annotations"][names::APPLIED_HASH] = Value::Null;
        assert_eq!((FORM, hash::of(&object).as_str()), ("1", "db2ffbba1b8cae0a"), "raise FORM, and write both here");
    }
}
