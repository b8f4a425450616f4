//! EndpointSlices: which pods a Service sends traffic to.

use std::collections::BTreeSet;

use k8s_openapi::{api::discovery::v1 as discovery, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{self, Object, prune_meta};

/// An EndpointSlice of a production Service.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = discovery::EndpointSlice)]
pub struct EndpointSlice {
    /// Its labels name the Service.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// Names of the pods that it lists, ready or not.
    #[serde(default, rename = "endpoints")]
    pub pods: PodNames,
}

/// Names of pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct PodNames(pub BTreeSet<String>);

impl Object for EndpointSlice {
    object::metadata!();

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
        self.metadata.owner_references = None;
    }
}

impl From<Value> for PodNames {
    /// Either the API server's list of endpoints, or our own dump of names.
    fn from(endpoints: Value) -> Self {
        let name =
            |entry: &Value| entry.as_str().or_else(|| entry.pointer("/targetRef/name")?.as_str()).map(str::to_owned);
        Self(endpoints.as_array().into_iter().flatten().filter_map(name).collect())
    }
}
