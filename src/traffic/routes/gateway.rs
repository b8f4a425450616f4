//! HTTPRoutes: which of their rules point to the production Service, and whether the route's parents accept it as it is.

use serde_json::{Value, json};

use super::{
    json::{items, text},
    object::{self, ToProduction},
};
use crate::{
    decision::Observed,
    objects::{HTTPRoute, Object},
};

const GROUP: &str = "gateway.networking.k8s.io";

/// How a rule points to the production Service, if it does.
pub fn to_production(seen: &Observed, route: &HTTPRoute, rule: &Value) -> Option<ToProduction> {
    let production = seen.kanary.spec.service_name.as_deref()?;
    let all = items(rule, "backendRefs");
    let ours = all.iter().find(|backend| points_to(seen, route, backend, production))?;
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
    seen.routes.http_routes.iter().find(|route| !route.is_terminating() && is_parent(seen, route, production))
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

/// Each parent must report Accepted and ResolvedRefs for the current generation; if not, what is missing.
pub fn accepted(route: &HTTPRoute) -> Result<(), String> {
    let parents = items(&route.spec, "parentRefs");
    if parents.is_empty() {
        return Err("has no parentRefs, so no gateway or mesh applies it".into());
    }
    parents.iter().try_for_each(|parent| accepted_by(route, parent))
}

fn accepted_by(route: &HTTPRoute, parent: &Value) -> Result<(), String> {
    let report = route.status.parents.iter().find(|status| is_same_parent(route, &status["parentRef"], parent));
    let name = text(parent, "name").unwrap_or_default();
    for type_ in ["Accepted", "ResolvedRefs"] {
        let condition = report.and_then(|report| current_condition(route, report, type_));
        let Some(condition) = condition else { return Err(format!("waiting for parent {name} to report {type_}")) };
        let status = text(condition, "status").unwrap_or("Unknown");
        if status != "True" {
            let message = text(condition, "message").unwrap_or_default();
            return Err(format!("parent {name} reports {type_}={status}: {message}"));
        }
    }
    Ok(())
}

/// A condition of the current generation.
fn current_condition<'a>(route: &HTTPRoute, report: &'a Value, type_: &str) -> Option<&'a Value> {
    let condition = items(report, "conditions").iter().find(|condition| condition["type"] == type_)?;
    if condition["observedGeneration"].as_i64() >= route.metadata.generation { Some(condition) } else { None }
}

fn is_same_parent(route: &HTTPRoute, one: &Value, other: &Value) -> bool {
    let same = |field, default| field_or(one, field, default) == field_or(other, field, default);
    same("name", "")
        && same("kind", "Gateway")
        && same("group", GROUP)
        && same("sectionName", "")
        && one.get("port") == other.get("port")
        && text(one, "namespace").unwrap_or(route.namespace()) == text(other, "namespace").unwrap_or(route.namespace())
}

fn field_or<'a>(parent: &'a Value, field: &str, default: &'a str) -> &'a str {
    parent.get(field).and_then(Value::as_str).unwrap_or(default)
}
