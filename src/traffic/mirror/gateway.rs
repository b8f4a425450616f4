//! HTTPRoutes: which of their rules lead to the production Service, and what these would carry; and whether the route's
//! parents accept it as it is.

use serde_json::{Value, json};

use super::carrier::{self, Carrier, Rule, Wanted, items, text};
use crate::{
    api::{Explanation, Provider, Reason, names},
    decision::{Kind, Observed, Target},
    objects::{HTTPRoute, Object},
};

const GROUP: &str = "gateway.networking.k8s.io";

/// All HTTPRoutes that are here to stay.
pub fn carriers(seen: &Observed) -> Vec<Carrier<'_>> {
    let own = carrier::own_services(seen);
    let all = seen.routes.http_routes.iter();
    all.filter(|route| !route.is_terminating()).map(|route| carrier(seen, route, &own)).collect()
}

fn carrier<'a>(seen: &Observed, route: &'a HTTPRoute, own: &[String]) -> Carrier<'a> {
    let rules = items(&route.spec, "rules").iter().enumerate().map(|(index, json)| rule(seen, route, index, json, own));
    Carrier {
        target: Target { kind: Kind::HTTPRoute, name: route.name().to_owned() },
        namespace: route.namespace(),
        version: route.version(),
        writer: route.last_manager.as_deref(),
        is_own: seen.is_ours(route),
        accepted: accepted(route),
        rules: rules.collect(),
    }
}

fn rule(seen: &Observed, route: &HTTPRoute, index: usize, json: &Value, own: &[String]) -> Rule {
    let backend = |filter: &Value| filter.pointer("/requestMirror/backendRef").cloned().unwrap_or_default();
    let service_of_ours =
        |filter: &Value| own.iter().find(|service| refers_to(seen, route, &backend(filter), service)).cloned();
    let list = ("filters", format!("/spec/rules/{index}/filters"));
    carrier::rule(json, list, wanted(seen, route, json), service_of_ours, |filter, wanted| {
        let same = |field: &str| backend(filter).get(field) == backend(wanted).get(field);
        same("name") && same("port") && percentage(filter) == percentage(wanted)
    })
}

/// In percent; nothing said is all.
fn percentage(filter: &Value) -> Option<f64> {
    let mirror = filter.get("requestMirror")?;
    let Some(fraction) = mirror.get("fraction") else {
        return mirror.get("percent").map_or(Some(100.0), Value::as_f64);
    };
    let part = |field: &str, default| fraction.get(field).map_or(Some(default), Value::as_f64);
    Some(100.0 * part("numerator", 0.0)? / part("denominator", 100.0)?)
}

fn wanted(seen: &Observed, route: &HTTPRoute, rule: &Value) -> Option<Wanted> {
    if seen.kanary.spec.traffic.mirror().provider != Provider::GatewayApi {
        return None;
    }
    let production = seen.kanary.spec.service_name.as_deref()?;
    let leads = |backend: &&Value| refers_to(seen, route, backend, production);
    let all = items(rule, "backendRefs");
    let ours = all.iter().find(leads)?;
    let weight = |backend: &Value| backend.get("weight").and_then(Value::as_i64).unwrap_or(1);
    let other = all.iter().find(|backend| !leads(backend) && weight(backend) > 0);
    let port = ours.get("port").cloned().or_else(|| only_port(seen));
    let methods = items(rule, "matches").iter().map(|one| text(one, "method"));
    Some(Wanted {
        entry: entry(seen, port.as_ref()),
        also_leads_to: other.map(|backend| text(backend, "name").unwrap_or_default().to_owned()),
        refusal: port.is_none().then(|| port_required(seen, route, rule)),
        reads_only: carrier::are_reads(methods),
    })
}

/// All requests is what nothing says, and older CustomResourceDefinitions know no `percent`.
fn entry(seen: &Observed, port: Option<&Value>) -> Value {
    let mut mirror = json!({"backendRef": {"name": names::kanary_service(&seen.kanary), "port": port}});
    let percentage = seen.kanary.spec.traffic.mirror().percentage;
    if percentage != 100 {
        mirror["percent"] = percentage.into();
    }
    json!({"type": "RequestMirror", "requestMirror": mirror})
}

fn only_port(seen: &Observed) -> Option<Value> {
    match &seen.service()?.spec.ports[..] {
        [only] => Some(json!(only.port)),
        _ => None,
    }
}

fn port_required(seen: &Observed, route: &HTTPRoute, rule: &Value) -> Explanation {
    let service = seen.kanary.spec.service_name.as_deref().unwrap_or_default();
    let rule = text(rule, "name").map_or_else(|| "a rule without a name".into(), |name| format!("rule {name}"));
    let route = route.name();
    Explanation::new(
        Reason::PortRequired,
        format!("HTTPRoute {route}, {rule}: set the port of the backendRef to Service {service}"),
    )
}

/// Does a reference in a route mean this Service of the `KanaryDeployment`'s namespace?
fn refers_to(seen: &Observed, route: &HTTPRoute, reference: &Value, service: &str) -> bool {
    text(reference, "name") == Some(service)
        && text(reference, "kind").unwrap_or("Service") == "Service"
        && text(reference, "group").is_none()
        && text(reference, "namespace").unwrap_or(route.namespace()) == seen.kanary.namespace()
}

/// An HTTPRoute that rules over what the mesh's clients send to the production Service: a VirtualService loses to it.
pub fn mesh_route(seen: &Observed) -> Option<&HTTPRoute> {
    let production = seen.kanary.spec.service_name.as_deref()?;
    let is_parent = |route: &HTTPRoute| {
        let mut services =
            items(&route.spec, "parentRefs").iter().filter(|parent| text(parent, "kind") == Some("Service"));
        services.any(|parent| refers_to(seen, route, &without_core(parent), production))
    };
    seen.routes.http_routes.iter().find(|route| !route.is_terminating() && is_parent(route))
}

/// A parent of the core group is written with the group `core` by some.
fn without_core(parent: &Value) -> Value {
    let mut parent = parent.clone();
    if parent["group"] == "core" {
        parent["group"] = "".into();
    }
    parent
}

/// Each parent must have said Accepted and ResolvedRefs of this very generation.
fn accepted(route: &HTTPRoute) -> Result<(), String> {
    let parents = items(&route.spec, "parentRefs");
    if parents.is_empty() {
        return Err("it has no parent".into());
    }
    parents.iter().try_for_each(|parent| accepted_by(route, parent))
}

fn accepted_by(route: &HTTPRoute, parent: &Value) -> Result<(), String> {
    let name = text(parent, "name").unwrap_or_default();
    let mut reports = route.status.parents.iter().filter(|status| is_same_parent(route, &status["parentRef"], parent));
    let silent = || format!("its parent {name} has not answered");
    let report = reports.next().ok_or_else(silent)?;
    ["Accepted", "ResolvedRefs"].into_iter().try_for_each(|type_| {
        let condition = items(report, "conditions").iter().find(|condition| condition["type"] == type_);
        let condition = condition.filter(|c| c["observedGeneration"].as_i64() >= route.metadata.generation);
        let condition = condition.ok_or_else(silent)?;
        let said = || format!("its parent {name} says {type_}: {}", text(condition, "message").unwrap_or_default());
        if condition["status"] == "True" { Ok(()) } else { Err(said()) }
    })
}

fn is_same_parent(route: &HTTPRoute, one: &Value, other: &Value) -> bool {
    let namespace = |parent: &Value| text(parent, "namespace").unwrap_or(route.namespace()).to_owned();
    let with_default = |parent: &Value, field: &str, default: &str| {
        parent.get(field).and_then(Value::as_str).unwrap_or(default).to_owned()
    };
    let same = |field: &str, default: &str| with_default(one, field, default) == with_default(other, field, default);
    same("name", "")
        && same("kind", "Gateway")
        && same("group", GROUP)
        && same("sectionName", "")
        && one.get("port") == other.get("port")
        && namespace(one) == namespace(other)
}
