//! The canary's HorizontalPodAutoscaler.

use serde_json::{Value, json};

use crate::{
    api::{KanaryDeployment, names},
    lifecycle::{Action, Kind, Observed, Target, children},
    seen::Labels,
};

/// The whole autoscaler, if one is asked for.
#[must_use]
pub fn desired(kanary: &KanaryDeployment) -> Option<Value> {
    let hpa = kanary.spec.scale.hpa.as_ref()?;
    let name = names::canary(kanary);
    let mut spec = json!(hpa);
    spec["scaleTargetRef"] =
        json!({"apiVersion": Kind::Deployment.api_version(), "kind": Kind::Deployment.as_str(), "name": name});
    let labels = Labels::from([(names::CANARY_LABEL.into(), children::mark(kanary))]);
    Some(children::stamp(json!({
        "apiVersion": Kind::HorizontalPodAutoscaler.api_version(),
        "kind": Kind::HorizontalPodAutoscaler.as_str(),
        "metadata": children::metadata(kanary, &name, labels, Labels::new()),
        "spec": spec,
    })))
}

/// Creates, mends or removes it. Nothing, if it is as it should be.
#[must_use]
pub fn upkeep(seen: &Observed) -> Option<Action> {
    let target = Target { kind: Kind::HorizontalPodAutoscaler, name: names::canary(&seen.kanary) };
    let recorded = seen.canary_status().and_then(|canary| canary.hpa_hash.as_deref());
    match (desired(&seen.kanary), seen.own_autoscaler()) {
        (Some(object), None) => Some(Action::Create { target, object }),
        (Some(object), Some(hpa)) if !children::is_current(&object, hpa, &hpa.spec.hash, recorded) => {
            Some(Action::Patch { target, patch: children::replace(hpa, &object) })
        }
        (None, Some(hpa)) => children::delete(target.kind, hpa),
        (Some(_), Some(_)) | (None, None) => None,
    }
}
