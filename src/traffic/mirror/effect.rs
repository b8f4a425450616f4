//! Why a mirror that is in its place would copy nothing: no request takes a route that has it.
//!
//! Only what objects show. What they do not (clients outside the mesh, a Gateway that does not exist, a Sidecar that hides
//! routes) is in docs/mirror.md.

use k8s_openapi::api::core::v1::ServicePort;
use serde_json::Value;

use super::{
    entry::{MirrorRoute, MirrorRule},
    targets::Mirror,
};
use crate::{
    api::{Explanation, Reason},
    objects::{HTTPRoute, Object, Service, VirtualService},
    traffic::routes::{
        entrances::{self, Entrance},
        gateway,
        object::RouteObject,
        protocol,
    },
};

/// Why none of the targets would be taken by any request; nothing, if one is.
pub fn obstacle(mirror: &Mirror) -> Option<Explanation> {
    if mirror.needs_own_route {
        return not_http(mirror);
    }
    let mut first = None;
    for (route, rule) in mirror.targets() {
        let why = of_rule(mirror, route, rule)?;
        first.get_or_insert(why);
    }
    first
}

/// If no port of the production Service is routed as HTTP.
pub fn not_http(mirror: &Mirror) -> Option<Explanation> {
    let service = mirror.seen.service()?;
    let ports: Vec<&ServicePort> = service.spec.ports.iter().collect();
    if ports.iter().any(|port| protocol::is_http(port)) { None } else { Some(no_http_port(service, &ports)) }
}

/// The ports whose requests are not copied, because `http` routes do not apply to them; as a message names them.
pub fn uncopied_ports(mirror: &Mirror) -> Vec<String> {
    let Some(service) = mirror.seen.service() else { return Vec::new() };
    let is_of_mesh = |route: &MirrorRoute| match route.object {
        RouteObject::VirtualService(route) => {
            entrances::of(mirror.seen, route).iter().any(|entrance| matches!(entrance, Entrance::Mesh(Some(_))))
        }
        RouteObject::HTTPRoute(route) => gateway::mesh_ports(route, service).is_some(),
    };
    if !mirror.targets().any(|(route, _)| is_of_mesh(route)) {
        return Vec::new();
    }
    service.spec.ports.iter().filter(|port| !protocol::is_http(port)).map(protocol::title).collect()
}

fn of_rule(mirror: &Mirror, route: &MirrorRoute, rule: &MirrorRule) -> Option<Explanation> {
    let of_object = || match route.object {
        RouteObject::VirtualService(object) => {
            aborted(rule.rule.json).or_else(|| of_virtual_service(mirror, object, rule.rule.json))
        }
        RouteObject::HTTPRoute(object) => of_http_route(mirror, object),
    };
    let why = absent_port(mirror, rule).or_else(of_object)?;
    Some(why.prefixed(&format!("{}: ", mirror.rule_title(route, rule))))
}

/// A reference to a port that the Service does not have counts as resolved, and goes nowhere.
fn absent_port(mirror: &Mirror, rule: &MirrorRule) -> Option<Explanation> {
    let (service, entry) = (mirror.seen.service()?, &rule.desired.as_ref()?.entry);
    let of_gateway = || entry.pointer("/requestMirror/backendRef/port");
    let number = entry.pointer("/destination/port/number").or_else(of_gateway)?.as_i64()?;
    if service.spec.ports.iter().any(|port| i64::from(port.port) == number) {
        return None;
    }
    let name = service.name();
    Some(unreached(&format!("Service {name} does not have port {number}, to which it points; correct the port")))
}

fn of_http_route(mirror: &Mirror, route: &HTTPRoute) -> Option<Explanation> {
    let service = mirror.seen.service()?;
    let ports = gateway::mesh_ports(route, service)?;
    let is_any_http = ports.iter().any(|port| protocol::is_http(port));
    // A parent with a port that the Service does not have says so itself.
    (!is_any_http && !ports.is_empty()).then(|| no_http_port(service, &ports))
}

/// The answer comes from the proxy, before anything is copied.
fn aborted(http: &Value) -> Option<Explanation> {
    let share = http.pointer("/fault/abort/percentage/value").and_then(Value::as_f64)?;
    let message = "fault.abort answers 100 % of its requests, so none is mirrored; lower fault.abort.percentage";
    (share >= 100.0).then(|| Explanation::new(Reason::RouteUnreached, message))
}

fn of_virtual_service(mirror: &Mirror, route: &VirtualService, http: &Value) -> Option<Explanation> {
    let all = entrances::of(mirror.seen, route);
    let mut why = match &all[..] {
        [] if is_hidden(route) => unreached("exportTo: ~ hides the VirtualService from every proxy; remove that entry"),
        [] => return not_http(mirror),
        _ => unreached("its matches are for gateways or ports at which no request arrives; correct them"),
    };
    for entrance in &all {
        match entrances::reaches(entrance, route, http) {
            Ok(()) => why = outranked(mirror, route, entrance)?,
            Err(Some(index)) => {
                why = unreached(&format!("{} before it matches every request; move it up", ordinal(route, index)));
            }
            Err(None) => {}
        }
    }
    Some(why)
}

fn is_hidden(route: &VirtualService) -> bool {
    route.spec["exportTo"].as_array().is_some_and(|all| all.iter().any(|to| to == "~"))
}

fn unreached(why: &str) -> Explanation {
    Explanation::new(Reason::RouteUnreached, format!("no request takes it, because {why}"))
}

/// `route all`, or `route number 1`, if it has no name.
fn ordinal(route: &VirtualService, index: usize) -> String {
    match route.spec["http"][index]["name"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => format!("route {name}"),
        None => format!("route number {}", index + 1),
    }
}

/// Of the VirtualServices of a host the mesh applies one and ignores the others silently.
fn outranked(mirror: &Mirror, route: &VirtualService, entrance: &Entrance) -> Option<Explanation> {
    let Entrance::Mesh(Some(port)) = entrance else { return None };
    if !entrances::has_only_full_host(mirror.seen, route) {
        return None;
    }
    let is_same = |one: &VirtualService, other: &VirtualService| {
        one.name() == other.name() && one.namespace() == other.namespace()
    };
    // One that another canary made gives way to a user's.
    let winner = entrances::winner(mirror.seen, *port, |other| is_same(other, route) || other.canary().is_none())?;
    let is_target = |target: &MirrorRoute| match target.object {
        RouteObject::VirtualService(target) => is_same(target, winner),
        RouteObject::HTTPRoute(_) => false,
    };
    if mirror.targets().any(|(target, _)| is_target(target)) {
        return None;
    }
    let (namespace, name, service) = (winner.namespace(), winner.name(), mirror.service());
    let message = format!(
        "VirtualService {namespace}/{name} claims the host of Service {service} and goes before it, so the mesh ignores it; \
         route to {service} there, or remove the host from one of the two"
    );
    Some(Explanation::new(Reason::VirtualServiceWins, message))
}

/// None of these ports is HTTP, and requests to no other port could be mirrored.
fn no_http_port(service: &Service, ports: &[&ServicePort]) -> Explanation {
    let (name, ports): (_, Vec<String>) = (service.name(), ports.iter().map(|port| protocol::title(port)).collect());
    let message = format!(
        "Istio does not route port {} of Service {name} as HTTP, and mirrors only HTTP; if it is HTTP, rename the port to http-… or \
         set appProtocol: http, otherwise use another source",
        ports.join(" and ")
    );
    Explanation::new(Reason::NotHTTP, message)
}
