//! What is read of the cluster: each kind pruned to the fields that a decision rests on.
//!
//! They deserialize from the API server's JSON, so a watch keeps no more than this in memory, and they serialize, so a
//! dump of them replays a decision. Nothing here is ever written back whole.

mod autoscaler;
mod custom_resource;
mod deployment;
mod destination_rule;
mod endpoint_slice;
mod http_route;
mod labels;
mod lenient;
pub mod metadata;
mod object;
mod pod;
mod pod_selector;
mod ports;
mod raw;
mod readable;
mod service;
mod unreadable;
mod virtual_service;

pub use autoscaler::{Autoscaler, AutoscalerSpec};
pub use custom_resource::{Listed, Unavailable};
pub use deployment::{Availability, Deployment, DeploymentSpec, DeploymentStatus, PodTemplate};
pub use destination_rule::{DestinationRule, DestinationRuleSpec, Subset};
pub use endpoint_slice::{EndpointSlice, PodNames};
pub use http_route::{HTTPRoute, RouteStatus};
pub use labels::{Labels, map_selects, selects};
pub use object::Object;
pub use pod::{Pod, PodStatus};
pub use pod_selector::{PodSelector, SelectorSpec};
pub use ports::{DeclaredPort, PodPorts, of_pod_spec};
pub use raw::{RawObject, Reading};
pub use readable::Readable;
pub use service::{Service, ServiceSpec, TargetPort};
pub use unreadable::Unreadable;
pub use virtual_service::VirtualService;
