//! Many canaries that are evaluated, each with a query about its own pod to a real Prometheus, every 10 s.
//!
//! They are created in teams, one after the other, each with a namespace and a base of its own: the benchmark is about
//! how many are evaluated, not how many are created at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kanary_e2e::{
    Error, Lab, TestNamespace, backend::behaviour::Behaviour, controller::Controller, test_namespace::Cluster,
};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::{
    fleet::{PATIENCE, create_until, deploy, kanary, production, until_each, until_events},
    meter::{Usage, by_kind, mebibytes, millis, requests, rounded, usage},
    page::{Between, Page},
};

/// Canaries in a namespace.
const TEAM: usize = 20;
/// How long they are measured, once all are evaluated.
const WINDOW: Duration = Duration::from_secs(60);
const WEB: &str = "web";
/// Names of pods differ, so no two canaries have the same query.
const QUERY: &str = r#"sum(queue_length{namespace="{{namespace}}",pod=~"{{canary.pods}}"}) < bool 5"#;
const LAG: &str = "kanary_query_lag_seconds";
const ANSWER: &str = "kanary_query_duration_seconds";

/// Evaluates `count` canaries with a controller of their own.
pub async fn measure(cluster: &Arc<Cluster>, count: usize) -> Result<Value, Error> {
    eprintln!("{count} canaries that query Prometheus");
    let lab = cluster.lab()?;
    let controller = lab.controller(&[format!("--prometheus-url={}", lab.prometheus()?.url())]).await?;
    let begun = Instant::now();
    for first in (0..count).step_by(TEAM) {
        create_team(cluster, TEAM.min(count - first)).await?;
    }
    let created = begun.elapsed();
    eprintln!("all are evaluated after {} s", created.as_secs());
    let report = watch(lab, &controller, count).await?;
    controller.stop().await?;
    let creation = json!({
        "canaries": count,
        "namespaces": count.div_ceil(TEAM),
        "creationSeconds": rounded(created.as_secs_f64()),
    });
    Ok(merged(creation, report))
}

/// Creates a team, and waits until its canaries are evaluated, with an event.
async fn create_team(cluster: &Arc<Cluster>, count: usize) -> Result<(), Error> {
    let ns = TestNamespace::open(cluster.clone(), "prometheus").await?.patience(PATIENCE);
    ns.set_behaviour("", Behaviour::default().showing("queue_length", 1.0))?;
    deploy(&ns, vec![production(WEB)]).await?;
    create_until(&ns, (0..count).map(evaluated).collect(), "Validating").await?;
    let is_valid = |kanary: &DynamicObject| kanary.data["status"]["items"][0]["verdict"] == "Valid";
    until_each(&ns, count, "valid so far", is_valid).await?;
    until_events(&ns, count, "Validating").await
}

fn evaluated(nth: usize) -> Value {
    let validation = json!({
        "validationPeriod": "24h", "maxIntervalPeriod": "10s", "items": [{"promQL": {"query": QUERY}}],
    });
    kanary(&format!("trial-{nth}"), WEB, &json!({"source": "none"}), &validation)
}

/// All counters, at a moment.
struct Snapshot {
    at: Instant,
    usage: Usage,
    controller: Page,
    prometheus: Page,
}

impl Snapshot {
    async fn take(lab: &Lab, controller: &Controller) -> Result<Self, Error> {
        Ok(Self {
            at: Instant::now(),
            usage: usage(controller.pid())?,
            controller: Page(controller.get("/metrics").await?.1),
            prometheus: Page(lab.prometheus()?.page().await?),
        })
    }
}

async fn watch(lab: &Lab, controller: &Controller, canaries: usize) -> Result<Value, Error> {
    let audit = lab.audit();
    let (mark, before) = (audit.mark(), Snapshot::take(lab, controller).await?);
    tokio::time::sleep(WINDOW).await;
    let (calls, after) = (requests(&audit, mark)?, Snapshot::take(lab, controller).await?);
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    Ok(merged(
        figures(&before, &after, seconds),
        json!({
            "apiRequestsPerSecond": rounded(calls.len() as f64 / seconds),
            "apiRequestsPerCanaryByKind": by_kind(&calls, canaries),
        }),
    ))
}

fn figures(before: &Snapshot, after: &Snapshot, seconds: f64) -> Value {
    let ours = Between(&before.controller, &after.controller);
    let server = Between(&before.prometheus, &after.prometheus);
    let answers = |outcome: &str| ours.grown("kanary_queries_total", &format!("outcome=\"{outcome}\""));
    let evaluations = ours.grown("kanary_queries_total", "");
    let cpu = millis(after.usage.cpu.saturating_sub(before.usage.cpu));
    let in_millis = |seconds: f64| rounded(seconds * 1000.0);
    json!({
        "windowSeconds": rounded(seconds),
        "evaluationsPerSecond": rounded(evaluations / seconds),
        "evaluationsByOutcome": {
            "true": answers("true"), "false": answers("false"), "unknown": answers("unknown"),
        },
        "prometheusRequestsPerSecond":
            rounded(server.grown("prometheus_http_requests_total", "handler=\"/api/v1/query\"") / seconds),
        "cpuMillisPerSecond": rounded(cpu / seconds),
        "cpuMillisPerEvaluation": rounded(cpu / evaluations.max(1.0)),
        "rssMiB": mebibytes(after.usage.rss_kib),
        "peakRssMiB": mebibytes(after.usage.peak_rss_kib),
        "lagMillisMean": in_millis(ours.mean(LAG)),
        "lagMillisP50": in_millis(ours.percentile(LAG, 0.5)),
        "lagMillisP99": in_millis(ours.percentile(LAG, 0.99)),
        "answerMillisMean": in_millis(ours.mean(ANSWER)),
    })
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}
