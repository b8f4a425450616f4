//! What a mirror costs production and the API server, and how soon it begins and ends.
//!
//! Production, canary and callers are one process here, the bench itself, so what copies cost the canary's machine costs
//! production's as well: what a mirror adds to its latency is an upper bound.

mod latency;
mod rest;
mod times;

use std::sync::Arc;

use kanary_e2e::scene::Stage;
use kanary_e2e::{Error, Scene};
use serde_json::{Value, json};

use crate::crowd::{kanary, produce, production};

const WEB: &str = "web";
/// The path of the route that carries the mirror; no other is copied.
const COPIED: &str = "/copied";
const PLAIN: &str = "/plain";
/// Far below what one Envoy and one core can do.
const PER_SECOND: f64 = 200.0;

/// All of it, with one controller.
pub async fn measure(stage: &Arc<Stage>, runs: usize) -> Result<Value, Error> {
    let open = |name: &'static str| Scene::open(stage.clone(), name);
    let scene = open("latency").await?;
    let controller = scene.lab()?.controller::<&str>(&[]).await?;
    let latency = latency::measure(&scene, runs).await?;
    let times = times::measure(&open("times").await?, runs).await?;
    let at_rest = rest::measure(&open("rest").await?, &controller).await?;
    controller.stop().await?;
    Ok(json!({"latency": latency, "times": times, "atRest": at_rest}))
}

/// Production stands, behind a route that is to be copied and one that is not.
async fn stand(scene: &Scene) -> Result<(), Error> {
    produce(scene, vec![production(WEB)]).await?;
    scene.put(virtual_service(WEB)).await?;
    scene.until_known(WEB, 80, 1).await
}

/// The user's VirtualService of a Service.
fn virtual_service(web: &str) -> Value {
    let route = json!([{"destination": {"host": web}}]);
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": web},
        "spec": {"hosts": [web], "http": [
            {"name": "copied", "match": [{"uri": {"prefix": COPIED}}], "route": route},
            {"name": "plain", "route": route},
        ]},
    })
}

/// A canary that gets a copy of each request to the first route.
fn mirrored(name: &str, web: &str, validation: &Value) -> Value {
    let mirror = json!({"virtualService": {"name": web, "routes": ["copied"]}, "acknowledgeWrites": true});
    kanary(name, web, &json!({"source": "mirror", "mirror": mirror}), validation)
}

/// Is it one of the pods of this canary?
fn is_of(name: &str, pod: &str) -> bool {
    pod.strip_prefix(name).is_some_and(|rest| rest.starts_with("-kanary-"))
}
