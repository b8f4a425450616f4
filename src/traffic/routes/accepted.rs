//! Whether the parents of an HTTPRoute, gateways or meshes, apply it as it is.
//!
//! `Accepted` is required. `ResolvedRefs` is about the whole route: that a backend of another rule does not resolve says
//! nothing about the mirror, which works (measured).

use serde_json::Value;

use super::{
    gateway,
    json::{items, text},
    object::{RouteObject, RouteRule},
};
use crate::{
    api::names,
    decision::Observed,
    objects::{HTTPRoute, Object},
};

const GROUP: &str = "gateway.networking.k8s.io";

/// Reasons for which a parent leaves out single backends. For others, such as a filter that it does not know, it may leave
/// out whole rules.
const OF_BACKENDS: [&str; 4] = ["BackendNotFound", "InvalidKind", "RefNotPermitted", "UnsupportedProtocol"];

/// Does a parent apply the current generation; if none does, what is missing. What a parent reports of backends that are not
/// ours, and which parents do not apply the route, is returned as well.
pub fn by_parents(seen: &Observed, route: &HTTPRoute) -> Result<Option<String>, String> {
    let parents = items(&route.spec, "parentRefs");
    if parents.is_empty() {
        return Err("has no parentRefs, so no gateway or mesh applies it".into());
    }
    let (applied, missing): (Vec<_>, Vec<_>) =
        parents.iter().map(|parent| by(seen, route, parent)).partition(Result::is_ok);
    let missing = missing.into_iter().find_map(Result::err);
    match (applied.is_empty(), missing) {
        (true, Some(missing)) => Err(missing),
        (_, missing) => Ok(applied.into_iter().flatten().flatten().next().or(missing)),
    }
}

fn by(seen: &Observed, route: &HTTPRoute, parent: &Value) -> Result<Option<String>, String> {
    let report = route.status.parents.iter().find(|status| is_same_parent(route, &status["parentRef"], parent));
    let name = text(parent, "name").unwrap_or_default();
    for type_ in ["Accepted", "ResolvedRefs"] {
        let condition = report.and_then(|report| current_condition(route, report, type_));
        let Some(condition) = condition else { return Err(format!("waiting for parent {name} to report {type_}")) };
        let status = text(condition, "status").unwrap_or("Unknown");
        if status == "True" {
            continue;
        }
        let message = text(condition, "message").unwrap_or_default();
        let reported = format!("parent {name} reports {type_}={status}: {message}");
        let others = if type_ == "ResolvedRefs" { others_at_fault(seen, route, condition) } else { None };
        return match others {
            Some(others) => Ok(Some(format!("{others} does not resolve, which the mirror does not need: {reported}"))),
            None => Err(reported),
        };
    }
    Ok(None)
}

/// The reference that does not resolve, with its rule, if it is neither the mirror's nor the production Service.
fn others_at_fault(seen: &Observed, route: &HTTPRoute, condition: &Value) -> Option<String> {
    let message = text(condition, "message").unwrap_or_default();
    let of_backends = text(condition, "reason").is_some_and(|reason| OF_BACKENDS.contains(&reason));
    if !of_backends || names(message, &names::kanary_service(&seen.kanary)) {
        return None;
    }
    let rules = RouteObject::HTTPRoute(route).rules();
    let others: Vec<_> = rules.flat_map(|rule| references(rule).map(move |to| (rule, to))).collect();
    let mut others = others.into_iter().filter(|(_, to)| !is_known(seen, route, to)).peekable();
    let first = others.peek().copied();
    let named = others.find(|(_, to)| text(to, "name").is_some_and(|name| names(message, name)));
    let (rule, to) = named.or(first)?;
    let (kind, name) = (text(to, "kind").unwrap_or("Service"), text(to, "name").unwrap_or_default());
    Some(format!("{kind} {name} in {}", rule.title()))
}

/// What a rule sends requests to, and copies of them.
fn references(rule: RouteRule<'_>) -> impl Iterator<Item = &Value> {
    let backends = items(rule.json, "backendRefs");
    let filters = items(rule.json, "filters").iter().chain(backends.iter().flat_map(|to| items(to, "filters")));
    backends.iter().chain(filters.filter_map(|filter| filter.pointer("/requestMirror/backendRef")))
}

/// Is it the production Service or ours, both of which exist?
fn is_known(seen: &Observed, route: &HTTPRoute, to: &Value) -> bool {
    let own = names::kanary_service(&seen.kanary);
    let mut known = seen.kanary.spec.service_name.iter().chain([&own]);
    known.any(|service| gateway::points_to(seen, route, to, service))
}

/// Is a name of Kubernetes a word of this text?
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == name)
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
