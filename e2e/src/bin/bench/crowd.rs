//! What one event costs in a crowded namespace, and what that costs others: Services and KanaryDeployments beside each other,
//! each Service with a claim on the pods of every canary.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use kanary_e2e::{Error, TestNamespace, controller::Controller};
use serde_json::{Map, Value, json};

use crate::{
    fleet::{PATIENCE, create, kanary},
    meter::{Usage, millis, per, usage},
    page::Page,
};

/// How many events of each kind are averaged.
const EVENTS: usize = 20;
/// Labels of each canary's pods; the Services select by pairs of these.
const LABELS: usize = 24;
/// When the canaries are due: they decide, and have no pods.
const LATER: &str = "2999-01-01T00:00:00Z";

/// `count` Services and as many KanaryDeployments in one namespace, and the cost of one event of each kind.
pub async fn measure(ns: &TestNamespace, neighbour: &TestNamespace, count: usize) -> Result<Value, Error> {
    eprintln!("{count} Services and {count} KanaryDeployments in a namespace");
    let ns = ns.patience(PATIENCE);
    create(&ns, (0..count).map(service)).await?;
    let controller = ns.lab()?.controller::<&str>(&[]).await?;
    create(&ns, (0..count).map(|nth| trial(&format!("trial-{nth}")))).await?;
    create(neighbour, [trial("neighbour")]).await?;
    neighbour.until_phase("neighbour", "Scheduled").await?;
    let decided = until_silent(&controller).await?;
    eprintln!("{decided} decisions until all are known");
    let mut report = Map::new();
    report.insert("count".into(), count.into());
    report.insert("serviceEvent".into(), events(&controller, |nth| touch_service(&ns, nth)).await?);
    report.insert("kanaryEvent".into(), events(&controller, |nth| touch_kanary(&ns, nth)).await?);
    report.insert("neighbourAnsweredMillis".into(), neighbour_answers(&ns, neighbour, count).await?.into());
    controller.stop().await?;
    Ok(report.into())
}

fn label(nth: usize) -> String {
    format!("label-{}", nth % LABELS)
}

fn service(nth: usize) -> Value {
    let pair = json!({label(nth): "x", label(nth * 7 + 1 + nth / LABELS): "x"});
    let spec = json!({"selector": pair, "ports": [{"port": 80}]});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("service-{nth}")}, "spec": spec})
}

fn trial(name: &str) -> Value {
    let mut trial = kanary(name, "web", &json!({"source": "none"}), &json!({}));
    let labels: Map<String, Value> = (0..LABELS).map(|nth| (label(nth), json!("x"))).collect();
    trial["spec"]["schedule"] = json!(LATER);
    trial["spec"]["template"]["spec"]["template"]["metadata"]["labels"] = labels.into();
    trial
}

async fn touch_service(ns: &TestNamespace, nth: usize) -> Result<(), Error> {
    let touched = json!({"metadata": {"labels": {"touched": nth.to_string()}}});
    ns.patch::<Service>("service-0", touched).await.map(drop)
}

async fn touch_kanary(ns: &TestNamespace, nth: usize) -> Result<(), Error> {
    let touched = json!({"spec": {"validation": {"validationPeriod": format!("{}m", nth + 1)}}});
    ns.patch_kanary("trial-0", touched).await.map(drop)
}

/// The cost of an event, on average: until the controller is silent again.
async fn events<F>(controller: &Controller, touch: impl Fn(usize) -> F) -> Result<Value, Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let decided = until_silent(controller).await?;
    let before = usage(controller.pid())?;
    for nth in 0..EVENTS {
        touch(nth).await?;
        until_silent(controller).await?;
    }
    let (after, decisions) = (usage(controller.pid())?, until_silent(controller).await? - decided);
    let spent = |usage: Usage| millis(usage.cpu);
    Ok(json!({
        "cpuMillis": per(spent(after) - spent(before), EVENTS),
        "decisions": per(decisions, EVENTS),
    }))
}

/// Waits until no more is decided, and returns how much was.
async fn until_silent(controller: &Controller) -> Result<f64, Error> {
    let mut known = -1.0;
    loop {
        tokio::time::sleep(Duration::from_millis(600)).await;
        let decided = Page(controller.get("/metrics").await?.1).sum("kanary_reconciles_total", "");
        if decided <= known {
            return Ok(decided);
        }
        known = decided;
    }
}

/// All canaries of the crowd have something to decide at the same moment: how long another namespace waits for its answer.
async fn neighbour_answers(ns: &TestNamespace, neighbour: &TestNamespace, count: usize) -> Result<f64, Error> {
    ns.apply(service(count)).await?;
    let begun = Instant::now();
    let asked = neighbour.patch_kanary("neighbour", json!({"spec": {"schedule": "2999-01-02T00:00:00Z"}})).await?;
    let generation = asked["metadata"]["generation"].clone();
    let is_answered = |kanary: &Value| kanary["status"]["observedGeneration"] == generation;
    neighbour.until_kanary("neighbour", "it is answered", is_answered).await?;
    Ok(millis(begun.elapsed()))
}
