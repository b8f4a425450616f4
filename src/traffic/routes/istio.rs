//! VirtualServices: which of their routes point to the production Service, and which hosts they claim.
//!
//! A route counts whatever the `hosts` and `gateways` of its VirtualService are; a delegate has neither.

use serde_json::Value;

use super::{
    hosts,
    json::{items, text},
    object::{self, ToProduction},
};
use crate::{
    decision::Observed,
    objects::{Object, VirtualService},
};

/// What stands for the proxies of all clients, among gateways.
pub const MESH: &str = "mesh";

/// How an `http` route points to the production Service, if it does.
pub fn to_production(seen: &Observed, route: &VirtualService, http: &Value) -> Option<ToProduction> {
    if !sends(http) {
        return None;
    }
    let production = full(seen, seen.kanary.spec.service_name.as_deref()?);
    let is_production = |to: &Value| host_of(seen, route, to).as_ref() == Some(&production);
    let all = items(http, "route");
    let ours = all.iter().find(|to| is_production(to))?;
    let other = all.iter().find(|to| !is_production(to) && weight(to, all.len()) > 0);
    let methods = items(http, "match").iter().map(|one| one.pointer("/method/exact").and_then(Value::as_str));
    Some(ToProduction {
        port: ours.pointer("/destination/port/number").cloned(),
        also_points_to: other.map(|to| host_of(seen, route, to).unwrap_or_default()),
        reads_only: object::are_reads(methods),
    })
}

/// Does a route send requests to its destinations? One of these answers for itself, whatever destinations it has as well.
pub fn sends(http: &Value) -> bool {
    !["redirect", "directResponse", "delegate"].iter().any(|field| http.get(field).is_some_and(|own| !own.is_null()))
}

/// How much of the requests a destination gets. Of a single one the default is all.
pub fn weight(to: &Value, destinations: usize) -> i64 {
    let default = if destinations == 1 { 100 } else { 0 };
    to.get("weight").and_then(Value::as_i64).unwrap_or(default)
}

/// Does the `destination` in this reference mean this Service of the `KanaryDeployment`'s namespace?
pub fn points_to(seen: &Observed, route: &VirtualService, reference: &Value, service: &str) -> bool {
    host_of(seen, route, reference).is_some_and(|host| host == full(seen, service))
}

fn full(seen: &Observed, service: &str) -> String {
    hosts::full(service, seen.kanary.namespace(), &seen.routes.domain)
}

/// The full name that the `destination` in this reference means.
pub fn host_of(seen: &Observed, route: &VirtualService, reference: &Value) -> Option<String> {
    let host = reference.pointer("/destination/host").and_then(Value::as_str)?;
    Some(hosts::resolve(host, route.namespace(), &seen.routes.domain))
}

/// The `http` routes of other VirtualServices that delegate to this one.
pub fn roots<'a>(
    seen: &'a Observed,
    delegate: &'a VirtualService,
) -> impl Iterator<Item = (&'a VirtualService, &'a Value)> {
    let all = seen.routes.virtual_services.iter();
    let routes = all.flat_map(|root| items(&root.spec, "http").iter().map(move |http| (root, http)));
    routes.filter(|(root, http)| delegates_to(root, http, delegate))
}

fn delegates_to(root: &VirtualService, http: &Value, delegate: &VirtualService) -> bool {
    let Some(to) = http.get("delegate") else { return false };
    text(to, "name") == Some(delegate.name())
        && text(to, "namespace").unwrap_or(root.namespace()) == delegate.namespace()
}

/// Do requests reach this `http` route through a gateway, perhaps by delegation?
pub fn is_reached_by_gateway(seen: &Observed, route: &VirtualService, http: &Value) -> bool {
    goes_through_gateway(route, http) || roots(seen, route).any(|(root, http)| goes_through_gateway(root, http))
}

/// The gateways of a match go before those of the VirtualService.
fn goes_through_gateway(route: &VirtualService, http: &Value) -> bool {
    let is_any_a_gateway = |names: &[Value]| names.iter().any(|name| name != MESH);
    let all = items(&route.spec, "gateways");
    let matches = items(http, "match");
    let of = |one: &Value| match items(one, "gateways") {
        [] => is_any_a_gateway(all),
        own => is_any_a_gateway(own),
    };
    if matches.is_empty() { is_any_a_gateway(all) } else { matches.iter().any(of) }
}

/// Does this VirtualService claim the host of the production Service, as clients inside the mesh call it?
pub fn claims_host(seen: &Observed, route: &VirtualService) -> bool {
    let Some(service) = seen.kanary.spec.service_name.as_deref() else { return false };
    let gateways = items(&route.spec, "gateways");
    if !gateways.is_empty() && !gateways.iter().any(|gateway| gateway == MESH) {
        return false;
    }
    let service = (service, seen.kanary.namespace());
    let mut hosts = items(&route.spec, "hosts").iter().filter_map(Value::as_str);
    hosts.any(|host| hosts::catches(host, route.namespace(), service, &seen.routes.domain))
}
