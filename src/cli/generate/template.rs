//! The template in a live Deployment: everything that a user could have written, and nothing that the API server or a tool
//! has added.

use serde_json::{Map, Value, json};

use crate::{api::names::PREFIX, cli::manifest::defaults};

/// Annotations and labels by which a tool claims an object. On a canary they would make the tool claim the canary.
const TOOLS: [&str; 8] = [
    PREFIX,
    "deployment.kubernetes.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubernetes.io/change-cause",
    "argocd.argoproj.io/",
    "meta.helm.sh/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
];

/// The annotation that `kubectl rollout restart` adds to pods; promoting it would restart nothing.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// `spec.template` of a `KanaryDeployment`.
#[must_use]
pub fn of(deployment: &Value) -> Value {
    let mut metadata = Map::new();
    for field in ["labels", "annotations"] {
        let kept = kept(&deployment["metadata"][field], |key| !TOOLS.iter().any(|tool| key.starts_with(tool)));
        if !kept.is_empty() {
            metadata.insert(field.into(), Value::Object(kept));
        }
    }
    let mut spec = deployment["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        // Scale and a paused rollout stay with the base; and without a selector no base can be made of a typing error.
        fields.retain(|field, _| !matches!(field.as_str(), "replicas" | "paused" | "selector"));
    }
    defaults::strip(&mut spec);
    if let Some(pods) = spec.pointer_mut("/template/metadata").and_then(Value::as_object_mut) {
        tidy_pods(pods);
    }
    match metadata.is_empty() {
        true => json!({"spec": spec}),
        false => json!({"metadata": metadata, "spec": spec}),
    }
}

/// Labels and annotations of production's pods are kept, because a promotion would remove what is left out here; but not
/// Kanary's own, which would mark every pod as a canary's.
fn tidy_pods(metadata: &mut Map<String, Value>) {
    for field in ["labels", "annotations"] {
        let Some(entries) = metadata.remove(field) else { continue };
        let entries = kept(&entries, |key| !key.starts_with(PREFIX) && key != RESTARTED);
        if !entries.is_empty() {
            metadata.insert(field.into(), Value::Object(entries));
        }
    }
}

fn kept(entries: &Value, is_kept: impl Fn(&str) -> bool) -> Map<String, Value> {
    let mut entries = entries.as_object().cloned().unwrap_or_default();
    entries.retain(|key, _| is_kept(key));
    entries
}
