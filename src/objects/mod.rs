//! What is read of the cluster: each kind pruned to the fields that a decision rests on.
//!
//! They deserialize from the API server's JSON, so a watch keeps no more than this in memory, and they serialize, so a
//! dump of them replays a decision. Nothing here is ever written back whole.

mod autoscaler;
mod custom_resource;
mod deployment;
mod endpoint_slice;
mod http_route;
mod labels;
pub mod metadata;
mod object;
mod pod;
mod pod_selector;
mod ports;
mod service;
mod virtual_service;

pub use autoscaler::Autoscaler;
pub use custom_resource::{Listed, Unavailable};
pub use deployment::{Availability, Deployment, DeploymentSpec, DeploymentStatus, PodTemplate};
pub use endpoint_slice::EndpointSlice;
pub use http_route::HTTPRoute;
pub use labels::{Labels, map_selects, selects};
pub use object::Object;
pub use pod::Pod;
pub use pod_selector::PodSelector;
pub use ports::{DeclaredPort, of_pod_spec};
pub use service::{Service, ServiceSpec, TargetPort};
pub use virtual_service::VirtualService;
