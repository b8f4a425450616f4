//! Keeps a Service with an unnamed port from taking the sidecar's listener for itself.
//!
//! Where nothing names a port's protocol, Istio looks at the bytes, and gives the port routes of that one Service. In a
//! cluster its listener has the Service's own address, so nobody else is concerned. Nothing redirects packets in the lab:
//! all Services with a port share the listener `127.0.0.1:PORT`, and every request would go to the pods of that one
//! Service. So each listener uses the routes of all Services with its port, which include those.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

/// The ports of Services that the lab's mesh is for.
const PORTS: RangeInclusive<u16> = 80..=99;

const HTTP: &str = "envoy.filters.network.http_connection_manager";

/// An EnvoyFilter of Istio's root namespace, for all sidecars.
pub fn object() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
        "metadata": {"name": "shared-ports", "namespace": "istio-system"},
        "spec": {"configPatches": PORTS.map(patch).collect::<Vec<_>>()},
    })
}

fn patch(port: u16) -> Value {
    let listener = json!({"portNumber": port, "filterChain": {"filter": {"name": HTTP}}});
    json!({
        "applyTo": "NETWORK_FILTER",
        "match": {"context": "SIDECAR_OUTBOUND", "listener": listener},
        "patch": {"operation": "MERGE", "value": {"typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "rds": {"route_config_name": port.to_string()},
        }}},
    })
}
