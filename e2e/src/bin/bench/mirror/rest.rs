//! What mirrors cost while nothing happens: canaries that are evaluated, each mirrored by a route of the user's own.

use std::time::{Duration, Instant};

use kanary_e2e::{Error, TestNamespace, controller::Controller};
use serde_json::{Value, json};

use super::fixture::{mirrored, virtual_service};
use crate::{
    fleet::{PATIENCE, create_until, deploy, label_watch, production, until_events},
    meter::{by_kind, millis, requests, rounded, usage},
};

const CANARIES: usize = 20;
const REST: Duration = Duration::from_secs(60);

/// Starts them, and measures the controller at rest.
pub async fn measure(ns: &TestNamespace, controller: &Controller) -> Result<Value, Error> {
    eprintln!("{CANARIES} mirrors at rest");
    let ns = ns.patience(PATIENCE);
    let webs: Vec<String> = (0..CANARIES).map(|nth| format!("web-{nth}")).collect();
    deploy(&ns, webs.iter().map(|web| production(web)).collect()).await?;
    for web in &webs {
        ns.put(virtual_service(web)).await?;
    }
    let validation = label_watch("24h");
    let kanaries = webs.iter().map(|web| mirrored(&format!("{web}-trial"), web, &validation)).collect();
    create_until(&ns, kanaries, "Validating").await?;
    until_events(&ns, CANARIES, "Validating").await?;
    let audit = ns.lab()?.audit();
    let (mark, before, begun) = (audit.mark(), usage(controller.pid())?, Instant::now());
    tokio::time::sleep(REST).await;
    let (calls, after, seconds) = (requests(&audit, mark)?, usage(controller.pid())?, begun.elapsed().as_secs_f64());
    Ok(json!({
        "canaries": CANARIES,
        "seconds": rounded(seconds),
        "requests": calls.len(),
        "requestsPerCanaryByKind": by_kind(&calls, CANARIES),
        "cpuMillisPerSecond": rounded(millis(after.cpu.saturating_sub(before.cpu)) / seconds),
    }))
}
