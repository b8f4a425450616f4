//! Metadata as it is read of every object: without what no decision needs.
//!
//! managedFields are as long as the rest of an object, and few decisions need them. Of each entry only this is kept: whether
//! it is about `spec`, and whether about the pod template.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{json, value::RawValue};

use super::lenient::{Due, Lenient, expected_map};

/// Reads metadata without managedFields.
///
/// # Errors
/// Those of the deserializer.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Read::<IgnoredAny>::deserialize(deserializer).map(|read| read.kept(|_| None))
}

/// Metadata with managedFields as they came: whether their writers matter is not known yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Read<Box<RawValue>>")]
pub struct RawMetadata {
    /// All but managedFields.
    pub rest: ObjectMeta,
    managed_fields: Option<Box<RawValue>>,
}

impl From<Read<Box<RawValue>>> for RawMetadata {
    fn from(mut read: Read<Box<RawValue>>) -> Self {
        let managed_fields = read.managed_fields.take();
        Self { rest: read.kept(|_| None), managed_fields }
    }
}

impl RawMetadata {
    /// The metadata, and of managedFields which client wrote the spec, where that can be read.
    #[must_use]
    pub fn with_writers(&self) -> ObjectMeta {
        let raw = self.managed_fields.as_deref();
        let entries = raw.and_then(|raw| serde_json::from_str::<Lenient<Vec<Entry>>>(raw.get()).ok());
        ObjectMeta { managed_fields: entries.and_then(kept), ..self.rest.clone() }
    }
}

/// Reads metadata, and of managedFields which client wrote the spec.
///
/// # Errors
/// Those of the deserializer.
pub fn read_with_writers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Read::deserialize(deserializer).map(|read| read.kept(kept))
}

/// The entries about the spec, if there are any.
fn kept(Lenient(entries): Lenient<Vec<Entry>>) -> Option<Vec<ManagedFieldsEntry>> {
    let kept: Vec<_> = entries?.into_iter().filter_map(Entry::kept).collect();
    (!kept.is_empty()).then_some(kept)
}

/// Only names and versions decide, and the API server guarantees these; nothing else makes an object unreadable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "Entries: Deserialize<'de>")]
struct Read<Entries> {
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    namespace: Lenient<String>,
    #[serde(default)]
    uid: Lenient<String>,
    #[serde(default)]
    resource_version: Lenient<String>,
    #[serde(default)]
    generation: Lenient<i64>,
    #[serde(default)]
    labels: Lenient<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Lenient<BTreeMap<String, String>>,
    #[serde(default)]
    creation_timestamp: Lenient<Time>,
    #[serde(default)]
    deletion_timestamp: Lenient<Due>,
    #[serde(default)]
    owner_references: Lenient<Vec<OwnerReference>>,
    #[serde(default)]
    finalizers: Lenient<Vec<String>>,
    managed_fields: Option<Entries>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    manager: Lenient<String>,
    subresource: Lenient<String>,
    time: Lenient<Time>,
    fields_v1: Lenient<Fields>,
}
expected_map!(Entry);

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:spec")]
    spec: Lenient<Spec>,
}
expected_map!(Fields);

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    #[serde(rename = "f:template")]
    template: Option<IgnoredAny>,
}
expected_map!(Spec);

impl<Entries> Read<Entries> {
    fn kept(self, writers: impl FnOnce(Entries) -> Option<Vec<ManagedFieldsEntry>>) -> ObjectMeta {
        ObjectMeta {
            name: self.name.0,
            namespace: self.namespace.0,
            uid: self.uid.0,
            resource_version: self.resource_version.0,
            generation: self.generation.0,
            labels: self.labels.0,
            annotations: self.annotations.0,
            creation_timestamp: self.creation_timestamp.0,
            deletion_timestamp: self.deletion_timestamp.0.map(|Due(time)| time),
            owner_references: self.owner_references.0,
            finalizers: self.finalizers.0,
            managed_fields: self.managed_fields.and_then(writers),
            ..ObjectMeta::default()
        }
    }
}

impl Entry {
    /// The entry, if it is about the spec.
    fn kept(self) -> Option<ManagedFieldsEntry> {
        let spec = self.fields_v1.0?.spec.0?;
        let fields = if spec.template.is_some() { json!({"f:template": {}}) } else { json!({}) };
        Some(ManagedFieldsEntry {
            manager: self.manager.0,
            subresource: self.subresource.0,
            time: self.time.0,
            fields_v1: Some(FieldsV1(json!({"f:spec": fields}))),
            ..ManagedFieldsEntry::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::objects::{Deployment, Object};

    fn read(entries: serde_json::Value) -> Deployment {
        let mut deployment: Deployment = serde_json::from_value(json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3, "labels": null,
                "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"], "managedFields": entries,
                "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "o"}],
            },
        }))
        .expect("as the API server sends it");
        deployment.prune();
        deployment
    }

    fn entry(manager: &str, time: &str, fields: serde_json::Value) -> serde_json::Value {
        json!({"manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn the_last_writer_of_the_template_is_found() {
        let template = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {}}}}});
        let deployment = read(json!([
            entry("kanary", "2026-01-01T00:00:01Z", template.clone()),
            entry("argocd", "2026-01-01T00:00:02Z", template),
            entry("hpa", "2026-01-01T00:00:03Z", json!({"f:spec": {"f:replicas": {}}})),
            entry("controller", "2026-01-01T00:00:04Z", json!({"f:metadata": {}})),
            {"manager": "none"},
        ]));
        assert_eq!(deployment.last_manager.as_deref(), Some("argocd"));
        assert_eq!((deployment.name(), deployment.version(), deployment.metadata.generation), ("web", "7", Some(3)));
        assert!(deployment.is_owned_by("o") && deployment.metadata.managed_fields.is_none());
    }

    #[test]
    fn a_tampered_entry_is_skipped_and_the_others_count() {
        let template = json!({"f:spec": {"f:template": {}}});
        let deployment = read(json!([
            entry("argocd", "2026-01-01T00:00:02Z", template.clone()),
            entry("tenant", "9999-12-31T23:59:59Z", template.clone()),
            entry("odd", "yesterday", json!([])),
            {"manager": 3, "time": null, "fieldsV1": {"f:spec": "all"}},
            null,
        ]));
        assert_eq!(deployment.last_manager.as_deref(), Some("argocd"));
    }
}
