//! The Gateway API's HTTPRoutes. The spec stays as it is: only a filter of ours is ever added to it or taken away.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Object, custom_resource, prune_meta};

/// An HTTPRoute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HTTPRoute {
    /// Its metadata.
    #[serde(deserialize_with = "super::metadata::read_with_writers")]
    pub metadata: ObjectMeta,
    /// What is asked of it, with fields that this build does not know.
    #[serde(default)]
    pub spec: Value,
    /// What the gateways and meshes say of it.
    #[serde(default)]
    pub status: RouteStatus,
    /// The field manager, other than we, that last wrote its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
}

/// What the gateways and meshes say of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// One for each parent, with `parentRef` and `conditions`.
    #[serde(default)]
    pub parents: Vec<Value>,
}

custom_resource::custom_resource!(HTTPRoute, "gateway.networking.k8s.io", "v1", "httproutes");

impl Object for HTTPRoute {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn prune(&mut self) {
        self.writer = custom_resource::other_writer(&self.metadata);
        prune_meta(&mut self.metadata);
    }
}
