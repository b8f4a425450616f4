//! The Gateway API's HTTPRoutes. The spec stays as it is: only entries of ours are added to it and removed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    custom_resource,
    object::{self, Object, prune_meta},
};

/// An HTTPRoute of any namespace that the controller may read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HTTPRoute {
    /// Labels, generation and ownership.
    #[serde(deserialize_with = "super::metadata::read_with_writers")]
    pub metadata: ObjectMeta,
    /// The whole spec, with fields that this build does not know.
    #[serde(default)]
    pub spec: Value,
    /// As its parents report it.
    #[serde(default)]
    pub status: RouteStatus,
    /// The field manager that last wrote its spec, other than the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_manager: Option<String>,
}

/// What the parents of a route, gateways or meshes, report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct RouteStatus {
    /// One for each parent, with `parentRef` and `conditions`.
    pub parents: Vec<Value>,
}

impl From<Value> for RouteStatus {
    /// Anything else than a list reports nothing.
    fn from(mut status: Value) -> Self {
        let parents = status.get_mut("parents").and_then(Value::as_array_mut).map(std::mem::take);
        Self { parents: parents.unwrap_or_default() }
    }
}

custom_resource::custom_resource!(HTTPRoute, "gateway.networking.k8s.io", "v1", "httproutes");

impl Object for HTTPRoute {
    object::metadata!();

    fn prune(&mut self) {
        self.last_manager = custom_resource::last_other_manager(&self.metadata);
        prune_meta(&mut self.metadata);
    }
}
