//! At rest the controller sends no request: not for canaries that are over, for canaries that are being evaluated, or
//! for mirrors.

mod support;

use std::{process::ExitCode, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Event};
use kanary_e2e::{Error, Setup, TestNamespace, audit::Call, cases, harness, wait::Objects};
use serde_json::{Value, json};
use support::{mesh::*, *};

/// Canaries of each kind.
const EACH: usize = 50;
/// Canaries that one route mirrors to.
const MIRRORS: usize = 5;
const AT_ONCE: usize = 10;
/// How long no request must be sent. It is the subject of the test, not a wait for something.
const REST: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(400);

fn main() -> ExitCode {
    let cases = cases![a_hundred_canaries_at_rest_cost_no_request: lab_only];
    harness::main(Setup::controller(&[]).with_mesh(), cases)
}

async fn a_hundred_canaries_at_rest_cost_no_request(ns: TestNamespace) -> Result<(), Error> {
    let ns = ns.patience(PATIENCE);
    production(&ns).await?;
    let over = (0..EACH).map(|nth| create(&ns, format!("over-{nth}"), "invalid", "Failed"));
    let evaluated = (0..EACH).map(|nth| create(&ns, format!("evaluated-{nth}"), "", "Validating"));
    stream::iter(over).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    stream::iter(evaluated).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    mirrors(&ns).await?;
    quiet(&ns).await?;
    let audit = ns.lab()?.audit();
    let mark = audit.mark();
    tokio::time::sleep(REST).await;
    let calls = audit.since(mark, ":kanary")?;
    assert!(calls.iter().any(Call::is_lease), "it is alive: it renews its lease");
    let requests: Vec<&Call> = calls.iter().filter(|call| !call.is_watch() && !call.is_lease()).collect();
    assert_eq!(requests, Vec::<&Call>::new());
    Ok(())
}

/// One canary in that phase, with a Service of its own, so that they do not affect each other.
async fn create(ns: &TestNamespace, name: String, verdict: &str, phase: &str) -> Result<(), Error> {
    let manual = if verdict.is_empty() { json!({}) } else { json!({"validation": {"manual": {"status": verdict}}}) };
    ns.apply(trial_of(&name, merged(traffic("kanary-service"), manual))).await?;
    ns.until_phase(&name, phase).await.map(drop)
}

/// Mirrors of each kind: several in one route of the user's, one that Kanary created, and one of the Gateway API. Each
/// of these has a production of its own.
async fn mirrors(ns: &TestNamespace) -> Result<(), Error> {
    for shop in ["own", "gateway"] {
        let labels = json!({"app": shop});
        let pods = json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}});
        ns.apply(service(json!({"metadata": {"name": shop}, "spec": {"selector": labels}}))).await?;
        ns.apply(web(json!({"metadata": {"name": shop}, "spec": pods}))).await?;
        ns.until(shop, "production is available", |web: &Deployment| has_available(web, 2)).await?;
    }
    ns.put(virtual_service(json!({"name": "all"}))).await?;
    let rule = json!({"name": "all", "backendRefs": [{"name": "gateway", "port": 80}]});
    let parent = merged(the_service(), json!({"name": "gateway"}));
    ns.put(merged(http_route(parent, rule), json!({"metadata": {"name": "gateway"}}))).await?;
    for nth in 0..MIRRORS {
        create_mirror(ns, &format!("mirrored-{nth}"), WEB, json!({})).await?;
    }
    create_mirror(ns, "own", "own", json!({})).await?;
    create_mirror(ns, "gateway", "gateway", json!({"provider": "gateway-api"})).await
}

/// One canary that gets copies of that production's requests.
async fn create_mirror(ns: &TestNamespace, name: &str, shop: &str, mirror: Value) -> Result<(), Error> {
    let pods = pods(json!({"metadata": {"labels": {"app": shop}}}));
    let of = json!({"deploymentName": shop, "serviceName": shop, "traffic": {"source": "mirror", "mirror": mirror}});
    ns.apply(trial_of(&format!("mirror-{name}"), merged(of, pods))).await?;
    ns.until_phase(&format!("mirror-{name}"), "Validating").await.map(drop)
}

/// The last status is followed by its events: waits until each canary has its last event.
async fn quiet(ns: &TestNamespace) -> Result<(), Error> {
    let until_events = |prefix: &'static str, reason: &'static str, count: usize| async move {
        let of_it = |event: &&Event| {
            let of = &event.involved_object;
            let is_meant = of.kind.as_deref() == Some("KanaryDeployment") && event.reason.as_deref() == Some(reason);
            is_meant && of.name.as_deref().is_some_and(|name| name.starts_with(prefix))
        };
        let met = |events: &Objects<Event>| events.values().filter(of_it).count() == count;
        ns.until_all("", "each has its last event", met).await.map(drop)
    };
    until_events("over-", "Failed", EACH).await?;
    until_events("evaluated-", "Validating", EACH).await?;
    until_events("mirror-", "Validating", MIRRORS + 2).await
}
