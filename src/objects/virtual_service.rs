//! Istio's VirtualServices. The spec stays as it is: only a mirror of ours is ever added to it or taken away.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Object, custom_resource, prune_meta};

/// A VirtualService.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VirtualService {
    /// Its metadata.
    #[serde(deserialize_with = "super::metadata::read_with_writers")]
    pub metadata: ObjectMeta,
    /// What is asked of it, with fields that this build does not know.
    #[serde(default)]
    pub spec: Value,
    /// The field manager, other than we, that last wrote its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
}

custom_resource::custom_resource!(VirtualService, "networking.istio.io", "v1", "virtualservices");

impl Object for VirtualService {
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
