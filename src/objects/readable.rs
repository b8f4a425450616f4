//! How each kind is put together from what is read of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Autoscaler, AutoscalerSpec, Deployment, DeploymentSpec, DeploymentStatus, DestinationRule, DestinationRuleSpec,
    EndpointSlice, HTTPRoute, Object, Pod, PodNames, PodPorts, PodSelector, PodStatus, RouteStatus, SelectorSpec,
    Service, ServiceSpec, VirtualService,
};
use crate::api::{KanaryDeployment, KanaryDeploymentSpec, KanaryDeploymentStatus};

/// A kind that is read from the API server.
pub trait Readable: Object + Clone {
    /// What is read of its spec.
    type Spec: Default + DeserializeOwned;
    /// What is read of its status.
    type Status: Clone + Default + DeserializeOwned;

    /// The field that is its spec.
    const SPEC: &'static str = "spec";
    /// Is its status read?
    const HAS_STATUS: bool = false;
    /// Does a decision rest on which client last wrote it?
    const HAS_WRITERS: bool = false;
    /// Is it our resource? It has a spec always, and what is known of one that cannot be read is kept: its own status says so.
    const IS_OURS: bool = false;

    /// Puts it together.
    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self;

    /// The same object with new metadata and status, where `metadata.generation` counts the changes of the spec: the spec and
    /// its last writer stay.
    fn renewed(&self, _: ObjectMeta, _: Self::Status) -> Option<Self> {
        None
    }
}

impl Readable for KanaryDeployment {
    type Spec = KanaryDeploymentSpec;
    type Status = Option<KanaryDeploymentStatus>;

    const HAS_STATUS: bool = true;
    const IS_OURS: bool = true;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status }
    }

    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Option<Self> {
        Some(Self { metadata, spec: self.spec.clone(), status })
    }
}

impl Readable for Deployment {
    type Spec = DeploymentSpec;
    type Status = DeploymentStatus;

    const HAS_STATUS: bool = true;
    const HAS_WRITERS: bool = true;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status, last_manager: None }
    }

    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Option<Self> {
        Some(Self { metadata, spec: self.spec.clone(), status, last_manager: self.last_manager.clone() })
    }
}

impl Readable for Pod {
    type Spec = PodPorts;
    type Status = PodStatus;

    const HAS_STATUS: bool = true;

    fn assemble(metadata: ObjectMeta, ports: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, ports, status }
    }
}

impl Readable for Service {
    type Spec = ServiceSpec;
    type Status = ();

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, (): ()) -> Self {
        Self { metadata, spec }
    }
}

impl Readable for Autoscaler {
    type Spec = AutoscalerSpec;
    type Status = ();

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, (): ()) -> Self {
        Self { metadata, spec }
    }
}

impl Readable for EndpointSlice {
    type Spec = PodNames;
    type Status = ();

    const SPEC: &'static str = "endpoints";

    fn assemble(metadata: ObjectMeta, pods: Self::Spec, (): ()) -> Self {
        Self { metadata, pods }
    }
}

impl Readable for PodSelector {
    type Spec = SelectorSpec;
    type Status = ();

    fn assemble(metadata: ObjectMeta, selector: Self::Spec, (): ()) -> Self {
        Self { types: None, metadata, selector }
    }
}

impl Readable for VirtualService {
    type Spec = Value;
    type Status = ();

    const HAS_WRITERS: bool = true;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, (): ()) -> Self {
        Self { metadata, spec, last_manager: None }
    }
}

impl Readable for DestinationRule {
    type Spec = DestinationRuleSpec;
    type Status = ();

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, (): ()) -> Self {
        Self { metadata, spec }
    }
}

impl Readable for HTTPRoute {
    type Spec = Value;
    type Status = RouteStatus;

    const HAS_STATUS: bool = true;
    const HAS_WRITERS: bool = true;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status, last_manager: None }
    }
}
