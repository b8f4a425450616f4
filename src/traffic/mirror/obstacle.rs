//! Why traffic cannot be mirrored as asked, and what to do about it. A mirror that does nothing is never taken for one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Mirror, carrier::Carrier, gateway, istio, own, ruler};
use crate::{
    api::{Explanation, Provider, Reason, Source},
    decision::Observed,
    objects::{HTTPRoute, Listed, Object, Unavailable, VirtualService},
};

/// What stands in the way of a mirror, if one is asked for.
#[must_use]
pub fn obstacle(seen: &Observed) -> Option<Explanation> {
    if seen.kanary.spec.traffic.source != Source::Mirror {
        return None;
    }
    unknown(seen).or_else(|| {
        let mirror = Mirror::of(seen);
        beaten(&mirror)
            .or_else(|| missing(&mirror))
            .or_else(|| elsewhere(&mirror))
            .or_else(|| nowhere(&mirror))
            .or_else(|| refused(&mirror))
    })
}

/// Without a look at the routes nothing can be said. With Istio that includes HTTPRoutes, which may beat a VirtualService.
pub(super) fn unknown(seen: &Observed) -> Option<Explanation> {
    let routes = &seen.routes;
    match seen.kanary.spec.traffic.mirror().provider {
        Provider::Istio => no_mesh(&routes.virtual_services, "Istio", "virtualservices.networking.istio.io")
            .or_else(|| unread(&routes.http_routes, "httproutes.gateway.networking.k8s.io")),
        Provider::GatewayApi => no_mesh(&routes.http_routes, "the Gateway API", "httproutes.gateway.networking.k8s.io"),
    }
}

fn no_mesh<K>(known: &Listed<K>, mesh: &str, crd: &str) -> Option<Explanation> {
    let refuse = |why: &str| {
        Some(Explanation::new(
            Reason::NoMesh,
            format!("spec.traffic.source: mirror needs {mesh}, but {why}; or use another source"),
        ))
    };
    match known.unavailable() {
        Some(Unavailable::NoCrd) => {
            refuse(&format!("its CustomResourceDefinition {crd} is not installed; install {mesh}"))
        }
        Some(Unavailable::NotServed) => refuse(&format!("{crd} is not served in version v1; upgrade {mesh}")),
        None | Some(Unavailable::NotPermitted | Unavailable::Loading | Unavailable::NotAsked) => unread(known, crd),
    }
}

fn unread<K>(known: &Listed<K>, crd: &str) -> Option<Explanation> {
    match known.unavailable() {
        Some(Unavailable::NotPermitted) => Some(Explanation::new(
            Reason::NotPermitted,
            format!("the controller's ServiceAccount may not read {crd}: compare its roles with deploy/rbac.yaml"),
        )),
        Some(Unavailable::Loading | Unavailable::NotAsked) => {
            Some(Explanation::new(Reason::RoutesNotListed, format!("waiting for the list of {crd}")))
        }
        None | Some(Unavailable::NoCrd | Unavailable::NotServed) => None,
    }
}

/// Of the routes of a host the mesh obeys one, in silence.
fn beaten(mirror: &Mirror) -> Option<Explanation> {
    let route = gateway::mesh_route(mirror.seen)?;
    match mirror.settings.provider {
        Provider::Istio => beaten_by_http_route(route),
        Provider::GatewayApi => beaten_by_virtual_service(mirror, route),
    }
}

/// The older one of the two, whichever kind it is (measured).
fn beaten_by_virtual_service(mirror: &Mirror, route: &HTTPRoute) -> Option<Explanation> {
    let is_route = |carrier: &Carrier| carrier.target.name == route.name() && carrier.namespace == route.namespace();
    let made = |meta: &ObjectMeta| meta.creation_timestamp.as_ref().map(|time| time.0);
    let goes_before = |other: &&VirtualService| {
        !other.is_terminating() && istio::rules_over(mirror.seen, other) && made(other.meta()) < made(route.meta())
    };
    let is_aimed_at = mirror.aims().any(|(carrier, _)| is_route(carrier));
    let older = mirror.seen.routes.virtual_services.iter().find(goes_before).filter(|_| is_aimed_at)?;
    Some(Explanation::new(
        Reason::VirtualServiceWins,
        format!(
            "VirtualService {}/{} rules over Service {} and is older than HTTPRoute {}, so the mesh ignores the HTTPRoute; \
             use spec.traffic.mirror.provider: istio, or remove the VirtualService",
            older.namespace(),
            older.name(),
            service(mirror),
            route.name(),
        ),
    ))
}

fn beaten_by_http_route(route: &HTTPRoute) -> Option<Explanation> {
    Some(Explanation::new(
        Reason::HTTPRouteWins,
        format!(
            "HTTPRoute {}/{} has the Service itself as its parent, so the mesh ignores VirtualServices for it; \
             use spec.traffic.mirror.provider: gateway-api, or remove that parent",
            route.namespace(),
            route.name()
        ),
    ))
}

/// An object or a rule that is named must exist and lead to the production Service.
fn missing(mirror: &Mirror) -> Option<Explanation> {
    let (name, rules) = mirror.narrowed()?;
    let (kind, field, reason) = match mirror.settings.provider {
        Provider::Istio => ("VirtualService", "virtualService", Reason::VirtualServiceNotFound),
        Provider::GatewayApi => ("HTTPRoute", "httpRoute", Reason::HTTPRouteNotFound),
    };
    let Some(carrier) = mirror.carriers.iter().find(|c| mirror.means(c) && c.target.kind.as_str() == kind) else {
        return Some(Explanation::new(
            reason,
            format!("spec.traffic.mirror.{field}: there is no {kind} {name} in this namespace"),
        ));
    };
    let leads =
        |name: &String| carrier.rules.iter().any(|rule| rule.name.as_ref() == Some(name) && rule.wanted.is_some());
    let absent = rules.iter().find(|name| !leads(name))?;
    Some(Explanation::new(
        Reason::RouteNotFound,
        format!(
            "spec.traffic.mirror.{field}: {kind} {name} has no route {absent} that leads to Service {}",
            service(mirror)
        ),
    ))
}

fn service<'a>(mirror: &'a Mirror) -> &'a str {
    mirror.seen.kanary.spec.service_name.as_deref().unwrap_or_default()
}

fn leads(carrier: &Carrier) -> bool {
    carrier.rules.iter().any(|rule| rule.wanted.is_some())
}

/// A route in another namespace takes requests that ours would never see.
fn elsewhere(mirror: &Mirror) -> Option<Explanation> {
    let home = mirror.seen.kanary.namespace();
    let foreign = mirror.carriers.iter().find(|carrier| carrier.namespace != home && leads(carrier))?;
    Some(Explanation::new(
        Reason::ForeignRoute,
        format!(
            "{} leads to Service {} too, and Kanary changes nothing in another namespace; move it to {home}, or have it \
             delegate to a route there",
            mirror.title(foreign),
            service(mirror),
        ),
    ))
}

/// Nothing leads to the production Service, and a VirtualService of our own does not serve.
fn nowhere(mirror: &Mirror) -> Option<Explanation> {
    let seen = mirror.seen;
    if mirror.aims().next().is_some() || own::is_wanted(mirror) {
        return None;
    }
    let service = service(mirror);
    let ruler = ruler(seen).filter(|_| mirror.narrowed().is_none() && mirror.settings.provider == Provider::Istio);
    if let Some(ruler) = ruler {
        return Some(Explanation::new(
            Reason::HostTaken,
            format!(
                "VirtualService {}/{} rules over Service {service}, but none of its http routes leads there; give it one",
                ruler.namespace(),
                ruler.name()
            ),
        ));
    }
    let (kind, place) = match mirror.settings.provider {
        Provider::Istio => ("VirtualService", "http route"),
        Provider::GatewayApi => ("HTTPRoute", "rule"),
    };
    let which = mirror
        .narrowed()
        .map_or_else(|| format!("no {kind} of this namespace"), |(name, _)| format!("{kind} {name}: none"));
    Some(Explanation::new(
        Reason::NoRoute,
        format!("{which} has a {place} that leads to Service {service}; make one, or use another source"),
    ))
}

/// A rule that cannot carry our entry, or must be named for it.
fn refused(mirror: &Mirror) -> Option<Explanation> {
    mirror.aims().find_map(|(carrier, rule)| {
        let wanted = rule.wanted.as_ref()?;
        let split = wanted.also_leads_to.as_ref().filter(|_| !mirror.names(rule)).map(|other| {
            Explanation::new(Reason::SplitRoute,
                format!(
                    "{}, {}: leads to {other} too, so its requests would be copied as well; name the routes to mirror in {}",
                    mirror.title(carrier),
                    rule.title(),
                    match mirror.settings.provider {
                        Provider::Istio => "spec.traffic.mirror.virtualService.routes",
                        Provider::GatewayApi => "spec.traffic.mirror.httpRoute.rules",
                    }
                ),
            )
        });
        wanted.refusal.clone().or(split)
    })
}
