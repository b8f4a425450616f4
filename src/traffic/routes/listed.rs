//! Is it known which routes there are? If not, nothing can be said about them, and the finalizer must stay.

use crate::{
    api::{Explanation, Provider, Reason, Source},
    decision::Observed,
    objects::{Listed, Unavailable},
};

const VIRTUAL_SERVICES: &str = "virtualservices.networking.istio.io";
const HTTP_ROUTES: &str = "httproutes.gateway.networking.k8s.io";

/// Why the routes that a source needs are not known. With Istio that includes HTTPRoutes, which may shadow a
/// VirtualService.
pub fn unknown_reason(seen: &Observed, provider: Provider, source: Source) -> Option<Explanation> {
    let routes = &seen.routes;
    match provider {
        Provider::Istio => no_mesh(&routes.virtual_services, "Istio", VIRTUAL_SERVICES, source)
            .or_else(|| not_listed(&routes.http_routes, HTTP_ROUTES)),
        Provider::GatewayApi => no_mesh(&routes.http_routes, "the Gateway API", HTTP_ROUTES, source),
    }
}

fn no_mesh<K>(listed: &Listed<K>, mesh: &str, crd: &str, source: Source) -> Option<Explanation> {
    let why = match listed.unavailable() {
        Some(Unavailable::NoCrd) => format!("CustomResourceDefinition {crd} is not installed; install {mesh}"),
        Some(Unavailable::NotServed) => {
            format!("CustomResourceDefinition {crd} does not serve version v1; upgrade {mesh}")
        }
        None | Some(Unavailable::NotPermitted | Unavailable::Loading | Unavailable::NotAsked) => {
            return not_listed(listed, crd);
        }
    };
    let message = format!("spec.traffic.source: {} needs {mesh}, but {why}, or use another source", source.as_str());
    Some(Explanation::new(Reason::NoMesh, message))
}

fn not_listed<K>(listed: &Listed<K>, crd: &str) -> Option<Explanation> {
    let (reason, message) = match listed.unavailable()? {
        Unavailable::NotPermitted => (
            Reason::NotPermitted,
            format!("the controller's ServiceAccount may not list {crd}; compare its roles with deploy/rbac.yaml"),
        ),
        Unavailable::Loading | Unavailable::NotAsked => {
            (Reason::RoutesNotListed, format!("waiting for the list of {crd}"))
        }
        Unavailable::NoCrd | Unavailable::NotServed => return None,
    };
    Some(Explanation::new(reason, message))
}

/// Is it known of both kinds where our entries are? What does not exist has none; nor has what the controller may not
/// write, unless the permission was withdrawn meanwhile.
pub fn is_known(seen: &Observed, provider: Provider) -> bool {
    is_kind_known(&seen.routes.virtual_services, provider == Provider::Istio)
        && is_kind_known(&seen.routes.http_routes, provider == Provider::GatewayApi)
}

fn is_kind_known<K>(listed: &Listed<K>, is_in_use: bool) -> bool {
    match listed.unavailable() {
        None | Some(Unavailable::NoCrd | Unavailable::NotServed) => true,
        Some(Unavailable::NotPermitted) => !is_in_use,
        Some(Unavailable::Loading | Unavailable::NotAsked) => false,
    }
}

/// Is it known from the API server itself? What was written with a lost answer may not be in the store yet.
pub fn is_verified(seen: &Observed, provider: Provider) -> bool {
    seen.routes.is_fresh && is_known(seen, provider)
}
