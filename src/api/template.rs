//! The Deployment template, opaque: JSON end to end, so that a field that this build does not know survives.
//!
//! Only what the controller must read has an accessor. Nothing here interprets a pod.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::hash;

/// `{metadata, spec}` of a Deployment, as the user wrote it. It is not copied when its resource is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct Template(Arc<Written>);

#[derive(Debug, Default)]
struct Written {
    json: Map<String, Value>,
    /// Computed once: each reconcile needs it several times.
    hash: OnceLock<String>,
}

impl From<Map<String, Value>> for Template {
    fn from(json: Map<String, Value>) -> Self {
        Self(Arc::new(Written { json, hash: OnceLock::new() }))
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.json == other.0.json
    }
}

impl Template {
    /// Identifies the template; two templates that mean the same JSON have the same hash.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.0.hash.get_or_init(|| hash::of_map(&self.0.json))
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.at(&["metadata", "name"]).and_then(Value::as_str)
    }

    /// `metadata.namespace`.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.at(&["metadata", "namespace"]).and_then(Value::as_str)
    }

    /// `metadata.labels`.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.strings(&["metadata", "labels"])
    }

    /// `metadata.annotations`.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.strings(&["metadata", "annotations"])
    }

    /// `spec`.
    #[must_use]
    pub fn spec(&self) -> Map<String, Value> {
        self.at(&["spec"]).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// `spec.template`, the pod template.
    #[must_use]
    pub fn pod_template(&self) -> Value {
        self.at(&["spec", "template"]).cloned().unwrap_or_default()
    }

    /// `spec.template.metadata.labels`.
    #[must_use]
    pub fn pod_labels(&self) -> BTreeMap<String, String> {
        self.strings(&["spec", "template", "metadata", "labels"])
    }

    /// The images of its containers.
    #[must_use]
    pub fn images(&self) -> Vec<&str> {
        let containers = self.at(&["spec", "template", "spec", "containers"]).and_then(Value::as_array);
        containers.into_iter().flatten().filter_map(|container| container.get("image")?.as_str()).collect()
    }

    /// `spec.progressDeadlineSeconds`, or the 600 s that are Kubernetes' default.
    #[must_use]
    pub fn progress_deadline(&self) -> SignedDuration {
        let seconds = self.at(&["spec", "progressDeadlineSeconds"]).and_then(Value::as_i64);
        SignedDuration::from_secs(seconds.unwrap_or(600))
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.json.get(*first)?, |value, key| value.get(key))
    }

    fn strings(&self, path: &[&str]) -> BTreeMap<String, String> {
        let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        self.at(path).and_then(Value::as_object).map(|map| map.iter().filter_map(text).collect()).unwrap_or_default()
    }
}
