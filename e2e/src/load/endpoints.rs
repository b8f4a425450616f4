//! The ready pods of a Service, as kube-proxy knows them: from a watch on its EndpointSlices.

use std::{
    fmt::{self, Display},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures::StreamExt;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher,
    },
};
use tokio::task::JoinHandle;

use crate::{Context, Error, network::is_ours};

/// They are known as long as this, or a clone of it, exists.
#[derive(Debug, Clone)]
pub struct Endpoints {
    name: String,
    /// The Service's port, and its name.
    port: (u16, String),
    slices: Store<EndpointSlice>,
    _watch: Arc<Watch>,
}

impl Endpoints {
    /// Watches those of a port of a Service, by default of its first.
    pub async fn watch(client: Client, namespace: &str, service: &str, port: Option<u16>) -> Result<Self, Error> {
        let name = format!("Service {namespace}/{service}");
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let object = services.get_opt(service).await.context(|| format!("get {name}"))?;
        let object = object.ok_or_else(|| Error::wrong(format!("there is no {name}")))?;
        let mut ports = object.spec.and_then(|spec| spec.ports).unwrap_or_default().into_iter();
        let found = ports.find(|of| port.is_none_or(|port| of.port == i32::from(port)));
        let found = found.ok_or_else(|| Error::wrong(format!("{name} has no such port")))?;
        let (slices, watch) = follow(client, namespace, service);
        let port = (u16::try_from(found.port).unwrap_or_default(), found.name.unwrap_or_default());
        let all = Self { name, port, slices, _watch: Arc::new(watch) };
        all.slices.wait_until_ready().await.context(|| "watch EndpointSlices".into())?;
        Ok(all)
    }

    /// The Service's port.
    pub fn port(&self) -> u16 {
        self.port.0
    }

    /// The addresses of those that are ready now, always in the same order.
    pub fn ready(&self) -> Vec<SocketAddr> {
        let mut all: Vec<SocketAddr> = self.slices.state().iter().flat_map(|slice| self.of(slice)).collect();
        all.sort_unstable();
        all
    }

    fn of(&self, slice: &EndpointSlice) -> Vec<SocketAddr> {
        let mut ports = slice.ports.iter().flatten();
        let port =
            ports.find(|port| port.name.as_deref().unwrap_or_default() == self.port.1).and_then(|port| port.port);
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { return Vec::new() };
        let ready = slice.endpoints.iter().filter(|endpoint| {
            // Kubernetes says: what is not known counts as ready.
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
        });
        let addresses = ready.filter_map(|endpoint| endpoint.addresses.first()?.parse::<IpAddr>().ok());
        addresses.filter(|address| is_ours(*address)).map(|address| (address, port).into()).collect()
    }
}

impl Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn follow(client: Client, namespace: &str, service: &str) -> (Store<EndpointSlice>, Watch) {
    let (store, writer) = reflector::store();
    let api = Api::<EndpointSlice>::namespaced(client, namespace);
    let config = watcher::Config::default().labels(&format!("kubernetes.io/service-name={service}"));
    let events = watcher(api, config).default_backoff().reflect(writer);
    (store, Watch(tokio::spawn(events.for_each(|_| std::future::ready(())))))
}

/// Ends when dropped.
#[derive(Debug)]
struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
