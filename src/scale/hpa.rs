//! The canary's HorizontalPodAutoscaler.

use serde_json::{Value, json};

use crate::{
    api::{KanaryDeployment, names},
    decision::owned,
    decision::{Action, Kind, Observed, Target},
    hash,
    objects::Labels,
};

/// The whole autoscaler, if one is requested, and its hash.
fn desired(kanary: &KanaryDeployment) -> Option<(Value, String)> {
    let hpa = kanary.spec.scale.hpa.as_ref()?;
    let name = names::canary(kanary);
    let mut spec = json!(hpa);
    spec["scaleTargetRef"] =
        json!({"apiVersion": Kind::Deployment.api_version(), "kind": Kind::Deployment.as_str(), "name": name});
    let labels = Labels::from([(names::CANARY_LABEL.into(), owned::mark(kanary))]);
    let object = json!({
        "apiVersion": Kind::HorizontalPodAutoscaler.api_version(),
        "kind": Kind::HorizontalPodAutoscaler.as_str(),
        "metadata": owned::metadata(kanary, &name, labels, Labels::new()),
        "spec": spec,
    });
    let hash = hash::of(&object);
    Some((owned::stamp(object, &hash), hash))
}

/// Creates, updates or removes it. Nothing, if it is as it should be.
#[must_use]
pub fn ensure(seen: &Observed) -> Option<Action> {
    let target = Target { kind: Kind::HorizontalPodAutoscaler, name: names::canary(&seen.kanary) };
    let recorded = seen.recorded(Kind::HorizontalPodAutoscaler);
    match (desired(&seen.kanary), seen.own_autoscaler()) {
        (Some((object, _)), None) => Some(Action::Create { target, object }),
        (Some((object, hash)), Some(hpa)) if !owned::is_current(&seen.kanary, &hash, hpa, recorded) => {
            Some(Action::Patch { target, patch: owned::replace(&seen.kanary, hpa, &object) })
        }
        (None, Some(hpa)) => owned::delete(target.kind, hpa),
        (Some(_), Some(_)) | (None, None) => None,
    }
}
