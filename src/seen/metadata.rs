//! Metadata as it is read of every object: without what nothing here asks for.
//!
//! managedFields are as long as the rest of an object, and of a thousand events nobody asks who wrote a field. Of each entry
//! only what was written of `spec` is kept: whether, and whether the pod template.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::json;

/// Reads the metadata of an object.
///
/// # Errors
/// Those of the deserializer.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Read::deserialize(deserializer).map(ObjectMeta::from)
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Read {
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
    managed_fields: Option<Vec<Entry>>,
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

impl From<Read> for ObjectMeta {
    fn from(read: Read) -> Self {
        let entries = read.managed_fields.into_iter().flatten().filter_map(Entry::kept);
        Self {
            name: read.name,
            namespace: read.namespace,
            uid: read.uid,
            resource_version: read.resource_version,
            generation: read.generation,
            labels: read.labels,
            annotations: read.annotations,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            owner_references: read.owner_references,
            finalizers: read.finalizers,
            managed_fields: Some(entries.collect::<Vec<_>>()).filter(|entries| !entries.is_empty()),
            ..Self::default()
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

    use crate::seen::{Deployment, Seen};

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
        assert_eq!(deployment.writer.as_deref(), Some("argocd"));
        assert_eq!((deployment.name(), deployment.version(), deployment.metadata.generation), ("web", "7", Some(3)));
        assert!(deployment.is_owned_by("o") && deployment.metadata.managed_fields.is_none());
    }
}
