//! Many canaries that are judged, each by a query of its own to a real Prometheus about its own pod, every ten seconds.
//!
//! They come in teams, one after the other, each with a namespace and a base of its own: what is measured is how many are
//! judged, not how many are made at once.

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
    fleet::{PATIENCE, kanary, produce, production, reach, until_each, until_told},
    meter::{Usage, asked, by_kind, mebibytes, millis, rounded, usage},
    page::{Between, Page},
};

/// Canaries in a namespace.
const TEAM: usize = 20;
/// How long they are watched, once all are judged.
const WINDOW: Duration = Duration::from_secs(60);
const WEB: &str = "web";
/// Names of pods differ, so no two canaries ask the same.
const QUERY: &str = r#"sum(queue_length{namespace="{{namespace}}",pod=~"{{canary.pods}}"}) < bool 5"#;
const LAG: &str = "kanary_query_lag_seconds";
const ANSWER: &str = "kanary_query_duration_seconds";

/// Has so many canaries judged by a controller of their own.
pub async fn measure(cluster: &Arc<Cluster>, count: usize) -> Result<Value, Error> {
    eprintln!("{count} canaries that ask Prometheus");
    let lab = cluster.lab()?;
    let controller = lab.controller(&[format!("--prometheus-url={}", lab.prometheus()?.url())]).await?;
    let begun = Instant::now();
    for first in (0..count).step_by(TEAM) {
        bring(cluster, TEAM.min(count - first)).await?;
    }
    let created = begun.elapsed();
    eprintln!("all are judged after {} s", created.as_secs());
    let report = watch(lab, &controller, count).await?;
    controller.stop().await?;
    let creation = json!({
        "canaries": count,
        "namespaces": count.div_ceil(TEAM),
        "creationSeconds": rounded(created.as_secs_f64()),
    });
    Ok(merged(creation, report))
}

/// A team: its canaries are judged, and have told so.
async fn bring(cluster: &Arc<Cluster>, count: usize) -> Result<(), Error> {
    let ns = TestNamespace::open(cluster.clone(), "prometheus").await?.patience(PATIENCE);
    ns.set_behaviour("", Behaviour::default().showing("queue_length", 1.0))?;
    produce(&ns, vec![production(WEB)]).await?;
    reach(&ns, (0..count).map(judged).collect(), "Validating").await?;
    let is_valid = |kanary: &DynamicObject| kanary.data["status"]["items"][0]["verdict"] == "Valid";
    until_each(&ns, count, "valid so far", is_valid).await?;
    until_told(&ns, count, "Validating").await
}

fn judged(nth: usize) -> Value {
    let validation = json!({
        "validationPeriod": "24h", "maxIntervalPeriod": "10s", "items": [{"promQL": {"query": QUERY}}],
    });
    kanary(&format!("trial-{nth}"), WEB, &json!({"source": "none"}), &validation)
}

/// All that is counted, at a moment.
struct Look {
    at: Instant,
    usage: Usage,
    controller: Page,
    prometheus: Page,
}

impl Look {
    async fn at(lab: &Lab, controller: &Controller) -> Result<Self, Error> {
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
    let (mark, before) = (audit.mark(), Look::at(lab, controller).await?);
    tokio::time::sleep(WINDOW).await;
    let (calls, after) = (asked(&audit, mark)?, Look::at(lab, controller).await?);
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    Ok(merged(
        told(&before, &after, seconds),
        json!({
            "apiRequestsPerSecond": rounded(calls.len() as f64 / seconds),
            "apiRequestsPerCanaryByKind": by_kind(&calls, canaries),
        }),
    ))
}

fn told(before: &Look, after: &Look, seconds: f64) -> Value {
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
