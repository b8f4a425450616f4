//! Many canaries at once, each with a base and a Service of its own: created, judged for ten seconds, promoted, gone.

use std::time::{Duration, Instant};

use kanary_e2e::{Error, Scene};
use serde_json::{Value, json};

use crate::crowd::{PATIENCE, cast, produce, reach, until_told, watching};
use crate::meter::{asked, by_kind, mebibytes, millis, per, usage};
use crate::page::Page;

/// How long the controller is watched at rest.
const REST: Duration = Duration::from_secs(60);

/// One run of so many canaries, with a controller of their own.
pub async fn measure(scene: &Scene, count: usize) -> Result<Value, Error> {
    eprintln!("{count} canaries from creation to the end");
    let scene = scene.patience(PATIENCE);
    let validation = watching("10s");
    let (production, kanaries) = (0..count).map(|nth| cast(nth, "kanary-service", &validation)).unzip();
    produce(&scene, production).await?;
    let controller = scene.lab()?.controller::<&str>(&[]).await?;
    let audit = scene.lab()?.audit();
    let (mark, before, begun) = (audit.mark(), usage(controller.pid())?, Instant::now());
    reach(&scene, kanaries, "Succeeded").await?;
    let took = begun.elapsed();
    until_told(&scene, count, "Succeeded").await?;
    let after = usage(controller.pid())?;
    let looks = Page(controller.get("/metrics").await?.1).sum("kanary_reconciles_total", "");
    let calls = asked(&audit, mark)?;
    let mark = audit.mark();
    tokio::time::sleep(REST).await;
    let at_rest = asked(&audit, mark)?.len();
    controller.stop().await?;
    Ok(json!({
        "canaries": count,
        "seconds": millis(took) / 1000.0,
        "cpuMillisPerCanary": per(millis(after.cpu.saturating_sub(before.cpu)), count),
        "looksPerCanary": per(looks, count),
        "requestsPerCanary": per(calls.len() as f64, count),
        "requestsPerCanaryByKind": by_kind(&calls, count),
        "peakRssMiB": mebibytes(after.peak_rss_kib),
        "requestsInAMinuteAtRest": at_rest,
    }))
}
