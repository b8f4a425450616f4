//! Mirrors at the edge, and the ports that copies go to, there and inside.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use kanary_e2e::{Error, TestNamespace, backend::arrivals::Arrival};
use serde_json::{Value, json};

use super::{until_accepted, world};
use crate::support::{mesh::*, *};

pub async fn a_gateway_copies_for_a_virtual_service(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let host = ns.public_host();
    let route = virtual_service(json!({"name": "outside", "mirrors": [mirror(CANARY, 50)]}));
    ns.put(merged(route, at_the_gateway(&host))).await?;
    ns.until_gateway_route(&host, "outside", |route| route.name == "outside").await?;
    let copies = copied(&ns, ns.calls_gateway(&host)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 50);
    assert_eq!(at(CANARY, &copies), copies.len());
    // It is a route of the gateway only: inside the mesh, the Service has none.
    assert_eq!(copied(&ns, ns.calls(WEB)?.count(FEW)).await?, []);
    Ok(())
}

/// A user's Gateway for this host only; the port is that of the gateway's Service.
pub async fn a_gateway_of_ones_own_serves_its_hosts(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let host = ns.public_host();
    ns.put(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "shop"},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": [
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [host]},
        ]},
    }))
    .await?;
    let route = virtual_service(json!({"name": "shop", "mirrors": [mirror(CANARY, 100)]}));
    let own = json!({"spec": {"gateways": ["shop"]}});
    ns.put(merged(merged(route, at_the_gateway(&host)), own)).await?;
    ns.until_gateway_route(&host, "shop", |route| route.name == "shop").await?;
    assert_eq!(copied(&ns, ns.calls_gateway(&host)?.count(FEW)).await?.len(), FEW);
    Ok(())
}

pub async fn an_http_route_copies_at_the_gateway(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let (host, canary) = (ns.public_host(), ns.host(CANARY));
    let route = http_route(the_gateway(), request_mirror(30));
    ns.put(merged(route, json!({"spec": {"hostnames": [host]}}))).await?;
    until_accepted(&ns).await?;
    ns.until_gateway_route(&host, "copies", |route| route.copies_to(&canary) == 30.0).await?;
    let copies = copied(&ns, ns.calls_http_route(&host)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 30);
    assert_eq!(at(CANARY, &copies), copies.len());
    Ok(())
}

/// A Service gets other ports: the number in the Service, and the pods'.
async fn ports(ns: &TestNamespace, name: &str, ports: [(u16, u16); 2]) -> Result<(), Error> {
    let [first, second] =
        ports.map(|(port, target)| json!({"name": format!("http-{port}"), "port": port, "targetPort": target}));
    ns.patch::<Service>(name, json!({"spec": {"ports": [first, second]}})).await?;
    let pods = if name == WEB { 2 } else { 1 };
    for (port, _) in ports {
        ns.until_known(name, port, pods).await?;
    }
    Ok(())
}

/// The pods' ports at which copies arrived, without repetition.
fn arrived_at(copies: &[Arrival]) -> BTreeSet<u16> {
    copies.iter().map(|copy| copy.port).collect()
}

pub async fn inside_a_mirror_without_a_port_goes_to_the_port_that_was_called(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    for name in [WEB, CANARY] {
        ports(&ns, name, [(80, 80), (81, 8081)]).await?;
    }
    ns.put(virtual_service(json!({"name": "inside", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "inside").await?;
    for (port, pods_port) in [(80, 80), (81, 8081)] {
        let copies = copied(&ns, ns.calls_port(WEB, port)?.count(FEW)).await?;
        assert_eq!((copies.len(), arrived_at(&copies)), (FEW, [pods_port].into()));
    }
    Ok(())
}

/// A gateway receives requests at a port of its own. If a Service has a port with the same number, that is a
/// coincidence: copies go to the wrong port, or nowhere, and nothing reports it.
pub async fn at_a_gateway_a_mirror_needs_a_port_where_the_service_has_several(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ports(&ns, WEB, [(80, 8080), (81, 8081)]).await?;
    let host = ns.public_host();
    let arrive = async |name: &str, port: Value| {
        let production = json!([{"destination": {"host": WEB, "port": {"number": 81}}}]);
        let mirror = merged(mirror(CANARY, 100), json!({"destination": port}));
        let route = virtual_service(json!({"name": name, "route": production, "mirrors": [mirror]}));
        ns.put(merged(route, at_the_gateway(&host))).await?;
        ns.until_gateway_route(&host, name, |route| route.name == name).await?;
        let copies = copied(&ns, ns.calls_gateway(&host)?.count(FEW)).await?;
        Ok::<_, Error>((copies.len(), arrived_at(&copies)))
    };
    ports(&ns, CANARY, [(80, 8080), (81, 8081)]).await?;
    assert_eq!(arrive("wrong", json!({})).await?, (FEW, [8080].into()), "production is called at 8081");
    assert_eq!(arrive("right", json!({"port": {"number": 81}})).await?, (FEW, [8081].into()));
    ports(&ns, CANARY, [(81, 8081), (82, 8080)]).await?;
    assert_eq!(arrive("nowhere", json!({})).await?, (0, [].into()));
    Ok(())
}
