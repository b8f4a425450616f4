//! The network inside the lab: loopback, and every pod address local to it.
//!
//! Kwok's pods have addresses but no processes. With the whole of 10.0.0.0/8 local ("AnyIP"), one server that
//! listens on 0.0.0.0 *is* every pod, and whatever calls a pod reaches it with real packets.

use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};

use crate::{Context, Error};

/// The address of the nodes and of the API server's endpoint, which may not be a loopback address.
pub const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

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
