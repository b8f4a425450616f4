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
    #[serde(default, rename = "endpoints", deserialize_with = "pod_names")]
    pub pods: BTreeSet<String>,
}

impl Object for EndpointSlice {
    object::metadata!();

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
        self.metadata.owner_references = None;
    }
}

/// Either the API server's list of endpoints, or our own dump of names.
fn pod_names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let name = |entry: &Value| entry.as_str().or_else(|| entry.pointer("/targetRef/name")?.as_str()).map(str::to_owned);
    let endpoints = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(endpoints.iter().filter_map(name).collect())
}
