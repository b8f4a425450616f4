//! What of a live Deployment makes a template: all that a person could have written, and nothing that the API server or
//! a tool wrote into it.

use serde_json::{Map, Value, json};

use crate::{api::names::PREFIX, cli::defaults};

/// Annotations and labels that tie an object to the tool that made it. On a canary they would make it that tool's.
const TOOLS: [&str; 8] = [
    "kanary.k8s.io/",
    "deployment.kubernetes.io/",
    "kubectl.kubernetes.io/",
    "kubernetes.io/change-cause",
    "argocd.argoproj.io/",
    "meta.helm.sh/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
];

/// `spec.template` of a `KanaryDeployment`.
#[must_use]
pub fn of(deployment: &Value) -> Value {
    let mut metadata = Map::new();
    for field in ["labels", "annotations"] {
        let kept = of_people(&deployment["metadata"][field]);
        if !kept.is_empty() {
            metadata.insert(field.into(), Value::Object(kept));
        }
    }
    let mut spec = deployment["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        // How many pods there are is the base's own business, and whether its rollout is stopped.
        fields.retain(|field, _| !matches!(field.as_str(), "replicas" | "paused"));
    }
    defaults::strip(&mut spec);
    tidy_pods(&mut spec["template"]["metadata"]);
    match metadata.is_empty() {
        true => json!({"spec": spec}),
        false => json!({"metadata": metadata, "spec": spec}),
    }
}

/// `kubectl rollout restart` leaves its mark in the pods' annotations; promoted, it would restart nothing. Labels are left as
/// they are, for the selector asks for them; but not ours, which would make every pod a canary's.
fn tidy_pods(metadata: &mut Value) {
    if let Some(labels) = metadata["labels"].as_object_mut() {
        labels.retain(|key, _| !key.starts_with(PREFIX));
    }
    let kept = of_people(&metadata["annotations"]);
    let Some(fields) = metadata.as_object_mut() else { return };
    match kept.is_empty() {
        true => drop(fields.remove("annotations")),
        false => drop(fields.insert("annotations".into(), Value::Object(kept))),
    }
}

fn of_people(entries: &Value) -> Map<String, Value> {
    let mut entries = entries.as_object().cloned().unwrap_or_default();
    entries.retain(|key, _| !TOOLS.iter().any(|tool| key.starts_with(tool)));
    entries
}
