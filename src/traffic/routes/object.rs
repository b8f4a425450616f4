//! A VirtualService or an HTTPRoute and its rules, in the terms that both kinds share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::json::{items, text};
use crate::{
    api::Provider,
    decision::{Kind, Observed, Target},
    objects::{HTTPRoute, Object, VirtualService},
};

/// An object with rules that route requests.
#[derive(Clone, Copy)]
pub enum RouteObject<'a> {
    VirtualService(&'a VirtualService),
    HTTPRoute(&'a HTTPRoute),
}

/// One of its rules: an `http` route of a VirtualService, a rule of an HTTPRoute.
#[derive(Clone, Copy)]
pub struct RouteRule<'a> {
    pub json: &'a Value,
    index: usize,
    provider: Provider,
}

/// How a rule points to the production Service.
pub struct ToProduction {
    /// The Service's port, if the rule names one, or if there is only one.
    pub port: Option<Value>,
    /// Where else it sends requests.
    pub also_points_to: Option<String>,
    /// Is it limited to methods that change nothing?
    pub reads_only: bool,
}

impl<'a> RouteObject<'a> {
    pub fn meta(self) -> &'a ObjectMeta {
        match self {
            Self::VirtualService(route) => &route.metadata,
            Self::HTTPRoute(route) => &route.metadata,
        }
    }

    fn spec(self) -> &'a Value {
        match self {
            Self::VirtualService(route) => &route.spec,
            Self::HTTPRoute(route) => &route.spec,
        }
    }

    /// Which API it belongs to.
    pub fn provider(self) -> Provider {
        match self {
            Self::VirtualService(_) => Provider::Istio,
            Self::HTTPRoute(_) => Provider::GatewayApi,
        }
    }

    /// The field manager that last wrote its spec, other than the controller.
    pub fn last_manager(self) -> Option<&'a str> {
        match self {
            Self::VirtualService(route) => route.last_manager.as_deref(),
            Self::HTTPRoute(route) => route.last_manager.as_deref(),
        }
    }

    /// Did this `KanaryDeployment` make it? It makes no HTTPRoutes.
    pub fn is_ours(self, seen: &Observed) -> bool {
        match self {
            Self::VirtualService(route) => route.namespace() == seen.kanary.namespace() && seen.is_ours(route),
            Self::HTTPRoute(_) => false,
        }
    }

    /// Is it being deleted?
    pub fn is_terminating(self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    pub fn name(self) -> &'a str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    pub fn namespace(self) -> &'a str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// The resourceVersion that guards a write.
    pub fn version(self) -> &'a str {
        self.meta().resource_version.as_deref().unwrap_or_default()
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::VirtualService(_) => Kind::VirtualService,
            Self::HTTPRoute(_) => Kind::HTTPRoute,
        }
    }

    pub fn target(self) -> Target {
        Target { kind: self.kind(), name: self.name().to_owned() }
    }

    /// `VirtualService/web`, as the status names it.
    pub fn id(self) -> String {
        format!("{}/{}", self.kind().as_str(), self.name())
    }

    /// `VirtualService web`, as a message names it; with its namespace if that is not `home`.
    pub fn title(self, home: &str) -> String {
        let namespace = if self.namespace() == home { String::new() } else { format!("{}/", self.namespace()) };
        format!("{} {namespace}{}", self.kind().as_str(), self.name())
    }

    /// Its rules, in order.
    pub fn rules(self) -> impl Iterator<Item = RouteRule<'a>> {
        let provider = self.provider();
        let list = items(self.spec(), RouteRule::list(provider));
        list.iter().enumerate().map(move |(index, json)| RouteRule { json, index, provider })
    }
}

impl<'a> RouteRule<'a> {
    fn list(provider: Provider) -> &'static str {
        match provider {
            Provider::Istio => "http",
            Provider::GatewayApi => "rules",
        }
    }

    /// Its name, if it has one.
    pub fn name(self) -> Option<&'a str> {
        text(self.json, "name")
    }

    /// `route shop`, as a message names it.
    pub fn title(self) -> String {
        let noun = match self.provider {
            Provider::Istio => "route",
            Provider::GatewayApi => "rule",
        };
        self.name().map_or_else(|| format!("an unnamed {noun}"), |name| format!("{noun} {name}"))
    }

    /// JSON pointer to one of its fields.
    pub fn pointer(self, field: &str) -> String {
        format!("/spec/{}/{}/{field}", Self::list(self.provider), self.index)
    }
}

/// The kind and the name in [`RouteObject::id`].
pub fn kind_and_name(id: &str) -> Option<(Kind, String)> {
    let (kind, name) = id.split_once('/')?;
    let kinds = [Kind::VirtualService, Kind::HTTPRoute];
    kinds.into_iter().find(|known| known.as_str() == kind).map(|kind| (kind, name.to_owned()))
}

/// Are all of these methods such as change nothing? None at all means any method.
pub fn are_reads<'a>(mut methods: impl Iterator<Item = Option<&'a str>>) -> bool {
    const READS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
    let first = methods.next();
    let is_read = |method: Option<&str>| method.is_some_and(|method| READS.contains(&method));
    first.is_some_and(is_read) && methods.all(is_read)
}
