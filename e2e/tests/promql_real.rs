//! The shipped queries, a real Prometheus, and requests that canary pods really answer.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::core::v1::Secret;
use kanary_e2e::backend::manner::Manner;
use kanary_e2e::load::Running;
use kanary_e2e::{Error, Scene, Setup, cases, harness};
use serde_json::{Value, json};
use support::evidence::*;
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        a_canary_that_answers_is_promoted: lab_only,
        a_canary_that_fails_requests_is_not: lab_only,
        a_canary_that_nobody_calls_proves_nothing: lab_only,
        a_slow_canary_is_told_apart_by_its_latency: lab_only,
        the_pod_that_differs_is_named: lab_only,
        the_shipped_rules_are_evaluated: lab_only,
        over_https_and_with_a_password_it_is_judged: lab_only,
    ];
    let url = format!("--prometheus-url=http://127.0.0.1:{}", kanary_e2e::prometheus::PORT);
    harness::main(Setup::controller(&[&url]).with_prometheus(), cases)
}

const SUCCESS: &str = include_str!("../../prometheus/queries/istio-success.promql");
const LATENCY: &str = include_str!("../../prometheus/queries/istio-latency.promql");
/// The labels of the trial's pods.
const TRIALS: &str = "kanary.k8s.io/canary=trial";

/// Scrapes come each second here, so a window of a few is enough.
fn shipped(query: &str) -> String {
    query.replace("[1m]", "[5s]")
}

/// An item that asks the controller's own Prometheus. A rate needs two scrapes, hence the delay.
fn asking(period: &str, item: Value) -> Value {
    let items = json!([{"name": "metrics", "promQL": item}]);
    json!({"validation": {
        "initialDelay": "3s", "validationPeriod": period, "maxIntervalPeriod": "1s", "items": items,
    }})
}

/// The canary is judged while its pods are called and answer like this.
async fn judged(scene: &Scene, asking: Value, manner: Manner) -> Result<Running, Error> {
    scene.tell(TRIALS, manner)?;
    validating(scene, asking).await?;
    Ok(scene.calls_pods(TRIALS).await?.count(100_000).per_second(20.0).start())
}

fn message(kd: &Value) -> &str {
    text(kd, "/status/message")
}

async fn a_canary_that_answers_is_promoted(scene: Scene) -> Result<(), Error> {
    let asking = asking("5s", json!({"query": shipped(SUCCESS)}));
    let load = judged(&scene, asking, Manner::default()).await?;
    let kd = scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_eq!(kd["status"]["items"][0]["verdict"], "Valid");
    assert_eq!(base_image(&scene).await?, "web:2");
    // Its pods are gone, so the load ends in errors.
    drop(load);
    Ok(())
}

async fn a_canary_that_fails_requests_is_not(scene: Scene) -> Result<(), Error> {
    let asking = asking("1h", json!({"query": shipped(SUCCESS)}));
    let load = judged(&scene, asking, Manner::failing(0.3)).await?;
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    assert!(message(&kd).contains("the query is false"), "{kd}");
    assert_eq!(base_image(&scene).await?, "web:1");
    drop(load);
    Ok(())
}

async fn a_canary_that_nobody_calls_proves_nothing(scene: Scene) -> Result<(), Error> {
    let success = json!({"name": "success", "promQL": {"query": shipped(SUCCESS)}});
    let latency = json!({"name": "latency", "promQL": {
        "query": shipped(LATENCY), "valueInRange": {"min": 0, "max": 310}, "allPodsQuery": true,
    }});
    for (name, item) in [("success", success), ("latency", latency)] {
        let validation =
            json!({"validationPeriod": "2s", "maxIntervalPeriod": "1s", "items": [item], "noUpdate": true});
        if name == "success" {
            production(&scene).await?;
        }
        scene.apply(trial_of(name, json!({"validation": validation}))).await?;
        let held = |kd: &Value| condition(kd, "Running")["reason"] == "Held";
        let kd = scene.until_kd(name, "the clock stands still", held).await?;
        assert!(message(&kd).contains("no traffic yet"), "{kd}");
    }
    assert_eq!(base_image(&scene).await?, "web:1");
    Ok(())
}

async fn a_slow_canary_is_told_apart_by_its_latency(scene: Scene) -> Result<(), Error> {
    let query = json!({"query": shipped(LATENCY), "valueInRange": {"min": 0, "max": 310}, "allPodsQuery": true});
    let load = judged(&scene, asking("1h", query), Manner::slow(std::time::Duration::from_millis(600))).await?;
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    assert!(message(&kd).contains(" > 310 (max)"), "{kd}");
    drop(load);
    Ok(())
}

async fn the_pod_that_differs_is_named(scene: Scene) -> Result<(), Error> {
    let query = "queue_length{namespace=\"{{namespace}}\",pod=~\"{{canary.pods}}\"}";
    let item = json!({"query": query, "valueInRange": {"min": 0, "max": 5}});
    scene.tell(TRIALS, Manner::default().showing("queue_length", 1.0))?;
    validating(&scene, merged(asking("1h", item), json!({"scale": {"static": {"replicas": 2}}}))).await?;
    scene.until_kd(TRIAL, "is valid so far", |kd| kd["status"]["items"][0]["verdict"] == "Valid").await?;
    scene.tell(TRIALS, Manner::default().showing("queue_length", 7.0))?;
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    assert!(message(&kd).contains("7 > 5 (max), pod trial-kanary-"), "{kd}");
    Ok(())
}

/// What is wrong is said, in the order in which it shows: no authority, the wrong password, and then nothing.
async fn over_https_and_with_a_password_it_is_judged(scene: Scene) -> Result<(), Error> {
    let (prometheus, authority) = scene.lab()?.start_guarded_prometheus()?;
    let name = "metrics";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": {"kanary.k8s.io/prometheus": "true"}},
        "stringData": {"ca.crt": authority, "username": "kanary", "password": "wrong"}});
    scene.apply(secret).await?;
    may_read_secret(&scene, name).await?;
    let connection = json!({"url": prometheus.url(), "basicAuthSecretRef": {"name": name}});
    validating(&scene, asking("2s", json!({"query": "vector(1)", "prometheus": connection}))).await?;
    until_held(&scene, "certificate").await?;
    let trusting = merged(connection, json!({"caSecretRef": {"name": name}}));
    change(&scene, asking("2s", json!({"query": "vector(1)", "prometheus": trusting}))).await?;
    until_held(&scene, "401").await?;
    scene.patch::<Secret>(name, json!({"stringData": {"password": "sesame"}})).await?;
    let kd = scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_contains(&kd["status"]["items"][0], &json!({"verdict": "Valid", "value": "1", "query": "vector(1)"}));
    prometheus.kill().await
}

/// Each expression is one that Prometheus understands, on metrics that the controller has; and there is a leader.
async fn the_shipped_rules_are_evaluated(scene: Scene) -> Result<(), Error> {
    let prometheus = scene.lab()?.prometheus()?;
    prometheus
        .until("kanary_leader", "the controller is scraped", |found| matches!(found, [one] if one.value == 1.0))
        .await?;
    scene.tell(TRIALS, Manner::default())?;
    validating(&scene, asking("1h", json!({"query": shipped(SUCCESS)}))).await?;
    let load = scene.calls_pods(TRIALS).await?.count(100_000).per_second(20.0).start();
    let recorded = format!("kanary:istio_requests:rate1m{{destination_workload_namespace=\"{}\"}}", scene.namespace());
    prometheus.until(&recorded, "requests are recorded", |found| found.iter().any(|rate| rate.value > 0.0)).await?;
    // A counter with labels shows from its first increment on.
    prometheus.until("kanary_queries_total", "questions are counted", |found| !found.is_empty()).await?;
    let metrics = prometheus.query("count by (__name__) ({__name__=~\"kanary_.+\"})").await?;
    let known = |name: &str| metrics.iter().any(|metric| metric.labels["__name__"].starts_with(name));
    let rules = kanary_e2e::manifests::read(&kanary_e2e::prometheus::rules())?;
    let groups = rules.iter().flat_map(|file| file["groups"].as_array().into_iter().flatten());
    let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()).collect();
    assert!(rules.len() >= 4, "{rules:?}");
    for rule in rules {
        let expression = text(rule, "/expr");
        let found = prometheus.query(expression).await?;
        assert!(rule["alert"] != "KanaryHasNoLeader" || found.is_empty(), "{rule} alarms: {found:?}");
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let unknown: Vec<&str> = words.filter(|word| word.starts_with("kanary_") && !known(word)).collect();
        assert_eq!(unknown, [""; 0], "{rule}: not among {metrics:?}");
    }
    drop(load);
    Ok(())
}
