//! What a mirror costs production and the API server, and how soon it starts and stops.
//!
//! Production, canary and clients are one process here, the bench itself, so what copies cost the canary's machine
//! costs production's as well: what a mirror adds to its latency is an upper bound.

mod fixture;
mod latency;
mod rest;
mod times;

use std::sync::Arc;

use kanary_e2e::{Error, TestNamespace, test_namespace::Cluster};
use serde_json::{Value, json};

/// All measurements, with one controller.
pub async fn measure(cluster: &Arc<Cluster>, runs: usize) -> Result<Value, Error> {
    let open = |name: &'static str| TestNamespace::open(cluster.clone(), name);
    let ns = open("latency").await?;
    let controller = ns.lab()?.controller::<&str>(&[]).await?;
    let latency = latency::measure(&ns, runs).await?;
    let times = times::measure(&open("times").await?, runs).await?;
    let at_rest = rest::measure(&open("rest").await?, &controller).await?;
    controller.stop().await?;
    Ok(json!({"latency": latency, "times": times, "atRest": at_rest}))
}
