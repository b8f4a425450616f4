//! What a template says that a canary beside its base breaks: volumes that both mount, a strategy that allows no second pod,
//! labels that its pods read and do not have. Warnings only; nothing here is refused.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::Template;

/// Does the strategy say that the pods of two templates never run at the same time?
#[must_use]
pub fn forbids_two(template: &Template) -> bool {
    template.spec().get("strategy").and_then(|strategy| strategy.get("type")).and_then(Value::as_str)
        == Some("Recreate")
}

/// The PersistentVolumeClaims that its pods mount for writing, by name.
#[must_use]
pub fn shared_claims(template: &Template) -> BTreeSet<String> {
    let pod = template.pod_template();
    let claim = |volume: &Value| {
        let claim = volume.get("persistentVolumeClaim")?;
        let is_read_only = claim.get("readOnly").and_then(Value::as_bool).unwrap_or_default();
        claim.get("claimName")?.as_str().filter(|_| !is_read_only).map(str::to_owned)
    };
    list(&pod, "/spec/volumes").filter_map(claim).collect()
}

/// Which of these label keys its pods read through the downward API, in a variable or in a file.
#[must_use]
pub fn labels_read(template: &Template, keys: &BTreeSet<String>) -> BTreeSet<String> {
    let pod = template.pod_template();
    let mut paths = Vec::new();
    for container in list(&pod, "/spec/containers").chain(list(&pod, "/spec/initContainers")) {
        paths.extend(list(container, "/env").filter_map(|variable| variable.pointer("/valueFrom/fieldRef/fieldPath")));
    }
    for volume in list(&pod, "/spec/volumes") {
        let projected = list(volume, "/projected/sources").flat_map(|source| list(source, "/downwardAPI/items"));
        let items = list(volume, "/downwardAPI/items").chain(projected);
        paths.extend(items.filter_map(|item| item.pointer("/fieldRef/fieldPath")));
    }
    let paths: BTreeSet<&str> = paths.into_iter().filter_map(Value::as_str).collect();
    let is_read = |key: &&String| {
        paths.contains("metadata.labels")
            || paths.contains(format!("metadata.labels['{key}']").as_str())
            || paths.contains(format!("metadata.labels[\"{key}\"]").as_str())
    };
    keys.iter().filter(is_read).cloned().collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
