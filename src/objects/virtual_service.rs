//! Istio's VirtualServices. The spec stays as it is: only entries of ours are added to it and removed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    custom_resource,
    object::{self, Object, prune_meta},
};

/// A VirtualService of any namespace that the controller may read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VirtualService {
    /// Labels, generation and ownership.
    #[serde(deserialize_with = "super::metadata::read_with_writers")]
    pub metadata: ObjectMeta,
    /// The whole spec, with fields that this build does not know.
    #[serde(default)]
    pub spec: Value,
    /// The field manager that last wrote its spec, other than the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_manager: Option<String>,
}

custom_resource::custom_resource!(VirtualService, "networking.istio.io", "v1", "virtualservices");

impl Object for VirtualService {
    object::metadata!();

    fn prune(&mut self) {
        self.last_manager = custom_resource::last_other_manager(&self.metadata);
        prune_meta(&mut self.metadata);
    }
}
