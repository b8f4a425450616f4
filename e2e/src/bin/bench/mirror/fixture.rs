//! Production with a route that is mirrored and one that is not, and its canaries.

use kanary_e2e::{Error, TestNamespace};
use serde_json::{Value, json};

use crate::fleet::{deploy, kanary, production};

/// Production.
pub const WEB: &str = "web";
/// The path of the route with the mirror; no other is mirrored.
pub const COPIED: &str = "/copied";
/// The path of the route that is not mirrored.
pub const PLAIN: &str = "/plain";
/// Requests a second: far below what one Envoy and one core can do.
pub const PER_SECOND: f64 = 200.0;

/// Deploys production with a route to mirror and one not to mirror.
pub async fn deploy_with_routes(ns: &TestNamespace) -> Result<(), Error> {
    deploy(ns, vec![production(WEB)]).await?;
    ns.put(virtual_service(WEB)).await?;
    ns.until_known(WEB, 80, 1).await
}

/// The user's VirtualService of a Service.
pub fn virtual_service(web: &str) -> Value {
    let route = json!([{"destination": {"host": web}}]);
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": web},
        "spec": {"hosts": [web], "http": [
            {"name": "copied", "match": [{"uri": {"prefix": COPIED}}], "route": route},
            {"name": "plain", "route": route},
        ]},
    })
}

/// A canary that gets a copy of every request to the first route.
pub fn mirrored(name: &str, web: &str, validation: &Value) -> Value {
    let mirror = json!({"virtualService": {"name": web, "routes": ["copied"]}, "acknowledgeWrites": true});
    kanary(name, web, &json!({"source": "mirror", "mirror": mirror}), validation)
}

/// Is this one of the canary's pods?
pub fn is_of(name: &str, pod: &str) -> bool {
    pod.strip_prefix(name).is_some_and(|rest| rest.starts_with("-kanary-"))
}
