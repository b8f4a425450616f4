//! An object that cannot be read, of any kind that is watched, affects only the runs that need it.

mod support;

use std::process::ExitCode;

use http::Request;
use kanary_e2e::{Context, Error, Setup, TestNamespace, cases, harness, manifests};
use serde_json::{Value, json};
use support::{mesh::*, *};

/// A time that API servers store and few clients read.
const NEVER: &str = "9999-12-31T23:59:59Z";
const ODD: &str = "odd";

fn main() -> ExitCode {
    let cases = cases![
        a_tampered_deployment_blinds_nobody: lab_only,
        a_tampered_service_blinds_nobody: lab_only,
        a_tampered_autoscaler_blinds_nobody: lab_only,
        a_tampered_pod_blinds_nobody: lab_only,
        a_tampered_virtual_service_blinds_nobody: lab_only,
        a_tampered_http_route_blinds_nobody: lab_only,
        a_tampered_kanary_blinds_nobody: lab_only,
        a_base_that_is_tampered_with_is_promoted: lab_only,
        a_kanary_that_cannot_be_read_says_so_and_gets_no_traffic: lab_only,
    ];
    harness::main(Setup::controller(&[]).with_mesh(), cases)
}

async fn a_tampered_deployment_blinds_nobody(ns: TestNamespace) -> Result<(), Error> {
    let labels = json!({"app": ODD});
    let pods = json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}});
    blinds_nobody(&ns, web(json!({"metadata": {"name": ODD}, "spec": pods})), json!({})).await
}

async fn a_tampered_service_blinds_nobody(ns: TestNamespace) -> Result<(), Error> {
    let other = service(json!({"metadata": {"name": ODD}, "spec": {"selector": {"app": ODD}}}));
    blinds_nobody(&ns, other, traffic("service")).await
}

async fn a_tampered_autoscaler_blinds_nobody(ns: TestNamespace) -> Result<(), Error> {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": ODD});
    let other = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": ODD},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3},
    });
    blinds_nobody(&ns, other, json!({})).await
}

async fn a_tampered_virtual_service_blinds_nobody(ns: TestNamespace) -> Result<(), Error> {
    let other = merged(virtual_service(json!({})), json!({"metadata": {"name": ODD}, "spec": {"hosts": [ODD]}}));
    blinds_nobody(&ns, other, traffic("mirror")).await
}

async fn a_tampered_http_route_blinds_nobody(ns: TestNamespace) -> Result<(), Error> {
    ns.put(http_route(the_service(), json!({"name": "all"}))).await?;
    let other = merged(http_route(the_gateway(), json!({})), json!({"metadata": {"name": ODD}}));
    let mirror = json!({"traffic": {"source": "mirror", "mirror": {"provider": "gateway-api"}}});
    blinds_nobody(&ns, other, mirror).await
}

/// A pod of the canary itself: the run goes on all the same.
async fn a_tampered_pod_blinds_nobody(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    let pod = canary_pod(&ns).await?;
    tamper(&ns, &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}})).await?;
    succeeds_and_the_next_controller_is_ready(&ns).await
}

async fn a_tampered_kanary_blinds_nobody(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, without_update()).await?;
    let other = trial_of(ODD, traffic("kanary-service"));
    ns.apply(other.clone()).await?;
    ns.until_phase(ODD, "Validating").await?;
    tamper(&ns, &other).await?;
    succeeds_and_the_next_controller_is_ready(&ns).await?;
    let odd = read(&ns, &other).await?;
    assert!(odd.contains("\"phase\":\"Validating\"") && !odd.contains("Unreadable"), "its own run goes on: {odd}");
    Ok(())
}

/// Its own run reads it, too.
async fn a_base_that_is_tampered_with_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    tamper(&ns, &web(json!({}))).await?;
    succeeds_and_the_next_controller_is_ready(&ns).await?;
    let base = read(&ns, &web(json!({}))).await?;
    assert!(base.contains("web:2"), "{base}");
    Ok(())
}

/// JSON that is deeper than any reader goes is valid in what a template leaves to the API server.
async fn a_kanary_that_cannot_be_read_says_so_and_gets_no_traffic(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, without_update()).await?;
    let odd = trial_of(ODD, traffic("service"));
    ns.apply(odd.clone()).await?;
    ns.until_phase(ODD, "Validating").await?;
    until_serves(&ns, WEB, 2, 1).await?;
    let deep =
        |value: &str| format!(r#"{{"spec":{{"template":{{"spec":{{"template":{{"spec":{{"deep":{value}}}}}}}}}}}}}"#);
    patch(&ns, &odd, deep(&format!("{}1{}", "[".repeat(200), "]".repeat(200)))).await?;
    until_serves(&ns, WEB, 2, 0).await?;
    let event = until_event(&ns, "Unreadable").await?;
    assert_eq!(event.involved_object.name.as_deref(), Some(ODD));
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    let told = read(&ns, &odd).await?;
    assert!(told.contains("KanaryDeployment odd cannot be read: spec"), "{told}");
    patch(&ns, &odd, deep("null")).await?;
    let mended = |kanary: &Value| condition(kanary, "Stalled")["status"] == "False" && phase(kanary) == "Validating";
    let kanary = ns.until_kanary(ODD, "it is mended", mended).await?;
    assert_eq!(kanary["status"]["run"], 1, "the run goes on");
    until_serves(&ns, WEB, 2, 1).await
}

/// Another canary has the same base.
fn without_update() -> Value {
    json!({"validation": {"noUpdate": true}})
}

/// A run goes on to its end beside an object of no concern to it that was tampered with.
async fn blinds_nobody(ns: &TestNamespace, other: Value, spec: Value) -> Result<(), Error> {
    ns.put(other.clone()).await?;
    validating(ns, spec).await?;
    tamper(ns, &other).await?;
    succeeds_and_the_next_controller_is_ready(ns).await
}

async fn succeeds_and_the_next_controller_is_ready(ns: &TestNamespace) -> Result<(), Error> {
    set_verdict(ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    may_lead(ns).await?;
    let next = ns.lab()?.controller(&alone(ns, "next")).await?;
    let (_, metrics) = next.get("/metrics").await?;
    let broken = metrics.lines().find(|line| line.starts_with("kanary_watch_broken "));
    assert_eq!(broken, Some("kanary_watch_broken 0"));
    let mut unreadable = metrics.lines().filter(|line| line.starts_with("kanary_objects_unreadable{"));
    assert_eq!(unreadable.find(|line| !line.ends_with(" 0")), None);
    next.stop().await
}

/// What a tenant may do to an object of its own: the API server stores it.
async fn tamper(ns: &TestNamespace, object: &Value) -> Result<(), Error> {
    let mut now: Value = serde_json::from_str(&read(ns, object).await?)?;
    for entry in now["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
        entry["time"] = json!(NEVER);
    }
    now["metadata"]["annotations"]["touched"] = json!("yes");
    let url = url(ns, object).await?;
    let request = Request::put(&url).header("Content-Type", "application/json").body(serde_json::to_vec(&now)?);
    let after: Value = ns.client().request(request.context(|| url.clone())?).await.context(|| format!("PUT {url}"))?;
    assert!(after.to_string().contains(NEVER), "it is stored: {after}");
    Ok(())
}

async fn url(ns: &TestNamespace, object: &Value) -> Result<String, Error> {
    let (api, name) = manifests::locate(&ns.client(), object, ns.name()).await?;
    Ok(format!("{}/{name}", api.resource_url()))
}

/// As text: the clients of this lab cannot read it either.
async fn read(ns: &TestNamespace, object: &Value) -> Result<String, Error> {
    let url = url(ns, object).await?;
    let request = Request::get(&url).body(Vec::new()).context(|| url.clone())?;
    ns.client().request_text(request).await.context(|| format!("GET {url}"))
}

async fn patch(ns: &TestNamespace, object: &Value, patch: String) -> Result<(), Error> {
    let url = url(ns, object).await?;
    let request = Request::patch(&url).header("Content-Type", "application/merge-patch+json").body(patch.into_bytes());
    ns.client().request_text(request.context(|| url.clone())?).await.map(drop).context(|| format!("PATCH {url}"))
}
