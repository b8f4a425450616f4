//! Many canaries at once, each with a base and a Service of its own: created, judged for ten seconds, promoted, gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use kanary_e2e::audit::Call;
use kanary_e2e::{Error, Scene};
use kube::runtime::watcher::Config;
use serde_json::{Value, json};

use crate::meter::{millis, usage};

const AT_ONCE: usize = 20;
const PATIENCE: Duration = Duration::from_secs(900);
/// How long the controller is watched at rest.
const REST: Duration = Duration::from_secs(60);

/// The base, its Service and the canary of a number.
pub fn cast(nth: usize, traffic: &str, validation: &Value) -> (Vec<Value>, Value) {
    let (web, labels) = (format!("web-{nth}"), json!({"app": format!("web-{nth}")}));
    let containers = |image: &str| json!({"containers": [{"name": "web", "image": image}]});
    let production = vec![
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": web},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": web},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": containers("web:1")}},
        }),
    ];
    let kanary = json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": format!("trial-{nth}")},
        "spec": {
            "deploymentName": web, "serviceName": web, "traffic": {"source": traffic}, "validation": validation,
            "template": {"spec": {"template": {"metadata": {"labels": labels}, "spec": containers("web:2")}}},
        },
    });
    (production, kanary)
}

/// Puts up production, and waits until it is available.
pub async fn produce(scene: &Scene, production: Vec<Vec<Value>>) -> Result<(), Error> {
    let count = production.len();
    let objects = stream::iter(production.into_iter().flatten());
    objects
        .map(|object| async move { scene.apply(object).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    let available = |web: &Deployment| web.status.as_ref().is_some_and(|status| status.available_replicas == Some(1));
    let met = |all: &kanary_e2e::wait::Seen<Deployment>| all.values().filter(|web| available(web)).count() == count;
    scene.until_all("", "production is available", met).await.map(drop)
}

/// Creates the canaries, and waits until all are in that phase.
pub async fn reach(scene: &Scene, kanaries: Vec<Value>, phase: &str) -> Result<(), Error> {
    let count = kanaries.len();
    let created = stream::iter(kanaries).map(|kanary| async move { scene.apply(kanary).await });
    created.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    let there = |all: &kanary_e2e::wait::Seen<kube::api::DynamicObject>| {
        all.values().filter(|kanary| kanary.data["status"]["phase"] == phase).count() == count
    };
    match kanary_e2e::wait::until(scene.kanaries(), Config::default(), PATIENCE, there).await {
        Ok(_) => Ok(()),
        Err(seen) => Err(Error::wrong(format!("not all became {phase}:\n{}", kanary_e2e::wait::yaml(&seen)))),
    }
}

/// One run of so many canaries, with a controller of their own.
pub async fn measure(scene: &Scene, count: usize) -> Result<Value, Error> {
    let scene = scene.patience(PATIENCE);
    let validation = json!({
        "validationPeriod": "10s", "items": [{"labelWatch": {"podInvalidationLabels": {"bad": "yes"}}}],
    });
    let (production, kanaries) = (0..count).map(|nth| cast(nth, "kanary-service", &validation)).unzip();
    produce(&scene, production).await?;
    let controller = scene.lab()?.controller::<&str>(&[]).await?;
    let audit = scene.lab()?.audit();
    let (mark, before, begun) = (audit.mark(), usage(controller.pid())?, Instant::now());
    reach(&scene, kanaries, "Succeeded").await?;
    let took = begun.elapsed();
    until_all_is_told(&scene, count).await?;
    let after = usage(controller.pid())?;
    let calls: Vec<Call> = audit.since(mark, ":kanary")?.into_iter().filter(counts).collect();
    let mark = audit.mark();
    tokio::time::sleep(REST).await;
    let at_rest = audit.since(mark, ":kanary")?.into_iter().filter(counts).count();
    controller.stop().await?;
    let mut kinds: BTreeMap<String, f64> = BTreeMap::new();
    for call in &calls {
        *kinds.entry(format!("{} {}", call.verb, call.resource)).or_default() += per(1.0, count);
    }
    kinds.values_mut().for_each(|share| *share = (*share * 100.0).round() / 100.0);
    #[allow(clippy::cast_precision_loss)] // a count
    let requests = per(calls.len() as f64, count);
    Ok(json!({
        "canaries": count,
        "seconds": millis(took) / 1000.0,
        "cpuMillisPerCanary": per(millis(after.cpu.saturating_sub(before.cpu)), count),
        "requestsPerCanary": requests,
        "requestsByKind": kinds,
        "peakRssMiB": (after.peak_rss_kib * 10 / 1024) as f64 / 10.0,
        "requestsInAMinuteAtRest": at_rest,
    }))
}

#[allow(clippy::cast_precision_loss)] // a count
fn per(total: f64, count: usize) -> f64 {
    (total / count as f64 * 100.0).round() / 100.0
}

/// Watches and the lease go on for ever, whatever there is to do.
fn counts(call: &Call) -> bool {
    !call.is_watch() && !call.is_lease()
}

/// Events come after the status that they speak of.
async fn until_all_is_told(scene: &Scene, count: usize) -> Result<(), Error> {
    let met = |events: &kanary_e2e::wait::Seen<Event>| {
        let is_last = |event: &&Event| {
            event.involved_object.kind.as_deref() == Some("KanaryDeployment")
                && event.reason.as_deref() == Some("Succeeded")
        };
        events.values().filter(is_last).count() == count
    };
    scene.until_all("", "each has told its end", met).await.map(drop)
}
