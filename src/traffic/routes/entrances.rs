//! Where requests enter the `http` routes of a VirtualService, and which of these routes they can take.
//!
//! As istiod does it (measured): the routes of a host are tried in order, one that matches everything ends the list, and
//! inside the mesh they apply to ports of HTTP only.

use std::{cmp::Reverse, ptr};

use serde_json::Value;

use super::{hosts, istio, json::items, protocol};
use crate::{
    decision::Observed,
    objects::{Object, VirtualService},
};

/// Where requests enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// The proxy of a client in the mesh; at this port of the production Service, or at one that is not known.
    Mesh(Option<i32>),
    /// A gateway, `namespace/name`.
    Gateway(String),
}

/// Does a match apply to requests of an entrance?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Applies {
    /// To none.
    No,
    /// To those of some clients.
    Some,
    /// To all that it matches otherwise.
    All,
}

/// Where requests enter, by the hosts and gateways of a VirtualService, or of those that delegate to it.
pub fn of(seen: &Observed, route: &VirtualService) -> Vec<Entrance> {
    let is_delegate = items(&route.spec, "hosts").is_empty();
    if !is_delegate {
        return own(seen, route);
    }
    // One that delegates to it may be in a namespace that the controller cannot read.
    let mut roots = istio::roots(seen, route).peekable();
    if roots.peek().is_none() {
        vec![Entrance::Mesh(None)]
    } else {
        roots.flat_map(|(root, _)| own(seen, root)).collect()
    }
}

fn own(seen: &Observed, route: &VirtualService) -> Vec<Entrance> {
    if items(&route.spec, "exportTo").iter().any(|to| to == "~") {
        return Vec::new();
    }
    let gateways = items(&route.spec, "gateways");
    let at_edge = gateways.iter().filter(|name| *name != istio::MESH).filter_map(Value::as_str);
    let mut all: Vec<Entrance> = at_edge.map(|name| Entrance::Gateway(full(name, route))).collect();
    if gateways.is_empty() || gateways.iter().any(|name| name == istio::MESH) {
        all.extend(in_mesh(seen, route));
    }
    all
}

/// `edge` is a Gateway of the VirtualService's own namespace.
fn full(gateway: &str, route: &VirtualService) -> String {
    if gateway.contains('/') { gateway.to_owned() } else { format!("{}/{gateway}", route.namespace()) }
}

fn in_mesh(seen: &Observed, route: &VirtualService) -> Vec<Entrance> {
    let is_production = |host: &Value| host.as_str().is_some_and(|host| is_host(seen, route, host));
    if !items(&route.spec, "hosts").iter().all(is_production) {
        return vec![Entrance::Mesh(None)];
    }
    let ports = seen.service().into_iter().flat_map(|service| &service.spec.ports);
    ports.filter(|port| protocol::is_http(port)).map(|port| Entrance::Mesh(Some(port.port))).collect()
}

/// Is it a name of the production Service, and of nothing else?
fn is_host(seen: &Observed, route: &VirtualService, host: &str) -> bool {
    let service = seen.kanary.spec.service_name.as_deref().unwrap_or_default();
    let service = (service, seen.kanary.namespace());
    !host.starts_with('*') && hosts::catches(host, route.namespace(), service, &seen.routes.domain)
}

/// Can requests of an entrance take this `http` route; if not, which one before it takes them all, if one does?
pub fn reaches(entrance: &Entrance, route: &VirtualService, http: &Value) -> Result<(), Option<usize>> {
    for (index, other) in items(&route.spec, "http").iter().enumerate() {
        let matches = items(other, "match");
        if ptr::eq(other, http) {
            let applies = matches.is_empty() || matches.iter().any(|one| applies(entrance, route, one) != Applies::No);
            return if applies { Ok(()) } else { Err(None) };
        }
        let takes_all = |one: &Value| applies(entrance, route, one) == Applies::All && is_any_request(one);
        // One that delegates is replaced by the routes of its delegate, which may be fewer.
        if other.get("delegate").is_none() && (matches.is_empty() || matches.iter().any(takes_all)) {
            return Err(Some(index));
        }
    }
    Err(None)
}

fn applies(entrance: &Entrance, route: &VirtualService, one: &Value) -> Applies {
    let gateways = items(one, "gateways");
    let is_named = |name: &Value| match entrance {
        Entrance::Mesh(_) => name == istio::MESH,
        Entrance::Gateway(own) => name.as_str().is_some_and(|name| full(name, route) == *own),
    };
    if !gateways.is_empty() && !gateways.iter().any(is_named) {
        return Applies::No;
    }
    let port = one.get("port").and_then(Value::as_i64);
    match (entrance, port) {
        (Entrance::Mesh(Some(own)), Some(port)) if i64::from(*own) != port => Applies::No,
        (Entrance::Mesh(None) | Entrance::Gateway(_), Some(_)) => Applies::Some,
        _ if is_set(one, "sourceLabels") || is_set(one, "sourceNamespace") => Applies::Some,
        _ => Applies::All,
    }
}

/// Apart from where requests come from: does a match let all of them pass?
fn is_any_request(one: &Value) -> bool {
    const OF_ORIGIN: [&str; 7] =
        ["name", "gateways", "port", "sourceLabels", "sourceNamespace", "statPrefix", "ignoreUriCase"];
    let conditions = one.as_object().into_iter().flatten();
    let conditions = conditions.filter(|(field, _)| !OF_ORIGIN.contains(&field.as_str()) && is_set(one, field));
    conditions.into_iter().all(|(field, value)| match field.as_str() {
        "uri" => is_any_text(value, "/"),
        "authority" | "method" | "scheme" => is_any_text(value, ""),
        _ => false,
    })
}

/// Is a match met by every text that begins like that?
fn is_any_text(value: &Value, beginning: &str) -> bool {
    let is_prefix = |text: &str| beginning.starts_with(text);
    let is_regex = |text: &str| {
        let text = text.trim_start_matches(['^', '(']).trim_end_matches(['$', ')']);
        text.strip_prefix(beginning).is_some_and(|rest| rest == ".*") || matches!(text, ".*" | ".+")
    };
    let prefix = value.get("prefix").and_then(Value::as_str);
    prefix.is_some_and(is_prefix) || value.get("regex").and_then(Value::as_str).is_some_and(is_regex)
}

fn is_set(one: &Value, field: &str) -> bool {
    match one.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// Is the full name of the production Service, which most clients use, its only host?
pub fn has_only_full_host(seen: &Observed, route: &VirtualService) -> bool {
    let production = production(seen);
    let mut hosts = hosts_of(seen, route).peekable();
    hosts.peek().is_some() && hosts.all(|host| host == production)
}

fn production(seen: &Observed) -> String {
    let service = seen.kanary.spec.service_name.as_deref().unwrap_or_default();
    hosts::full(service, seen.kanary.namespace(), &seen.routes.domain)
}

fn hosts_of(seen: &Observed, route: &VirtualService) -> impl Iterator<Item = String> {
    let hosts = items(&route.spec, "hosts").iter().filter_map(Value::as_str);
    hosts.map(|host| hosts::resolve(host, route.namespace(), &seen.routes.domain))
}

/// Of several VirtualServices of the production Service's host: which one does the mesh apply to requests at this port?
/// An exact host goes before a wildcard, the older object before the younger one; one without a route for the port does not
/// count.
pub fn winner(seen: &Observed, port: i32, counts: impl Fn(&VirtualService) -> bool) -> Option<&VirtualService> {
    let all = seen.routes.virtual_services.iter().filter(|route| counts(route));
    let claims = all.filter_map(|route| Some((rank(seen, route)?, route)));
    let entrance = Entrance::Mesh(Some(port));
    let has_route =
        |route: &VirtualService| items(&route.spec, "http").iter().any(|http| reaches(&entrance, route, http).is_ok());
    claims.filter(|(_, route)| has_route(route)).min_by(|one, other| one.0.cmp(&other.0)).map(|(_, route)| route)
}

/// Its place among those that claim the host of the production Service in the mesh, for all clients.
fn rank<'a>(
    seen: &Observed,
    route: &'a VirtualService,
) -> Option<(Reverse<usize>, Option<jiff::Timestamp>, &'a str, &'a str)> {
    let exports = items(&route.spec, "exportTo");
    let gateways = items(&route.spec, "gateways");
    let is_public = exports.is_empty() || exports.iter().any(|to| to == "*");
    if !is_public || !(gateways.is_empty() || gateways.iter().any(|name| name == istio::MESH)) {
        return None;
    }
    let production = production(seen);
    let exactness = hosts_of(seen, route).filter_map(|host| match host.strip_prefix('*') {
        Some(suffix) => production.ends_with(suffix).then_some(suffix.len()),
        None => (host == production).then_some(usize::MAX),
    });
    let created = route.metadata.creation_timestamp.as_ref().map(|time| time.0);
    Some((Reverse(exactness.max()?), created, route.name(), route.namespace()))
}
