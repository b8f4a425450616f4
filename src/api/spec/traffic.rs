//! `spec.traffic`: which requests reach the canary.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::api::schema;

/// Which requests reach the canary.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.mirror) || has(self.source) && self.source == 'mirror'")
    .message("spec.traffic.mirror: requires source: mirror; set spec.traffic.source, or remove the field"))]
pub struct Traffic {
    /// `none`: no requests. `service`: its pods join the production Service. `kanary-service`: it has a Service of its own.
    /// `both`: these two. `mirror`: a mesh copies production requests to it. Default: `none`.
    #[serde(default)]
    pub source: Source,
    /// Name of the Service that selects only canary pods. Default: `<name>-kanary`.
    #[schemars(schema_with = "schema::optional_service_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kanary_service: Option<String>,
    /// Settings of the source `mirror`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// Where the canary's requests come from.
#[derive(
    JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Source {
    #[default]
    None,
    Service,
    KanaryService,
    Both,
    Mirror,
}

/// Settings of the source `mirror`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
// A reference of the other provider would have no effect: all routes would contain the mirror.
#[x_kube(
    validation = Rule::new("!has(self.virtualService) || !has(self.provider) || self.provider == 'istio'")
        .message("spec.traffic.mirror.virtualService: requires provider: istio; with gateway-api use httpRoute"),
    validation = Rule::new("!has(self.httpRoute) || has(self.provider) && self.provider == 'gateway-api'")
        .message("spec.traffic.mirror.httpRoute: requires provider: gateway-api; with istio use virtualService"),
    validation = Rule::new("!has(self.percentage) || self.percentage > 0 || !has(self.confirm) || self.confirm != 'requests'")
        .message("spec.traffic.mirror.percentage: must be above 0 with confirm: requests, because no request would ever arrive; use confirm: accepted, or mirror some")
)]
pub struct Mirror {
    /// Percentage of production requests to mirror. Default: 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 0, max = 100))]
    pub percentage: i32,
    /// Which routes contain the mirror: VirtualServices or HTTPRoutes. Default: `istio`.
    #[serde(default)]
    pub provider: Provider,
    /// When the mirror counts as on: once the route is `accepted`, or once Prometheus has seen `requests` arrive.
    /// Default: `accepted`.
    #[serde(default)]
    pub confirm: Confirm,
    /// Suppress the warning that mirrored requests include writes.
    #[serde(default)]
    pub acknowledge_writes: bool,
    /// Mirror only requests of this VirtualService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<VirtualServiceRef>,
    /// Mirror only requests of this HTTPRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRouteRef>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            percentage: hundred(),
            provider: Provider::default(),
            confirm: Confirm::default(),
            acknowledge_writes: false,
            virtual_service: None,
            http_route: None,
        }
    }
}

impl Traffic {
    /// The settings of the source `mirror`, with defaults.
    #[must_use]
    pub fn mirror(&self) -> Mirror {
        self.mirror.clone().unwrap_or_default()
    }
}

/// Which routes contain the mirror.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Provider {
    #[default]
    Istio,
    GatewayApi,
}

/// When a mirror counts as on.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Confirm {
    #[default]
    Accepted,
    Requests,
}

/// A VirtualService, and some of its `http` routes by name.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualServiceRef {
    /// Name of the VirtualService.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Names of its `http` routes. Default: all that point to the production Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub routes: Vec<String>,
}

/// An HTTPRoute, and some of its rules by name.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpRouteRef {
    /// Name of the HTTPRoute.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Names of its rules. Default: all that point to the production Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub rules: Vec<String>,
}

impl Source {
    /// Do the canary's pods join the production Service?
    #[must_use]
    pub fn joins_production(self) -> bool {
        match self {
            Source::Service | Source::Both => true,
            Source::None | Source::KanaryService | Source::Mirror => false,
        }
    }

    /// Does the canary have a Service of its own?
    #[must_use]
    pub fn has_kanary_service(self) -> bool {
        match self {
            Source::KanaryService | Source::Both | Source::Mirror => true,
            Source::None | Source::Service => false,
        }
    }

    /// Does the controller write into routes of a mesh?
    #[must_use]
    pub fn writes_routes(self) -> bool {
        match self {
            Source::Mirror => true,
            Source::None | Source::Service | Source::KanaryService | Source::Both => false,
        }
    }

    /// As the field is spelled.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

fn hundred() -> i32 {
    100
}
