//! How long a bad canary pod still gets production traffic: from the label of invalidation to the EndpointSlice without it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kanary_e2e::{Context, Error, Scene};
use kube::ResourceExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, watcher};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::crowd::{cast, produce, reach, watching};
use crate::meter::{millis, percentile};

const PATIENCE: Duration = Duration::from_secs(300);

/// Pods by EndpointSlice.
type Listed = BTreeMap<String, BTreeSet<String>>;

/// Fails so many canaries that are in production, one after the other, and measures how long they stay.
pub async fn measure(scene: &Scene, count: usize) -> Result<Value, Error> {
    eprintln!("from a label of invalidation to the end of traffic, {count} times");
    let scene = scene.patience(PATIENCE);
    let validation = watching("1h");
    let (production, kanaries) = (0..count).map(|nth| cast(nth, "service", &validation)).unzip();
    let controller = scene.lab()?.controller::<&str>(&[]).await?;
    produce(&scene, production).await?;
    reach(&scene, kanaries, "Validating").await?;
    let mut listed = follow(&scene);
    let mut took = Vec::new();
    for nth in 0..count {
        let pods = scene.list::<Pod>(&format!("kanary.k8s.io/canary=trial-{nth}")).await?;
        let pod = pods.first().map(Pod::name_any).ok_or_else(|| Error::wrong("a canary without a pod"))?;
        await_that(&mut listed, |listed| is_listed(listed, &pod)).await?;
        let begun = Instant::now();
        scene.patch::<Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
        await_that(&mut listed, |listed| !is_listed(listed, &pod)).await?;
        took.push(begun.elapsed());
    }
    controller.stop().await?;
    took.sort_unstable();
    Ok(json!({
        "canaries": count,
        "millisP50": millis(percentile(&took, 0.5)),
        "millisP99": millis(percentile(&took, 0.99)),
        "millisMax": millis(percentile(&took, 1.0)),
    }))
}

fn is_listed(listed: &Listed, pod: &str) -> bool {
    listed.values().any(|pods| pods.contains(pod))
}

async fn await_that(listed: &mut watch::Receiver<Listed>, met: impl Fn(&Listed) -> bool) -> Result<(), Error> {
    let told = || "wait for a pod to come or go: it did not".to_owned();
    tokio::time::timeout(PATIENCE, listed.wait_for(met)).await.context(told)?.context(told).map(drop)
}

/// What the EndpointSlices list, as a watch shows it; ends with the process.
fn follow(scene: &Scene) -> watch::Receiver<Listed> {
    let (sender, receiver) = watch::channel(Listed::new());
    let api = scene.api::<EndpointSlice>();
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
