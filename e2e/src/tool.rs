//! The programs that the lab runs, and the YAML that comes with them.

use serde::{Deserialize, Serialize};

/// One program, or the YAML that comes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// The API server.
    KubeApiserver,
    /// The Deployment, ReplicaSet, EndpointSlice, HPA and garbage-collection controllers, among others.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// For users; few tests need it.
    Kubectl,
    /// Simulates the kubelets.
    Kwok,
    /// The API server's store.
    Etcd,
    /// Istio's control plane.
    PilotDiscovery,
    /// The CRDs of Istio.
    IstioCrds,
    /// The CRDs of the Gateway API, in the version that this Istio knows.
    GatewayCrds,
    /// The proxy.
    Envoy,
    /// Scrapes the pods and answers queries.
    Prometheus,
    /// Installs charts.
    Helm,
}

/// What a control plane consists of.
pub const CONTROL_PLANE: [Tool; 5] =
    [Tool::KubeApiserver, Tool::KubeControllerManager, Tool::KubeScheduler, Tool::Kwok, Tool::Etcd];

/// What a mesh consists of.
pub const MESH: [Tool; 4] = [Tool::PilotDiscovery, Tool::IstioCrds, Tool::GatewayCrds, Tool::Envoy];

impl Tool {
    /// The name of its binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
            Self::Etcd => "etcd",
            Self::PilotDiscovery => "pilot-discovery",
            Self::IstioCrds => "istio-crds",
            Self::GatewayCrds => "gateway-crds",
            Self::Envoy => "envoy",
            Self::Prometheus => "prometheus",
            Self::Helm => "helm",
        }
    }
}
