//! Subsets on a real mesh: requests of production are counted where they arrive, whatever is refused and whatever is promoted.

mod support;

use std::process::ExitCode;

use kanary_e2e::{
    Error, Setup, TestNamespace, cases,
    dynamic::{ObjectRef, virtual_service},
    harness,
};
use serde_json::{Value, json};
use support::{
    mesh::{FEW, assert_production_answers, is_of, until_named},
    *,
};

fn main() -> ExitCode {
    let cases = cases![
        a_promotion_that_would_empty_a_subset_is_refused: lab_only,
        a_canary_that_a_subset_keeps_out_is_told: lab_only,
    ];
    harness::main(Setup::controller(&[]).with_mesh(), cases)
}

const RULE: ObjectRef<'static> =
    ObjectRef { api_version: "networking.istio.io/v1", kind: "DestinationRule", name: WEB };

/// The DestinationRule of production's host: its subset `v1` has these labels.
fn rule(labels: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": WEB},
        "spec": {"host": WEB, "subsets": [{"name": "v1", "labels": labels}]},
    })
}

/// All requests for production go to this destination.
fn route(destination: Value) -> Value {
    mesh::virtual_service(json!({"name": "all", "route": [{"destination": destination}]}))
}

/// A change of `spec.template`: its pods have this version.
fn version(version: &str) -> Value {
    pods(json!({"metadata": {"labels": {"version": version}}}))
}

/// Production has version `v1`, and its requests go to subset `v1`.
async fn production_by_subset(ns: &TestNamespace) -> Result<(), Error> {
    ns.put(rule(json!({"version": "v1"}))).await?;
    ns.put(route(json!({"host": WEB, "subset": "v1"}))).await?;
    ns.apply(service(json!({}))).await?;
    ns.apply(web(json!({"spec": {"template": {"metadata": {"labels": {"version": "v1"}}}}}))).await?;
    ns.until(WEB, "production is available", |web| has_available(web, 2)).await?;
    until_named(ns, "all").await?;
    ns.until_subset_known(WEB, 80, "v1", 2).await
}

async fn a_promotion_that_would_empty_a_subset_is_refused(ns: TestNamespace) -> Result<(), Error> {
    production_by_subset(&ns).await?;
    for source in ["none", "mirror", "service"] {
        ns.apply(trial(merged(merged(traffic(source), watching("1s")), version("v2")))).await?;
        let kanary = until_reason(&ns, "Stalled", "SubsetLosesPods").await?;
        let message = text(condition(&kanary, "Stalled"), "/message");
        for part in ["version=v1", "subset v1 of DestinationRule web", "VirtualService web, route all"] {
            assert!(message.contains(part), "{source}: {message}");
        }
        assert_nothing_is_left(&ns).await?;
        assert_production_answers(&ns.calls(WEB)?.count(FEW).run().await);
        ns.delete_kanary(TRIAL).await?;
        ns.until_kanary_gone(TRIAL).await?;
    }
    // The same template, once the subset has a label that stays; requests go on all the while.
    ns.apply(trial(merged(watching("1s"), version("v2")))).await?;
    until_reason(&ns, "Stalled", "SubsetLosesPods").await?;
    let load = ns.calls(WEB)?.count(usize::MAX).at_once(1).per_second(50.0).start();
    ns.change(RULE, rule(json!({"app": "web"}))).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    ns.until(WEB, "the promotion is rolled out", |web| {
        has_available(web, 2) && web.status.as_ref().is_some_and(|status| status.updated_replicas == Some(2))
    })
    .await?;
    let during = load.stop().await?;
    assert!(during.answers.len() > FEW, "{}", during.answers.len());
    ns.until_subset_known(WEB, 80, "v1", 2).await?;
    assert_production_answers(&ns.calls(WEB)?.count(FEW).run().await);
    assert_nothing_is_left(&ns).await
}

/// The routes of a mesh are watched for every source: what they say is followed while the canary runs.
async fn a_canary_that_a_subset_keeps_out_is_told(ns: TestNamespace) -> Result<(), Error> {
    production_by_subset(&ns).await?;
    let no_update = json!({"validation": {"noUpdate": true}});
    ns.apply(trial(merged(merged(traffic("service"), no_update), version("v2")))).await?;
    let told = |kanary: &Value| text(condition(kanary, "Traffic"), "/message").contains("; but VirtualService web");
    ns.until_kanary(TRIAL, "it is told", |kanary| phase(kanary) == "Validating" && told(kanary)).await?;
    until_event(&ns, "SubsetExcludesCanary").await?;
    until_serves(&ns, WEB, 2, 1).await?;
    assert_production_answers(&ns.calls(WEB)?.count(FEW).run().await);
    ns.change(virtual_service(WEB), route(json!({"host": WEB}))).await?;
    ns.until_kanary(TRIAL, "nothing keeps it out", |kanary| !told(kanary)).await?;
    ns.until_known(WEB, 80, 3).await?;
    let report = ns.calls(WEB)?.count(3 * FEW).run().await;
    assert!(report.pods().keys().any(|pod| is_of(CANARY, pod)), "{:?}", report.pods());
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&ns).await
}
