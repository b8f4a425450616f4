//! Metadata as it is read of every object: without what no decision needs.
//!
//! managedFields are as long as the rest of an object, and few decisions need them. Of each entry only this is kept: whether
//! it is about `spec`, and whether about the pod template.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{json, value::RawValue};

/// Reads metadata without managedFields.
///
/// # Errors
/// Those of the deserializer.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Read::<IgnoredAny>::deserialize(deserializer).map(|read| read.kept(|_| None))
}

/// Metadata with managedFields as they came: whether their writers matter is not known yet.
#[derive(Clone, Debug, Deserialize)]
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
    /// The metadata, and of managedFields which client wrote the spec.
    ///
    /// # Errors
    /// managedFields cannot be read.
    pub fn with_writers(&self) -> Result<ObjectMeta, serde_json::Error> {
        let entries = self.managed_fields.as_deref().map(|raw| serde_json::from_str(raw.get())).transpose()?;
        Ok(ObjectMeta { managed_fields: entries.and_then(kept), ..self.rest.clone() })
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
fn kept(entries: Vec<Entry>) -> Option<Vec<ManagedFieldsEntry>> {
    let kept: Vec<_> = entries.into_iter().filter_map(Entry::kept).collect();
    (!kept.is_empty()).then_some(kept)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "Entries: Deserialize<'de>")]
struct Read<Entries> {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
    managed_fields: Option<Entries>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    manager: Option<String>,
    subresource: Option<String>,
    time: Option<Time>,
    fields_v1: Option<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "f:spec")]
    spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "f:template")]
    template: Option<IgnoredAny>,
}

impl<Entries> Read<Entries> {
    fn kept(self, writers: impl FnOnce(Entries) -> Option<Vec<ManagedFieldsEntry>>) -> ObjectMeta {
        ObjectMeta {
            name: self.name,
            namespace: self.namespace,
            uid: self.uid,
            resource_version: self.resource_version,
            generation: self.generation,
            labels: self.labels,
            annotations: self.annotations,
            creation_timestamp: self.creation_timestamp,
            deletion_timestamp: self.deletion_timestamp,
            owner_references: self.owner_references,
            finalizers: self.finalizers,
            managed_fields: self.managed_fields.and_then(writers),
            ..ObjectMeta::default()
        }
    }
}

impl Entry {
    /// The entry, if it is about the spec.
    fn kept(self) -> Option<ManagedFieldsEntry> {
        let spec = self.fields_v1?.spec?;
        let fields = if spec.template.is_some() { json!({"f:template": {}}) } else { json!({}) };
        Some(ManagedFieldsEntry {
            manager: self.manager,
            subresource: self.subresource,
            time: self.time,
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
}
