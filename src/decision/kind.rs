//! The kinds of objects that are written. Those that are only observed are not among them.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// The kinds that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr)]
#[allow(missing_docs)]
pub enum Kind {
    Deployment,
    Service,
    HorizontalPodAutoscaler,
    Pod,
    VirtualService,
    HTTPRoute,
    KanaryDeployment,
}

impl Kind {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Its API group and version.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Kind::Deployment => "apps/v1",
            Kind::Service | Kind::Pod => "v1",
            Kind::HorizontalPodAutoscaler => "autoscaling/v2",
            Kind::VirtualService => "networking.istio.io/v1",
            Kind::HTTPRoute => "gateway.networking.k8s.io/v1",
            Kind::KanaryDeployment => "kanary.k8s.io/v1alpha1",
        }
    }
}
