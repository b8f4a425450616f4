//! What a lab has in addition to its control plane.

use std::path::PathBuf;

use crate::artifacts::Wanted;

/// What the lab of a test binary has.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    installs: bool,
    kubectl: bool,
    controller: Option<Vec<String>>,
    backend: bool,
    mesh: bool,
    prometheus: bool,
    helm: bool,
    /// More CRDs, e.g. a mesh's: files that are applied before the controllers start.
    pub crds: Vec<PathBuf>,
}

impl Setup {
    /// A control plane only.
    pub fn bare() -> Self {
        Self::default()
    }

    /// The CRD and the manifests, but no controller: for tests that start, stop and kill their own.
    pub fn installed() -> Self {
        Self { installs: true, ..Self::default() }
    }

    /// One controller that all tests share, run with these arguments.
    pub fn controller(args: &[&str]) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Self { installs: true, controller: Some(args), ..Self::default() }
    }

    /// Adds kubectl to the lab's tools.
    pub fn with_kubectl(self) -> Self {
        Self { kubectl: true, ..self }
    }

    /// Adds pods that answer.
    pub fn with_backend(self) -> Self {
        Self { backend: true, ..self }
    }

    /// Adds istiod, Envoy as a sidecar and as a gateway, and pods that answer.
    pub fn with_mesh(self) -> Self {
        Self { mesh: true, ..self }
    }

    /// Adds Helm to the lab's tools.
    pub fn with_helm(self) -> Self {
        Self { helm: true, ..self }
    }

    /// Adds a Prometheus, and pods that answer and have metrics.
    pub fn with_prometheus(self) -> Self {
        Self { prometheus: true, ..self }
    }

    /// Whether Kanary is installed.
    pub fn installs(&self) -> bool {
        self.installs
    }

    /// Whether pods answer.
    pub fn backend(&self) -> bool {
        self.backend || self.mesh || self.prometheus
    }

    /// Whether there is a mesh.
    pub fn mesh(&self) -> bool {
        self.mesh
    }

    /// Whether there is a Prometheus.
    pub fn prometheus(&self) -> bool {
        self.prometheus
    }

    /// The arguments of the controller that all tests share, if there is one.
    pub fn shared_controller(&self) -> Option<&[String]> {
        self.controller.as_deref()
    }

    /// What must be built for it.
    pub fn wanted(&self) -> Wanted {
        let Self { installs, kubectl, mesh, prometheus, helm, .. } = *self;
        Wanted { kanary: installs, kubectl, mesh, prometheus, helm, ..Wanted::default() }
    }
}
