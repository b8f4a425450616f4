//! What a real istiod and a real Envoy do with mirrors that are written by hand. Kanary is not involved: each test is a
//! fact that its mirror relies on.

pub mod copies;
pub mod gateway;
pub mod obeyed;
pub mod shared;
pub mod uncopied;

use k8s_openapi::api::apps::v1::Deployment;
use kanary_e2e::{Error, TestNamespace, dynamic};
use serde_json::{Value, json};

use crate::support::*;

/// The Service that gets copies, as Kanary would create it; its Deployment has the same name.
pub const OTHER: &str = "other-kanary";

/// Production, and two canaries that nothing but a mirror reaches, all of them known to the sidecar.
pub async fn world(ns: &TestNamespace) -> Result<(), Error> {
    ns.apply(service(json!({}))).await?;
    ns.apply(web(json!({}))).await?;
    for name in [CANARY, OTHER] {
        ns.apply(labelled(web(json!({"metadata": {"name": name}, "spec": {"replicas": 1}})), name)).await?;
        ns.apply(service(json!({"metadata": {"name": name}, "spec": {"selector": {"app": name}}}))).await?;
    }
    for (name, pods) in [(WEB, 2), (CANARY, 1), (OTHER, 1)] {
        ns.until::<Deployment>(name, "is available", |found| has_available(found, pods)).await?;
        let pods = usize::try_from(pods).unwrap_or_default();
        ns.until_known(name, 80, pods).await?;
    }
    Ok(())
}

fn labelled(deployment: Value, app: &str) -> Value {
    let labels = json!({"app": app});
    let spec = json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}});
    merged(deployment, json!({"spec": spec}))
}

/// Unlike for its own kinds, istiod reports in the status of an HTTPRoute what it did with it, for each parent and with
/// the generation.
pub async fn until_accepted(ns: &TestNamespace) -> Result<(), Error> {
    let met = |route: &Value| {
        let generation = &route["metadata"]["generation"];
        let conditions = route["status"]["parents"][0]["conditions"].as_array().into_iter().flatten();
        let holds = |kind: &str| {
            let mut of_kind = conditions.clone().filter(|condition| condition["type"] == kind);
            of_kind.any(|condition| condition["status"] == "True" && condition["observedGeneration"] == *generation)
        };
        holds("Accepted") && holds("ResolvedRefs")
    };
    ns.until_dynamic(dynamic::http_route(WEB), "accepted, references resolved", met).await.map(drop)
}
