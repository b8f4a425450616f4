//! Mirrors as users write them, and copies counted where they arrive.

use kanary_e2e::{
    Error, TestNamespace,
    backend::arrivals::Arrival,
    load::{Load, Report},
    mesh::route::Route,
};
use serde_json::{Value, json};

use super::{CANARY, WEB, merged};

/// Enough for a bound that means something.
pub const MANY: usize = 2_000;
/// Enough for all or nothing.
pub const FEW: usize = 40;

/// The VirtualService `web` of production's host, with one route to production, changed by this patch.
pub fn virtual_service(route: Value) -> Value {
    let production = json!({"route": [{"destination": {"host": WEB}}]});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": WEB},
        "spec": {"hosts": [WEB], "http": [merged(production, route)]},
    })
}

/// A change of a VirtualService: it is for this host at the gateway only, not inside the mesh.
pub fn at_the_gateway(host: &str) -> Value {
    json!({"metadata": {"name": "outside"}, "spec": {"hosts": [host], "gateways": ["istio-ingress/ingress"]}})
}

/// One entry of `mirrors`.
pub fn mirror(host: &str, percent: u32) -> Value {
    json!({"destination": {"host": host}, "percentage": {"value": percent}})
}

/// The HTTPRoute `web` with one rule to production, changed by this patch.
pub fn http_route(parent: Value, rule: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": WEB},
        "spec": {"parentRefs": [parent], "rules": [merged(json!({"backendRefs": [{"name": WEB, "port": 80}]}), rule)]},
    })
}

/// A parent: production's Service, for clients inside the mesh.
pub fn the_service() -> Value {
    json!({"group": "", "kind": "Service", "name": WEB, "port": 80})
}

/// A parent: the lab's gateway.
pub fn the_gateway() -> Value {
    json!({"name": "ingress", "namespace": "istio-ingress"})
}

/// A rule's filter that copies to the canary.
pub fn request_mirror(percent: u32) -> Value {
    let mirror = json!({"backendRef": {"name": CANARY, "port": 80}, "percent": percent});
    json!({"filters": [{"type": "RequestMirror", "requestMirror": mirror}]})
}

/// Waits until requests to production inside the mesh take the route with this name.
pub async fn until_named(ns: &TestNamespace, name: &str) -> Result<Route, Error> {
    ns.until_route(WEB, name, |route| route.name == name).await
}

/// Sends requests; production answers each of them, once. Returns what else arrived.
pub async fn copied(ns: &TestNamespace, load: Load) -> Result<Vec<Arrival>, Error> {
    let report = load.run().await;
    assert_production_answers(&report);
    ns.copies(&report).await
}

/// Every answer is a success, and from a pod of the base.
#[track_caller]
pub fn assert_production_answers(report: &Report) {
    let wrong = report.answers.iter().find(|answer| answer.status != 200 || !is_of(WEB, &answer.from));
    assert_eq!(wrong, None, "in {:?}", report.statuses());
}

/// A pod's name is its Deployment's, a hash and five letters.
pub fn is_of(deployment: &str, pod: &str) -> bool {
    let rest = pod.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.split('-').count() == 2)
}

/// How many of them arrived at a Deployment's pods.
pub fn at(deployment: &str, copies: &[Arrival]) -> usize {
    copies.iter().filter(|copy| is_of(deployment, &copy.pod)).count()
}

/// Each request is drawn independently, so copies have a binomial distribution. A deviation of more than six standard
/// deviations has a probability of less than one in a million (Bernstein's inequality, for deviations of ten or more).
#[track_caller]
pub fn assert_share(copies: usize, of: usize, percent: u32) {
    let (n, p) = (of as f64, f64::from(percent) / 100.0);
    let (mean, bound) = (n * p, 6.0 * (n * p * (1.0 - p)).sqrt());
    assert!((copies as f64 - mean).abs() <= bound, "{copies} copies of {of}, expected {mean} ± {bound}");
}
