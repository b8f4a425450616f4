//! HTTPRoutes: which of their rules point to the production Service, and at which of its ports the mesh applies them.

use k8s_openapi::api::core::v1::ServicePort;
use serde_json::{Value, json};

use super::{
    json::{items, text},
    object::{self, ToProduction},
};
use crate::{
    decision::Observed,
    objects::{HTTPRoute, Object, Service},
};

/// How a rule points to the production Service, if it does.
pub fn to_production(seen: &Observed, route: &HTTPRoute, rule: &Value) -> Option<ToProduction> {
    let production = seen.kanary.spec.service_name.as_deref()?;
    let all = items(rule, "backendRefs");
    let ours = all.iter().find(|backend| points_to(seen, route, backend, production) && weight(backend) > 0)?;
    let other = all.iter().find(|backend| !points_to(seen, route, backend, production) && weight(backend) > 0);
    let methods = items(rule, "matches").iter().map(|one| text(one, "method"));
    Some(ToProduction {
        port: ours.get("port").cloned().or_else(|| only_port(seen)),
        also_points_to: other.map(|backend| title(seen, route, backend)),
        reads_only: object::are_reads(methods),
    })
}

/// A backend as a message names it. Two Services of one name are in two namespaces, so both say where they are.
fn title(seen: &Observed, route: &HTTPRoute, backend: &Value) -> String {
    let name = text(backend, "name").unwrap_or_default();
    let namespace = text(backend, "namespace").unwrap_or(route.namespace());
    let place = if namespace == seen.kanary.namespace() { String::new() } else { format!("{namespace}/") };
    format!("{} {place}{name}", text(backend, "kind").unwrap_or("Service"))
}

fn weight(backend: &Value) -> i64 {
    backend.get("weight").and_then(Value::as_i64).unwrap_or(1)
}

fn only_port(seen: &Observed) -> Option<Value> {
    match &seen.service()?.spec.ports[..] {
        [only] => Some(json!(only.port)),
        _ => None,
    }
}

/// Does a reference in a route mean this Service of the `KanaryDeployment`'s namespace?
pub fn points_to(seen: &Observed, route: &HTTPRoute, reference: &Value, service: &str) -> bool {
    text(reference, "name") == Some(service)
        && text(reference, "kind").unwrap_or("Service") == "Service"
        && text(reference, "group").is_none()
        && text(reference, "namespace").unwrap_or(route.namespace()) == seen.kanary.namespace()
}

/// An HTTPRoute with the production Service itself as its parent: inside the mesh it shadows a VirtualService.
pub fn route_of_service(seen: &Observed) -> Option<&HTTPRoute> {
    let production = seen.kanary.spec.service_name.as_deref()?;
    seen.routes.http_routes.iter().find(|route| is_parent(seen, route, production))
}

fn is_parent(seen: &Observed, route: &HTTPRoute, service: &str) -> bool {
    let parents = items(&route.spec, "parentRefs").iter();
    let mut services = parents.filter(|parent| text(parent, "kind") == Some("Service"));
    services.any(|parent| points_to(seen, route, &without_core(parent), service))
}

/// The core group is the empty one; some write `core`.
fn without_core(parent: &Value) -> Value {
    let mut parent = parent.clone();
    if parent["group"] == "core" {
        parent["group"] = "".into();
    }
    parent
}

/// The ports of the production Service at which Istio's mesh applies the route; nothing if a gateway or another mesh does.
pub fn mesh_ports<'a>(route: &HTTPRoute, service: &'a Service) -> Option<Vec<&'a ServicePort>> {
    let parents = items(&route.spec, "parentRefs");
    let is_of_mesh =
        |parent: &Value| text(parent, "kind") == Some("Service") && text(parent, "name") == Some(service.name());
    if parents.is_empty() || !parents.iter().all(is_of_mesh) || !is_of_istio(route) {
        return None;
    }
    let is_named = |port: &ServicePort| {
        let mut numbers = parents.iter().map(|parent| parent.get("port").and_then(Value::as_i64));
        numbers.any(|number| number.is_none_or(|number| number == i64::from(port.port)))
    };
    Some(service.spec.ports.iter().filter(|port| is_named(port)).collect())
}

/// Other meshes have other rules for what is HTTP.
fn is_of_istio(route: &HTTPRoute) -> bool {
    let mut controllers = route.status.parents.iter().filter_map(|parent| text(parent, "controllerName"));
    controllers.any(|name| name.starts_with("istio.io/"))
}
