//! The ingress gateway: its pod and Service, and a Gateway of each API for tests to attach routes to.
//!
//! Both are called `ingress` and accept routes of all namespaces. They have different ports, so that a test cannot
//! confuse them: a VirtualService says `gateways: [istio-ingress/ingress]`, an HTTPRoute
//! `parentRefs: [{name: ingress, namespace: istio-ingress}]`.

use std::{net::Ipv4Addr, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, runtime::watcher};
use serde_json::{Value, json};

use crate::{
    Context, Error,
    network::{HTTP_ROUTE_GATEWAY_PORT, ISTIO_GATEWAY_PORT},
    wait,
};

/// The namespace of these objects.
pub const NAMESPACE: &str = "istio-ingress";
/// The gateway's pod.
pub const POD: &str = "ingress-0";

const PATIENCE: Duration = Duration::from_secs(60);

/// The labels that a Gateway's `selector` matches.
pub fn labels() -> Value {
    json!({"app": "istio-ingressgateway", "istio": "ingressgateway"})
}

/// What is created before istiod starts; the namespaces first.
pub fn objects() -> Vec<Value> {
    let named = |name: &str| json!({"name": name, "namespace": NAMESPACE});
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let mut meta = named(POD);
    meta["labels"] = labels();
    vec![
        namespace("istio-system"),
        namespace(NAMESPACE),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named("default")}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {
            "containers": [{"name": "istio-proxy", "image": "envoy:1"}],
        }}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": named("ingress"), "spec": {
            "selector": labels(),
            "ports": [
                {"name": "http", "port": 80, "targetPort": ISTIO_GATEWAY_PORT},
                {"name": "http-gateway", "port": 81, "targetPort": HTTP_ROUTE_GATEWAY_PORT},
            ],
        }}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": named("ingress"), "spec": {
            "selector": labels(),
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        }}),
        // An address that is a Service means that the gateway is deployed already, and which one it is.
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": named("ingress"), "spec": {
            "gatewayClassName": "istio",
            "addresses": [{"type": "Hostname", "value": format!("ingress.{NAMESPACE}.svc.cluster.local")}],
            "listeners": [{
                "name": "http", "port": 81, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}},
            }],
        }}),
    ]
}

/// The address of the gateway's pod.
pub async fn address(client: &Client) -> Result<Ipv4Addr, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let config = watcher::Config::default().fields(&format!("metadata.name={POD}"));
    let ip = |pod: &Pod| pod.status.as_ref()?.pod_ip.clone();
    let seen = wait::until(pods, config, PATIENCE, |seen| seen.values().any(|pod| ip(pod).is_some())).await;
    let seen = seen.map_err(|_| Error::wrong("the gateway's pod has got no address"))?;
    let address = seen.values().find_map(ip).unwrap_or_default();
    address.parse().context(|| format!("the gateway's address {address:?}"))
}
