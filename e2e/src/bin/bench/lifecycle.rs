//! Many canaries at once, each with a base and a Service of its own: created, evaluated for 10 s, promoted, removed.

use std::time::{Duration, Instant};

use kanary_e2e::{Error, TestNamespace};
use serde_json::{Value, json};

use crate::{
    fleet::{PATIENCE, base_and_canary, create_until, deploy, label_watch, until_events},
    meter::{by_kind, mebibytes, millis, per, requests, usage},
    page::Page,
};

/// How long the controller's requests are counted at rest.
const REST: Duration = Duration::from_secs(60);

/// One run of `count` canaries, with a controller of their own.
pub async fn measure(ns: &TestNamespace, count: usize) -> Result<Value, Error> {
    eprintln!("{count} canaries from creation to the end");
    let ns = ns.patience(PATIENCE);
    let validation = label_watch("10s");
    let (production, kanaries) = (0..count).map(|nth| base_and_canary(nth, "kanary-service", &validation)).unzip();
    deploy(&ns, production).await?;
    let controller = ns.lab()?.controller::<&str>(&[]).await?;
    let audit = ns.lab()?.audit();
    let (mark, before, begun) = (audit.mark(), usage(controller.pid())?, Instant::now());
    create_until(&ns, kanaries, "Succeeded").await?;
    let took = begun.elapsed();
    until_events(&ns, count, "Succeeded").await?;
    let after = usage(controller.pid())?;
    let reconciles = Page(controller.get("/metrics").await?.1).sum("kanary_reconciles_total", "");
    let calls = requests(&audit, mark)?;
    let mark = audit.mark();
    tokio::time::sleep(REST).await;
    let at_rest = requests(&audit, mark)?.len();
    controller.stop().await?;
    Ok(json!({
        "canaries": count,
        "seconds": millis(took) / 1000.0,
        "cpuMillisPerCanary": per(millis(after.cpu.saturating_sub(before.cpu)), count),
        "reconcilesPerCanary": per(reconciles, count),
        "requestsPerCanary": per(calls.len() as f64, count),
        "requestsPerCanaryByKind": by_kind(&calls, count),
        "peakRssMiB": mebibytes(after.peak_rss_kib),
        "requestsInAMinuteAtRest": at_rest,
    }))
}
