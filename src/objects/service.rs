//! Services: the production one, the kanary one, and any other that might select a canary pod.

use k8s_openapi::{
    api::core::v1::{self as core, ServicePort},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use kube::Resource;
use serde::{Deserialize, Serialize};

use super::{
    labels::Labels,
    lenient::{expected_map, or_default},
    object::{self, Object, prune_meta},
};

/// A Service, of which only what decides about pods is read.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = core::Service)]
pub struct Service {
    /// Labels and ownership.
    #[serde(deserialize_with = "super::metadata::read")]
    pub metadata: ObjectMeta,
    /// Selector, ports and IP families.
    #[serde(default)]
    pub spec: ServiceSpec,
}

/// What is read of the spec of a Service, and copied to the kanary service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Selects the pods behind it; without one its endpoints are maintained by another client.
    #[serde(skip_serializing_if = "Labels::is_empty", deserialize_with = "or_default")]
    pub selector: Labels,
    /// The ports that it serves.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub ports: Vec<ServicePort>,
    /// IPv4, IPv6, or both in order of preference.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub ip_families: Vec<String>,
    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<String>,
    /// `Cluster` or `Local`: of requests from within the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_traffic_policy: Option<String>,
    /// `Cluster` or `Local`: of requests from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<String>,
    /// `None` or `ClientIP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_affinity: Option<String>,
}

/// Where a port of a Service sends requests to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetPort<'a> {
    /// To the port of this name, if the pod has one.
    Named(&'a str),
    /// To this port, whether a container declares it or not.
    Number(i64),
}

impl ServiceSpec {
    /// The fields by which requests do not go to all pods alike.
    #[must_use]
    pub fn uneven(&self) -> Vec<&'static str> {
        let fields = [
            (&self.internal_traffic_policy, "Local", "internalTrafficPolicy: Local"),
            (&self.external_traffic_policy, "Local", "externalTrafficPolicy: Local"),
            (&self.session_affinity, "ClientIP", "sessionAffinity: ClientIP"),
        ];
        fields
            .into_iter()
            .filter(|(field, value, _)| field.as_deref() == Some(*value))
            .map(|(_, _, text)| text)
            .collect()
    }

    /// Where its ports send requests to, and by which protocol.
    pub fn targets(&self) -> impl Iterator<Item = (TargetPort<'_>, &str)> {
        self.ports.iter().map(|port| {
            let target = match &port.target_port {
                Some(IntOrString::String(name)) => TargetPort::Named(name),
                Some(IntOrString::Int(number)) => TargetPort::Number((*number).into()),
                None => TargetPort::Number(port.port.into()),
            };
            (target, port.protocol.as_deref().unwrap_or("TCP"))
        })
    }
}
expected_map!(ServicePort);

impl Object for Service {
    object::metadata!();

    fn prune(&mut self) {
        prune_meta(&mut self.metadata);
        for port in &mut self.spec.ports {
            port.node_port = None;
        }
    }
}
