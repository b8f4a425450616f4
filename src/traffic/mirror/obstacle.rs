//! Why traffic cannot be mirrored as requested, and how to fix it. A mirror that has no effect is never taken for one.

use serde_json::json;

use super::{
    effect,
    entry::{MirrorRoute, MirrorRule},
    targets::{Mirror, host_owner},
};
use crate::{
    api::{Explanation, Provider, Reason, Source},
    objects::{HTTPRoute, Object, VirtualService},
    traffic::routes::{gateway, istio, listed},
};

/// One check: what is in the way, if anything.
type Check = fn(&Mirror) -> Option<Explanation>;

/// In this order: the first that fails is reported.
const CHECKS: [Check; 7] = [
    // Nothing can be said about routes that are not known.
    unknown_reason,
    // Of the routes of a host the mesh applies one and ignores the others silently.
    shadowed,
    // An object or a rule that the settings name must exist and point to the production Service.
    not_found,
    // A route in another namespace gets requests that ours never sees.
    in_other_namespace,
    // Nothing points to the production Service, and a VirtualService of our own would have no effect.
    no_route,
    // A rule cannot contain our entry, or must be named explicitly.
    refused,
    // No request takes a rule that would contain it.
    effect::obstacle,
];

/// What is in the way of a mirror, if one is requested.
pub fn find(mirror: &Mirror) -> Option<Explanation> {
    if !mirror.is_requested {
        return None;
    }
    CHECKS.iter().find_map(|check| check(mirror))
}

/// Why the routes are not known.
pub fn unknown_reason(mirror: &Mirror) -> Option<Explanation> {
    listed::unknown_reason(mirror.seen, mirror.settings.provider, Source::Mirror)
}

fn shadowed(mirror: &Mirror) -> Option<Explanation> {
    let route = gateway::route_of_service(mirror.seen)?;
    match mirror.settings.provider {
        Provider::Istio => Some(shadowed_by_http_route(mirror, route)),
        Provider::GatewayApi => shadowed_by_virtual_service(mirror, route),
    }
}

/// Between the two kinds the older object wins (measured).
fn shadowed_by_virtual_service(mirror: &Mirror, route: &HTTPRoute) -> Option<Explanation> {
    let is_route = |name: &str, namespace: &str| name == route.name() && namespace == route.namespace();
    if !mirror.targets().any(|(target, _)| is_route(target.object.name(), target.object.namespace())) {
        return None;
    }
    let older = older_host_owner(mirror, route)?;
    let message = format!(
        "VirtualService {}/{} claims the host of Service {} and is older than HTTPRoute {}, so the mesh ignores the HTTPRoute; \
         use spec.traffic.mirror.provider: istio, or remove the VirtualService",
        older.namespace(),
        older.name(),
        mirror.service(),
        route.name(),
    );
    Some(Explanation::new(Reason::VirtualServiceWins, message))
}

fn older_host_owner<'a>(mirror: &Mirror<'a>, route: &HTTPRoute) -> Option<&'a VirtualService> {
    let created = route.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let mut all = mirror.seen.routes.virtual_services.iter();
    all.find(|other| {
        !other.is_terminating()
            && istio::claims_host(mirror.seen, other)
            && other.metadata.creation_timestamp.as_ref().map(|time| time.0) < created
    })
}

fn shadowed_by_http_route(mirror: &Mirror, route: &HTTPRoute) -> Explanation {
    let message = format!(
        "HTTPRoute {}/{} has Service {} as its parent, so the mesh ignores VirtualServices for that Service; \
         use spec.traffic.mirror.provider: gateway-api, or remove that parentRef",
        route.namespace(),
        route.name(),
        mirror.service(),
    );
    Explanation::new(Reason::HTTPRouteWins, message)
}

fn not_found(mirror: &Mirror) -> Option<Explanation> {
    let (name, rules) = mirror.named()?;
    let (kind, field, reason) = match mirror.settings.provider {
        Provider::Istio => ("VirtualService", "virtualService", Reason::VirtualServiceNotFound),
        Provider::GatewayApi => ("HTTPRoute", "httpRoute", Reason::HTTPRouteNotFound),
    };
    let mut routes = mirror.routes.iter().filter(|route| route.object.provider() == mirror.settings.provider);
    let Some(route) = routes.find(|route| mirror.selects_object(route)) else {
        let home = mirror.seen.kanary.namespace();
        let message = format!("spec.traffic.mirror.{field}: {kind} {name} does not exist in namespace {home}");
        return Some(Explanation::new(reason, message));
    };
    let targets = || route.rules.iter().filter(|rule| rule.desired.is_some());
    let absent = rules.iter().find(|name| !targets().any(|rule| rule.rule.name() == Some(name.as_str())))?;
    let (noun, service) = (noun(mirror.settings.provider), mirror.service());
    let message =
        format!("spec.traffic.mirror.{field}: {kind} {name} has no {noun} {absent} that points to Service {service}");
    Some(Explanation::new(Reason::RouteNotFound, message))
}

/// What a rule is called in the objects of this provider.
fn noun(provider: Provider) -> &'static str {
    match provider {
        Provider::Istio => "route",
        Provider::GatewayApi => "rule",
    }
}

fn in_other_namespace(mirror: &Mirror) -> Option<Explanation> {
    let foreign = mirror.routes.iter().find(|route| !mirror.is_home(route) && route.points_to_production())?;
    let (title, service, home) = (mirror.title(foreign), mirror.service(), mirror.seen.kanary.namespace());
    let message = format!(
        "{title} points to Service {service} too, and Kanary does not change objects in other namespaces; move it to \
         {home}, or have it delegate to a route there"
    );
    Some(Explanation::new(Reason::ForeignRoute, message))
}

fn no_route(mirror: &Mirror) -> Option<Explanation> {
    if mirror.needs_own_route || mirror.targets().next().is_some() {
        return None;
    }
    effect::not_http(mirror).or_else(|| host_taken(mirror)).or_else(|| Some(nothing_points_there(mirror)))
}

fn host_taken(mirror: &Mirror) -> Option<Explanation> {
    if mirror.named().is_some() || mirror.settings.provider != Provider::Istio {
        return None;
    }
    let owner = host_owner(mirror.seen)?;
    let message = format!(
        "VirtualService {}/{} claims the host of Service {}, but none of its http routes points there; add one",
        owner.namespace(),
        owner.name(),
        mirror.service(),
    );
    Some(Explanation::new(Reason::HostTaken, message))
}

fn nothing_points_there(mirror: &Mirror) -> Explanation {
    let (kind, rule) = match mirror.settings.provider {
        Provider::Istio => ("VirtualService", "an http route"),
        Provider::GatewayApi => ("HTTPRoute", "a rule"),
    };
    let subject = match mirror.named() {
        Some((name, _)) => format!("{kind} {name} does not have"),
        None => format!("no {kind} in this namespace has"),
    };
    let service = mirror.service();
    let message = format!("{subject} {rule} that points to Service {service}; add one, or use another source");
    Explanation::new(Reason::NoRoute, message)
}

fn refused(mirror: &Mirror) -> Option<Explanation> {
    mirror.targets().find_map(|(route, rule)| {
        let desired = rule.desired.as_ref()?;
        desired.refusal.clone().or_else(|| split(mirror, route, rule))
    })
}

/// Requests to the other Service would be mirrored as well; to name the rule says that this is intended.
fn split(mirror: &Mirror, route: &MirrorRoute, rule: &MirrorRule) -> Option<Explanation> {
    let other = rule.desired.as_ref()?.also_points_to.as_ref()?;
    if mirror.names(rule.rule) {
        return None;
    }
    let message = format!(
        "{}: points to {other} too, so its requests would be mirrored as well; {}",
        mirror.rule_title(route, rule),
        named_explicitly(mirror, route, rule),
    );
    Some(Explanation::new(Reason::SplitRoute, message))
}

/// What names a rule in the settings. One without a name gets one first, by a patch that says which rule it is about.
fn named_explicitly(mirror: &Mirror, route: &MirrorRoute, rule: &MirrorRule) -> String {
    let (noun, object) = (noun(mirror.settings.provider), route.object);
    let (field, list, resource) = match mirror.settings.provider {
        Provider::Istio => ("virtualService", "routes", "virtualservices.networking.istio.io"),
        Provider::GatewayApi => ("httpRoute", "rules", "httproutes.gateway.networking.k8s.io"),
    };
    if rule.rule.name().is_some() {
        return format!("if that is intended, name the {noun}s to mirror in spec.traffic.mirror.{field}.{list}");
    }
    let name = free_name(route, mirror.service());
    let patch = json!([{"op": "add", "path": rule.rule.pointer("name"), "value": name}]);
    let settings = json!({ (field): {"name": object.name(), (list): [name]} });
    format!(
        "if that is intended, give the {noun} a name: kubectl patch {resource} {} -n {} --type=json -p '{patch}'; then name \
         it, and each other {noun} to mirror, in spec.traffic.mirror: {settings}",
        object.name(),
        object.namespace(),
    )
}

/// A name that no other rule of the object has.
fn free_name(route: &MirrorRoute, service: &str) -> String {
    let is_taken = |name: &str| route.rules.iter().any(|other| other.rule.name() == Some(name));
    let numbered = (2..).map(|number| format!("{service}-{number}"));
    let mut names = std::iter::once(service.to_owned()).chain(numbered);
    names.find(|name| !is_taken(name)).unwrap_or_else(|| service.to_owned())
}
