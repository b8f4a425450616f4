//! How many canary pods there are, and what decides that.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kanary_e2e::{Error, Setup, TestNamespace, cases, harness};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        static_follows_the_spec,
        who_scales_a_static_canary_is_answered,
        all_pods_must_be_available: lab_only,
        an_autoscaler_decides_how_many_pods_there_are,
        an_autoscaler_follows_the_spec,
        an_autoscaler_does_not_outlive_the_run,
        from_static_to_hpa_the_pods_stay_as_they_are,
        from_hpa_to_static_the_spec_counts_again,
        two_autoscalers_that_would_count_the_same_pods_are_refused,
        two_autoscalers_that_count_different_pods_are_fine,
        an_autoscaler_of_the_base_that_comes_later_stops_the_traffic,
        who_counts_the_canary_among_the_base_is_named,
    ];
    harness::main(Setup::controller(&[]), cases)
}

async fn static_follows_the_spec(ns: TestNamespace) -> Result<(), Error> {
    let kanary = validating(&ns, fixed(2)).await?;
    assert_eq!(kanary["status"]["report"]["scale"], "static 2");
    for count in [3, 1] {
        change(&ns, fixed(count)).await?;
        until_canary_pods(&ns, usize::try_from(count).unwrap_or_default()).await?;
        let counts = |kanary: &Value| kanary["status"]["canary"]["readyReplicas"] == count;
        let kanary = ns.until_kanary(TRIAL, "the status counts them", counts).await?;
        assert_eq!(phase(&kanary), "Validating");
    }
    Ok(())
}

async fn who_scales_a_static_canary_is_answered(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, fixed(2)).await?;
    let scaled = ns.patch::<Deployment>(CANARY, json!({"spec": {"replicas": 5}})).await?;
    let answered =
        |canary: &Deployment| canary.metadata.generation > scaled.metadata.generation && replicas_of(canary) == 2;
    ns.until(CANARY, "has the replicas of the spec again", answered).await.map(drop)
}

async fn all_pods_must_be_available(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(merged(fixed(2), playing("never-ready")))).await?;
    let pods = until_canary_pods(&ns, 2).await?.into_iter().filter_map(|pod| pod.metadata.name);
    let pods: Vec<String> = pods.collect();
    recovers(&ns, &pods[0]).await?;
    let half = |kanary: &Value| text(kanary, "/status/message") == "1 of 2 canary pods available";
    let kanary = ns.until_kanary(TRIAL, "half of it is available", half).await?;
    assert_eq!(phase(&kanary), "Starting");
    recovers(&ns, &pods[1]).await?;
    ns.until_phase(TRIAL, "Validating").await.map(drop)
}

/// A controller that also writes replicas would fight with the autoscaler indefinitely.
async fn an_autoscaler_decides_how_many_pods_there_are(ns: TestNamespace) -> Result<(), Error> {
    let kanary = validating(&ns, hpa(2, 4)).await?;
    assert_contains(&kanary["status"], &json!({"canary": {"hpa": CANARY}, "report": {"scale": "hpa 2-4"}}));
    until_canary_pods(&ns, 2).await?;
    let own = json_of::<HorizontalPodAutoscaler>(&ns, CANARY).await?;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": CANARY});
    assert_contains(&own["spec"], &json!({"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": target}));
    let witness = Witness::<Deployment>::of(&ns, CANARY_LABEL).await?;
    // As the autoscaler does under more load.
    ns.patch::<Deployment>(CANARY, json!({"spec": {"replicas": 3}})).await?;
    ns.until_kanary(TRIAL, "3 are ready", |kanary| kanary["status"]["canary"]["readyReplicas"] == 3).await?;
    set_verdict(&ns, "invalid").await?;
    assert_eq!(replicas(&witness.until_all_gone().await?), [2, 3]);
    Ok(())
}

async fn an_autoscaler_follows_the_spec(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, hpa(1, 4)).await?;
    let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}});
    let metrics = json!([{"type": "Resource", "resource": cpu}]);
    let window = json!({"scaleDown": {"stabilizationWindowSeconds": 42}});
    let spec = json!({"maxReplicas": 6, "metrics": metrics, "behavior": window});
    change(&ns, json!({"scale": {"hpa": spec}})).await?;
    let follows = |own: &HorizontalPodAutoscaler| own.spec.as_ref().is_some_and(|spec| spec.max_replicas == 6);
    let own = ns.until(CANARY, "has the new maximum", follows).await?;
    assert_contains(&json!(own)["spec"], &spec);
    // An edit of it is undone, once the recorded spec is the one that the API server returned.
    let made_from = own.annotations()["kanary.k8s.io/applied-hash"].clone();
    let on_record = |kanary: &Value| text(kanary, "/status/canary/hpaHash").starts_with(&made_from);
    ns.until_kanary(TRIAL, "the autoscaler is on record", on_record).await?;
    ns.patch::<HorizontalPodAutoscaler>(CANARY, json!({"spec": {"maxReplicas": 9}})).await?;
    ns.until(CANARY, "has the maximum of the spec again", follows).await.map(drop)
}

/// In the original it had no owner: it outlived the canary and the resource.
async fn an_autoscaler_does_not_outlive_the_run(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, hpa(1, 3)).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&ns).await?;
    ns.apply(trial_of("other", hpa(1, 3))).await?;
    ns.until_phase("other", "Validating").await?;
    ns.get::<HorizontalPodAutoscaler>("other-kanary").await?;
    ns.delete_kanary("other").await?;
    ns.until_gone::<HorizontalPodAutoscaler>("other-kanary").await
}

/// An apply without `replicas` removes the field, and the API server's default is 1: three pods become one.
async fn from_static_to_hpa_the_pods_stay_as_they_are(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, fixed(3)).await?;
    let witness = Witness::<Deployment>::of(&ns, CANARY_LABEL).await?;
    change(&ns, merged(json!({"scale": {"static": null}}), hpa(1, 5))).await?;
    let counts =
        |own: &HorizontalPodAutoscaler| own.status.as_ref().is_some_and(|status| status.current_replicas == Some(3));
    ns.until(CANARY, "counts 3 pods", counts).await?;
    until_canary_pods(&ns, 3).await?;
    set_verdict(&ns, "invalid").await?;
    assert_eq!(replicas(&witness.until_all_gone().await?), [3]);
    Ok(())
}

async fn from_hpa_to_static_the_spec_counts_again(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, hpa(3, 5)).await?;
    change(&ns, merged(json!({"scale": {"hpa": null}}), fixed(1))).await?;
    ns.until_gone::<HorizontalPodAutoscaler>(CANARY).await?;
    until_canary_pods(&ns, 1).await.map(drop)
}

/// Kubernetes stops scaling both (`AmbiguousSelector`), production included.
async fn two_autoscalers_that_would_count_the_same_pods_are_refused(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(autoscaler_of_the_base()).await?;
    ns.apply(trial(merged(traffic("service"), hpa(1, 3)))).await?;
    let kanary = until_reason(&ns, "Stalled", "AmbiguousHPA").await?;
    assert!(text(&kanary, "/status/message").contains("HorizontalPodAutoscaler web"), "{kanary}");
    assert_nothing_is_left(&ns).await?;
    change(&ns, traffic("kanary-service")).await?;
    let kanary = ns.until_phase(TRIAL, "Validating").await?;
    assert_eq!(condition(&kanary, "Stalled")["status"], "False");
    ns.get::<HorizontalPodAutoscaler>(CANARY).await.map(drop)
}

async fn two_autoscalers_that_count_different_pods_are_fine(ns: TestNamespace) -> Result<(), Error> {
    // Production's Service selects by a label that the base does not select by.
    let labels = json!({"app": "web", "tier": "front"});
    ns.apply(service(json!({"spec": {"selector": {"app": null, "tier": "front"}}}))).await?;
    ns.apply(web(json!({"spec": {"template": {"metadata": {"labels": labels}}}}))).await?;
    ns.apply(autoscaler_of_the_base()).await?;
    let labelled = pods(json!({"metadata": {"labels": labels}}));
    ns.apply(trial(merged(merged(traffic("service"), hpa(1, 3)), labelled))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    until_serves(&ns, WEB, 2, 1).await
}

async fn an_autoscaler_of_the_base_that_comes_later_stops_the_traffic(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, merged(traffic("service"), hpa(1, 3))).await?;
    until_serves(&ns, WEB, 2, 1).await?;
    ns.apply(autoscaler_of_the_base()).await?;
    until_serves(&ns, WEB, 2, 0).await?;
    until_reason(&ns, "Traffic", "AmbiguousHPA").await?;
    until_reason(&ns, "Running", "Paused").await?;
    ns.delete::<HorizontalPodAutoscaler>(WEB).await?;
    until_serves(&ns, WEB, 2, 1).await?;
    until_reason(&ns, "Running", "Evaluating").await.map(drop)
}

async fn who_counts_the_canary_among_the_base_is_named(ns: TestNamespace) -> Result<(), Error> {
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "careful"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    });
    ns.apply(budget).await?;
    ns.apply(autoscaler_of_the_base()).await?;
    validating(&ns, traffic("service")).await?;
    for (reason, name) in [("BaseHPACountsCanary", "HorizontalPodAutoscaler web"), ("PDBCountsCanary", "careful")] {
        let event = until_event(&ns, reason).await?;
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert!(event.message.is_some_and(|message| message.contains(name)));
    }
    Ok(())
}

fn fixed(replicas: i32) -> Value {
    json!({"scale": {"static": {"replicas": replicas}}})
}

fn hpa(min: i32, max: i32) -> Value {
    json!({"scale": {"hpa": {"minReplicas": min, "maxReplicas": max}}})
}

fn autoscaler_of_the_base() -> Value {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": WEB});
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": WEB},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5},
    })
}

/// The desired replicas of a Deployment, one after the other.
fn replicas(versions: &[Deployment]) -> Vec<i32> {
    let mut replicas: Vec<i32> = versions.iter().map(replicas_of).collect();
    replicas.dedup();
    replicas
}
