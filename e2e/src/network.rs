//! The network inside the lab: loopback, and every pod address local to it.
//!
//! Kwok's pods have addresses but no processes. With the whole of 10.0.0.0/8 local ("AnyIP"), one server that
//! listens on 0.0.0.0 *is* every pod, and whatever calls a pod reaches it with real packets.

use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::{
    Handle, LinkUnspec, RouteMessageBuilder,
    packet_route::route::{RouteScope, RouteType},
};

use crate::{Context, Error};

/// The address of the nodes and of the API server's endpoint, which may not be a loopback address.
pub const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

/// The API server's port.
pub const API_SERVER_PORT: u16 = 6443;
/// Controllers share a network, so each serves its probes and metrics on a port of its own; the first on this one.
pub const FIRST_CONTROLLER_PORT: u16 = 18080;
/// The port of the Prometheus that all tests share; the next ones follow.
pub const FIRST_PROMETHEUS_PORT: u16 = 19090;

/// Where istiod configures proxies.
pub const XDS_PORT: u16 = 15010;
/// The sidecar's admin pages.
pub const SIDECAR_ADMIN_PORT: u16 = 15000;
/// The gateway's admin pages.
pub const GATEWAY_ADMIN_PORT: u16 = 15001;
/// Where the gateway listens for hosts of VirtualServices.
pub const ISTIO_GATEWAY_PORT: u16 = 18000;
/// Where the gateway listens for hosts of HTTPRoutes.
pub const HTTP_ROUTE_GATEWAY_PORT: u16 = 18001;
/// The ports of the mesh that can be reached from the host: the sidecar (for Services with port 80), the gateways, and
/// the proxies' admin pages.
pub const MESH_PORTS: [u16; 5] =
    [80, ISTIO_GATEWAY_PORT, HTTP_ROUTE_GATEWAY_PORT, SIDECAR_ADMIN_PORT, GATEWAY_ADMIN_PORT];

/// The first interface of a network namespace.
const LOOPBACK: u32 = 1;
/// The kernel's table of addresses that are its own.
const LOCAL_TABLE: u32 = 255;

/// Brings up the network of a fresh network namespace.
pub async fn up() -> Result<(), Error> {
    let (connection, handle, _) = rtnetlink::new_connection().context(|| "open netlink".into())?;
    let connection = tokio::spawn(connection);
    let done = configure(&handle).await.context(|| "bring up the lab's network".into());
    connection.abort();
    done
}

async fn configure(handle: &Handle) -> Result<(), rtnetlink::Error> {
    handle.link().set(LinkUnspec::new_with_index(LOOPBACK).up().build()).execute().await?;
    handle.address().add(LOOPBACK, IpAddr::V4(NODE_IP), 32).execute().await?;
    let any_ip = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::new(10, 0, 0, 0), 8)
        .output_interface(LOOPBACK)
        .kind(RouteType::Local)
        .scope(RouteScope::Host)
        .table_id(LOCAL_TABLE)
        .build();
    handle.route().add(any_ip).execute().await
}

/// Loopback, and what the lab's network makes local.
pub fn is_ours(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.octets()[0] == 10,
        IpAddr::V6(address) => address.is_loopback(),
    }
}
