//! The shipped queries, a real Prometheus, and requests that canary pods really answer.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::core::v1::Secret;
use kanary_e2e::{Error, Setup, TestNamespace, backend::behaviour::Behaviour, cases, harness, load::Running};
use serde_json::{Value, json};
use support::{evidence::*, *};

fn main() -> ExitCode {
    let cases = cases![
        a_canary_that_answers_is_promoted: lab_only,
        a_canary_that_fails_requests_is_not: lab_only,
        a_canary_without_requests_proves_nothing: lab_only,
        a_slow_canary_is_recognised_by_its_latency: lab_only,
        a_slow_canary_fails_by_the_second_of_two_conditions: lab_only,
        what_is_proposed_is_false_when_it_is_bad: lab_only,
        the_pod_that_differs_is_named: lab_only,
        the_shipped_rules_are_evaluated: lab_only,
        it_is_evaluated_over_https_with_a_password: lab_only,
    ];
    let url = format!("--prometheus-url=http://127.0.0.1:{}", kanary_e2e::network::FIRST_PROMETHEUS_PORT);
    harness::main(Setup::controller(&[&url]).with_prometheus(), cases)
}

const SUCCESS: &str = include_str!("../../prometheus/queries/istio-success.promql");
const LATENCY: &str = include_str!("../../prometheus/queries/istio-latency.promql");
/// The labels of the trial's pods.
const TRIALS: &str = "kanary.k8s.io/canary=trial";

/// The scrape interval is 1 s here, so a window of a few seconds is enough.
fn shipped(query: &str) -> String {
    query.replace("[1m]", "[5s]")
}

/// An item that queries the controller's default Prometheus. A rate needs two scrapes, hence the delay.
fn asking(period: &str, item: Value) -> Value {
    let items = json!([{"name": "metrics", "promQL": item}]);
    json!({"validation": {
        "initialDelay": "3s", "validationPeriod": period, "maxIntervalPeriod": "1s", "items": items,
    }})
}

/// Evaluates the canary while its pods get requests and behave like this.
async fn evaluated(ns: &TestNamespace, asking: Value, behaviour: Behaviour) -> Result<Running, Error> {
    ns.set_behaviour(TRIALS, behaviour)?;
    validating(ns, asking).await?;
    Ok(ns.calls_pods(TRIALS).await?.count(100_000).per_second(20.0).start())
}

fn message(kanary: &Value) -> &str {
    text(kanary, "/status/message")
}

async fn a_canary_that_answers_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    let asking = asking("5s", json!({"query": shipped(SUCCESS)}));
    let load = evaluated(&ns, asking, Behaviour::default()).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(kanary["status"]["items"][0]["verdict"], "Valid");
    assert_eq!(base_image(&ns).await?, "web:2");
    // Its pods are gone, so the load ends in errors.
    drop(load);
    Ok(())
}

async fn a_canary_that_fails_requests_is_not(ns: TestNamespace) -> Result<(), Error> {
    let asking = asking("1h", json!({"query": shipped(SUCCESS)}));
    let load = evaluated(&ns, asking, Behaviour::failing(0.3)).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(message(&kanary).contains("the query is false"), "{kanary}");
    assert_eq!(base_image(&ns).await?, "web:1");
    drop(load);
    Ok(())
}

async fn a_canary_without_requests_proves_nothing(ns: TestNamespace) -> Result<(), Error> {
    let success = json!({"name": "success", "promQL": {"query": shipped(SUCCESS)}});
    let latency = json!({"name": "latency", "promQL": {
        "query": shipped(LATENCY), "valueInRange": {"min": 0, "max": 310}, "allPodsQuery": true,
    }});
    for (name, item) in [("success", success), ("latency", latency)] {
        let validation =
            json!({"validationPeriod": "2s", "maxIntervalPeriod": "1s", "items": [item], "noUpdate": true});
        if name == "success" {
            production(&ns).await?;
        }
        ns.apply(trial_of(name, json!({"validation": validation}))).await?;
        let held = |kanary: &Value| condition(kanary, "Running")["reason"] == "Paused";
        let kanary = ns.until_kanary(name, "the clock is paused", held).await?;
        assert!(message(&kanary).contains("no traffic yet"), "{kanary}");
    }
    assert_eq!(base_image(&ns).await?, "web:1");
    Ok(())
}

async fn a_slow_canary_is_recognised_by_its_latency(ns: TestNamespace) -> Result<(), Error> {
    let query = json!({"query": shipped(LATENCY), "valueInRange": {"min": 0, "max": 310}, "allPodsQuery": true});
    let load = evaluated(&ns, asking("1h", query), Behaviour::slow(std::time::Duration::from_millis(600))).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(message(&kanary).contains(" > 310 (max)"), "{kanary}");
    drop(load);
    Ok(())
}

/// With `and` instead of `*` it would be promoted, and is refused.
async fn a_slow_canary_fails_by_the_second_of_two_conditions(ns: TestNamespace) -> Result<(), Error> {
    let query = format!("({}) * ({} < bool 310)", uncommented(SUCCESS), uncommented(LATENCY));
    let load =
        evaluated(&ns, asking("1h", json!({"query": query})), Behaviour::slow(std::time::Duration::from_millis(600)))
            .await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(message(&kanary).contains("the query is false"), "{kanary}");
    drop(load);
    Ok(())
}

fn uncommented(query: &str) -> String {
    shipped(&query.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"))
}

/// What Prometheus makes of queries that are refused, and of those that are proposed instead: true although something is
/// bad, or nothing; and false.
async fn what_is_proposed_is_false_when_it_is_bad(ns: TestNamespace) -> Result<(), Error> {
    let prometheus = ns.lab()?.prometheus()?;
    let cases = [
        (
            "(vector(1) > bool 0) and (vector(9) < bool 0.5)",
            &[1.0][..],
            "(vector(1) > bool 0) * (vector(9) < bool 0.5)",
        ),
        (
            "(vector(1) > bool 0) unless (vector(9) < bool 0.5)",
            &[],
            "(vector(0) > bool 0) * ((vector(9) < bool 0.5) == bool 0)",
        ),
        (
            "(vector(0) > bool 0) or (vector(1) > bool 0)",
            &[0.0],
            "(vector(0) > bool 0) + (vector(0) > bool 0) > bool 0",
        ),
        ("count(vector(1) > 5) > bool 0", &[], "sum(vector(1) > bool 5) > bool 0"),
        ("count(vector(9) < bool 5) > bool 0", &[1.0], "sum(vector(9) < bool 5) > bool 0"),
        ("max(vector(9) < 1) < bool 0.5", &[], "max(vector(9)) < bool 0.5"),
        ("0.9 < bool vector(0.5) < bool 1", &[1.0], "(0.9 < bool vector(0.5)) * (vector(0.5) < bool 1)"),
        ("(vector(9) > 5) == bool 1", &[0.0], "(vector(1) > bool 5) == bool 1"),
        (
            "sum(label_replace(vector(1), \"a\", \"b\", \"\", \"\") < bool 5 or vector(9) < bool 5)",
            &[1.0],
            "min(label_replace(vector(1), \"a\", \"b\", \"\", \"\") < bool 5 or vector(9) < bool 5)",
        ),
        ("absent(vector(1))", &[], "(count(vector(1)) or vector(0)) == bool 0"),
    ];
    for (refused, wrong, proposed) in cases {
        let values =
            |found: Vec<kanary_e2e::prometheus::Sample>| found.iter().map(|one| one.value).collect::<Vec<f64>>();
        assert_eq!(values(prometheus.query(refused).await?), wrong, "{refused}");
        assert_eq!(values(prometheus.query(proposed).await?), [0.0], "{proposed}");
    }
    Ok(())
}

async fn the_pod_that_differs_is_named(ns: TestNamespace) -> Result<(), Error> {
    let query = "queue_length{namespace=\"{{namespace}}\",pod=~\"{{canary.pods}}\"}";
    let item = json!({"query": query, "valueInRange": {"min": 0, "max": 5}});
    ns.set_behaviour(TRIALS, Behaviour::default().showing("queue_length", 1.0))?;
    validating(&ns, merged(asking("1h", item), json!({"scale": {"static": {"replicas": 2}}}))).await?;
    ns.until_kanary(TRIAL, "is valid so far", |kanary| kanary["status"]["items"][0]["verdict"] == "Valid").await?;
    ns.set_behaviour(TRIALS, Behaviour::default().showing("queue_length", 7.0))?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(message(&kanary).contains("7 > 5 (max), pod trial-kanary-"), "{kanary}");
    Ok(())
}

/// Each error is reported, in the order in which it shows: no CA, then the wrong password, then none.
async fn it_is_evaluated_over_https_with_a_password(ns: TestNamespace) -> Result<(), Error> {
    let (prometheus, authority) = ns.lab()?.start_guarded_prometheus()?;
    let name = "metrics";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": {"kanary.k8s.io/prometheus": "true"}},
        "stringData": {"ca.crt": authority, "username": "kanary", "password": "wrong"}});
    ns.apply(secret).await?;
    may_read_secret(&ns, name).await?;
    let connection = json!({"url": prometheus.url(), "basicAuthSecretRef": {"name": name}});
    validating(&ns, asking("2s", json!({"query": "vector(1)", "prometheus": connection}))).await?;
    until_held(&ns, "certificate").await?;
    let trusting = merged(connection, json!({"caSecretRef": {"name": name}}));
    change(&ns, asking("2s", json!({"query": "vector(1)", "prometheus": trusting}))).await?;
    until_held(&ns, "401").await?;
    ns.patch::<Secret>(name, json!({"stringData": {"password": "sesame"}})).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert_contains(&kanary["status"]["items"][0], &json!({"verdict": "Valid", "value": "1", "query": "vector(1)"}));
    prometheus.kill().await
}

/// Prometheus understands each expression, on metrics that the controller has; and there is a leader.
async fn the_shipped_rules_are_evaluated(ns: TestNamespace) -> Result<(), Error> {
    let prometheus = ns.lab()?.prometheus()?;
    prometheus
        .until("kanary_leader", "the controller is scraped", |found| matches!(found, [one] if one.value == 1.0))
        .await?;
    ns.set_behaviour(TRIALS, Behaviour::default())?;
    validating(&ns, asking("1h", json!({"query": shipped(SUCCESS)}))).await?;
    let load = ns.calls_pods(TRIALS).await?.count(100_000).per_second(20.0).start();
    let recorded = format!("kanary:istio_requests:rate1m{{destination_workload_namespace=\"{}\"}}", ns.name());
    prometheus.until(&recorded, "requests are recorded", |found| found.iter().any(|rate| rate.value > 0.0)).await?;
    // A counter with labels exists from its first increment on.
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
        assert!(rule["alert"] != "KanaryNoLeader" || found.is_empty(), "{rule} alarms: {found:?}");
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let unknown: Vec<&str> = words.filter(|word| word.starts_with("kanary_") && !known(word)).collect();
        assert_eq!(unknown, [""; 0], "{rule}: not among {metrics:?}");
    }
    drop(load);
    Ok(())
}
