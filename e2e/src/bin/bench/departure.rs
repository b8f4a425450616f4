//! How long a bad canary pod still gets production traffic: from the invalidation label to the EndpointSlice without
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, discovery::v1::EndpointSlice};
use kanary_e2e::{Context, Error, TestNamespace};
use kube::{
    ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{Config, watcher},
    },
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    fleet::{base_and_canary, create_until, deploy, label_watch},
    meter::{millis, percentile},
};

const PATIENCE: Duration = Duration::from_secs(300);

/// Pods by EndpointSlice.
type Listed = BTreeMap<String, BTreeSet<String>>;

/// Fails `count` canaries that serve production traffic, one after the other, and measures how long they stay. To
/// measure the cluster itself, a pod of each base is first removed from its Service by hand, which is one write without
/// a controller.
pub async fn measure(ns: &TestNamespace, count: usize) -> Result<Value, Error> {
    eprintln!("from the invalidation label to the end of traffic, {count} times");
    let ns = ns.patience(PATIENCE);
    let validation = label_watch("1h");
    let (production, kanaries) = (0..count).map(|nth| base_and_canary(nth, "service", &validation)).unzip();
    let controller = ns.lab()?.controller::<&str>(&[]).await?;
    deploy(&ns, production).await?;
    create_until(&ns, kanaries, "Validating").await?;
    let mut listed = follow(&ns);
    let (mut by_hand, mut by_canary) = (Vec::new(), Vec::new());
    for nth in 0..count {
        let web = format!("web-{nth}");
        let pod = only_pod(&ns, &format!("app={web},!kanary.k8s.io/canary")).await?;
        by_hand.push(leave(&ns, &mut listed, &pod, json!({"app": "none"})).await?);
        let is_available = |web: &Deployment| web.status.as_ref().is_some_and(|s| s.available_replicas == Some(1));
        ns.until(&web, "it is available again", is_available).await?;
    }
    for nth in 0..count {
        let trial = format!("trial-{nth}");
        let pod = only_pod(&ns, &format!("kanary.k8s.io/canary={trial}")).await?;
        by_canary.push(leave(&ns, &mut listed, &pod, json!({"bad": "yes"})).await?);
        // Its removal must not slow down the next one.
        ns.until_phase(&trial, "Failed").await?;
    }
    controller.stop().await?;
    Ok(json!({"canaries": count, "byLabelOfInvalidation": summary(by_canary), "byHand": summary(by_hand)}))
}

fn summary(mut took: Vec<Duration>) -> Value {
    took.sort_unstable();
    json!({
        "millisP50": millis(percentile(&took, 0.5)),
        "millisP99": millis(percentile(&took, 0.99)),
        "millisMax": millis(percentile(&took, 1.0)),
    })
}

async fn only_pod(ns: &TestNamespace, labels: &str) -> Result<String, Error> {
    let pods = ns.list::<Pod>(labels).await?;
    pods.first().map(Pod::name_any).ok_or_else(|| Error::wrong(format!("no pod has the labels {labels}")))
}

/// Labels a pod, and waits until no EndpointSlice lists it.
async fn leave(
    ns: &TestNamespace,
    listed: &mut watch::Receiver<Listed>,
    pod: &str,
    labels: Value,
) -> Result<Duration, Error> {
    await_that(listed, |listed| is_listed(listed, pod)).await?;
    let begun = Instant::now();
    ns.patch::<Pod>(pod, json!({"metadata": {"labels": labels}})).await?;
    await_that(listed, |listed| !is_listed(listed, pod)).await?;
    Ok(begun.elapsed())
}

fn is_listed(listed: &Listed, pod: &str) -> bool {
    listed.values().any(|pods| pods.contains(pod))
}

async fn await_that(listed: &mut watch::Receiver<Listed>, met: impl Fn(&Listed) -> bool) -> Result<(), Error> {
    let what = || "wait for an EndpointSlice to change".to_owned();
    tokio::time::timeout(PATIENCE, listed.wait_for(met)).await.context(what)?.context(what).map(drop)
}

/// What the EndpointSlices list, as a watch shows it; ends with the process.
fn follow(ns: &TestNamespace) -> watch::Receiver<Listed> {
    let (sender, receiver) = watch::channel(Listed::new());
    let api = ns.api::<EndpointSlice>();
    tokio::spawn(async move {
        let mut slices = watcher(api, Config::default()).default_backoff().applied_objects().boxed();
        while let Some(slice) = slices.next().await {
            let Ok(slice) = slice else { continue };
            let pods =
                slice.endpoints.iter().filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone()).collect();
            sender.send_modify(|listed| drop(listed.insert(slice.name_any(), pods)));
        }
    });
    receiver
}
