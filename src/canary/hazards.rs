//! What a template says that a canary beside its base breaks: what both use, a strategy that allows no second pod, labels that
//! its pods read or are scheduled by and do not have, gates that open for pods in production alone. Warnings only; nothing
//! here is refused.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use crate::{
    api::Template,
    objects::{Labels, selects},
};

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

/// The ResourceClaims that its pods use, by name. One that is made for each pod of a template is its own.
#[must_use]
pub fn shared_devices(template: &Template) -> BTreeSet<String> {
    let pod = template.pod_template();
    let claims = list(&pod, "/spec/resourceClaims");
    claims.filter_map(|claim| claim.get("resourceClaimName")?.as_str()).map(str::to_owned).collect()
}

/// The folders of the node that its pods mount for writing.
#[must_use]
pub fn shared_folders(template: &Template) -> BTreeSet<String> {
    let pod = template.pod_template();
    let containers = || list(&pod, "/spec/containers").chain(list(&pod, "/spec/initContainers"));
    let is_written = |volume: &Value| {
        let is_it = |mount: &&Value| mount["name"] == volume["name"] && mount["readOnly"] != true;
        containers().flat_map(|container| list(container, "/volumeMounts")).any(|mount| is_it(&mount))
    };
    let is_folder = |host: &Value| {
        let kind = host.get("type").and_then(Value::as_str).unwrap_or_default();
        !["Socket", "CharDevice", "BlockDevice"].contains(&kind)
    };
    let folders =
        list(&pod, "/spec/volumes").filter(|volume| is_written(volume)).filter_map(|volume| volume.get("hostPath"));
    folders.filter(|host| is_folder(host)).filter_map(|host| host.get("path")?.as_str()).map(str::to_owned).collect()
}

/// The conditions that another controller must set before its pods are ready.
#[must_use]
pub fn readiness_gates(template: &Template) -> Vec<String> {
    let pod = template.pod_template();
    let gates = list(&pod, "/spec/readinessGates");
    gates.filter_map(|gate| gate.get("conditionType")?.as_str()).map(str::to_owned).collect()
}

/// What schedules its pods by those of production, and does not count a pod that has the `bare` labels alone.
#[must_use]
pub fn schedules_by(template: &Template, full: &Labels, bare: &Labels) -> BTreeSet<&'static str> {
    let pod = template.pod_template();
    let spread = list(&pod, "/spec/topologySpreadConstraints").map(|it| ("topologySpreadConstraints", it));
    let terms = AFFINITIES.into_iter().flat_map(|(name, path)| list(&pod, path).map(move |term| (name, term)));
    let loses = |term: &Value| {
        let selector = term.get("labelSelector").or_else(|| term.pointer("/podAffinityTerm/labelSelector"));
        let selector = selector.and_then(|selector| serde_json::from_value::<LabelSelector>(selector.clone()).ok());
        selector.is_some_and(|selector| selects(&selector, full) && !selects(&selector, bare))
    };
    spread.chain(terms).filter(|(_, term)| loses(term)).map(|(name, _)| name).collect()
}

const AFFINITIES: [(&str, &str); 4] = [
    ("podAffinity", "/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution"),
    ("podAffinity", "/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution"),
    ("podAntiAffinity", "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution"),
    ("podAntiAffinity", "/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution"),
];

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
