//! Routes of a mesh: which rules of which VirtualServices and HTTPRoutes point to the production Service, and how an entry
//! of ours gets into a list of such a rule and out of it again.
//!
//! What the entry is, is the business of the source that writes it: a mirror writes into `mirrors` or `filters`, and a
//! weight would write into `route` or `backendRefs`. Nothing here knows of either.

mod accepted;
pub mod entrances;
pub mod finalizer;
pub mod gateway;
mod hosts;
pub mod istio;
pub mod json;
pub mod listed;
pub mod object;
pub mod protocol;
pub mod splice;
pub mod subsets;

use object::{RouteObject, RouteRule, ToProduction};
use serde_json::Value;

use crate::{
    api::{KanaryDeployment, names},
    decision::{Kind, Observed},
};

/// Does a resource concern routes? One whose source writes into them does, and one that did and left something behind, such
/// as a VirtualService of its own.
#[must_use]
pub fn concerns(kanary: &KanaryDeployment, has_own: bool) -> bool {
    kanary.spec.traffic.source.writes_routes() || finalizer::is_held(kanary) || has_own
}

/// The routes that a resource names: those that it requests, that it had entries in, and its own.
#[must_use]
pub fn named(kanary: &KanaryDeployment) -> Vec<(Kind, String)> {
    let mirror = kanary.spec.traffic.mirror();
    let own = (Kind::VirtualService, names::virtual_service(kanary));
    let requested = mirror.virtual_service.map(|route| (Kind::VirtualService, route.name));
    let requested = requested.or(mirror.http_route.map(|route| (Kind::HTTPRoute, route.name)));
    let canary = kanary.status.as_ref().and_then(|status| status.canary.as_ref());
    let had = canary.into_iter().flat_map(|canary| &canary.routes).filter_map(|id| object::kind_and_name(id));
    let mut all: Vec<_> = [own].into_iter().chain(requested).chain(had).collect();
    all.sort();
    all.dedup();
    all
}

/// All VirtualServices and HTTPRoutes that are not being deleted.
pub fn all(seen: &Observed) -> impl Iterator<Item = RouteObject<'_>> {
    let virtual_services = seen.routes.virtual_services.iter().map(RouteObject::VirtualService);
    let http_routes = seen.routes.http_routes.iter().map(RouteObject::HTTPRoute);
    virtual_services.chain(http_routes).filter(|object| !object.is_terminating())
}

/// How a rule points to the production Service, if it does.
pub fn to_production(seen: &Observed, object: RouteObject, rule: RouteRule) -> Option<ToProduction> {
    match object {
        RouteObject::VirtualService(route) => istio::to_production(seen, route, rule.json),
        RouteObject::HTTPRoute(route) => gateway::to_production(seen, route, rule.json),
    }
}

/// Does a reference in this object, something with a `destination` or a backendRef, point to this Service of the
/// `KanaryDeployment`'s namespace?
pub fn points_to(seen: &Observed, object: RouteObject, reference: &Value, service: &str) -> bool {
    match object {
        RouteObject::VirtualService(route) => istio::points_to(seen, route, reference, service),
        RouteObject::HTTPRoute(route) => gateway::points_to(seen, route, reference, service),
    }
}

/// Do the gateways and meshes accept the object as it is; if not, what they report. What they report of backends that are
/// not ours is returned as well.
pub fn accepted(seen: &Observed, object: RouteObject) -> Result<Option<String>, String> {
    match object {
        // Istio reports nothing.
        RouteObject::VirtualService(_) => Ok(None),
        RouteObject::HTTPRoute(route) => accepted::by_parents(seen, route),
    }
}
