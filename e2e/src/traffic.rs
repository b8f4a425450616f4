//! The traffic of a test's namespace: the load, how pods answer it, and what arrived where.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
};

use k8s_openapi::api::core::v1::Pod;

use crate::{
    Error, TestNamespace,
    backend::{Backend, PORTS, arrivals::Arrival, behaviour::Behaviour},
    load::{Load, Report},
    mesh::route::Route,
    network::{HTTP_ROUTE_GATEWAY_PORT, ISTIO_GATEWAY_PORT},
};

impl TestNamespace {
    /// The full name of a Service of this namespace: its Host in the mesh.
    pub fn host(&self, service: &str) -> String {
        format!("{service}.{}.svc.cluster.local", self.name())
    }

    /// A host name for gateways that is unique to this namespace.
    pub fn public_host(&self) -> String {
        format!("{}.example.com", self.name())
    }

    /// Requests to a Service's port 80, from inside the mesh.
    pub fn calls(&self, service: &str) -> Result<Load, Error> {
        self.calls_port(service, 80)
    }

    /// Requests to another port of a Service, from inside the mesh.
    pub fn calls_port(&self, service: &str, port: u16) -> Result<Load, Error> {
        self.lab()?.mesh()?;
        Load::new(vec![(Ipv4Addr::LOCALHOST, port).into()], &self.host(service))
    }

    /// Requests from outside to a host that a VirtualService has on the gateway `istio-ingress/ingress`.
    pub fn calls_gateway(&self, host: &str) -> Result<Load, Error> {
        self.lab()?.mesh()?;
        Load::new(vec![(Ipv4Addr::LOCALHOST, ISTIO_GATEWAY_PORT).into()], host)
    }

    /// Requests from outside to a host that an HTTPRoute has on the Gateway `istio-ingress/ingress`.
    pub fn calls_http_route(&self, host: &str) -> Result<Load, Error> {
        self.lab()?.mesh()?;
        Load::new(vec![(Ipv4Addr::LOCALHOST, HTTP_ROUTE_GATEWAY_PORT).into()], host)
    }

    /// Requests to the pods with these labels, each in turn, without a proxy.
    pub async fn calls_pods(&self, labels: &str) -> Result<Load, Error> {
        self.backend()?;
        let pods: Vec<Pod> = self.list(labels).await?;
        let addresses = pods.iter().filter_map(|pod| pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok());
        let to = addresses.map(|address: Ipv4Addr| SocketAddr::from((address, PORTS[0]))).collect();
        Load::new(to, labels)
    }

    /// Waits until `met` holds for the route that requests to a Service take inside the mesh: the first of its routes.
    pub async fn until_route(
        &self,
        service: &str,
        awaited: &str,
        met: impl Fn(&Route) -> bool,
    ) -> Result<Route, Error> {
        self.lab()?.mesh()?.sidecar.until_route(&self.host(service), awaited, met).await
    }

    /// Waits until `met` holds for the route that requests to a host take at the gateway.
    pub async fn until_gateway_route(
        &self,
        host: &str,
        awaited: &str,
        met: impl Fn(&Route) -> bool,
    ) -> Result<Route, Error> {
        self.lab()?.mesh()?.gateway.until_route(host, awaited, met).await
    }

    /// Waits until both proxies would send requests for a Service to `pods` pods.
    pub async fn until_known(&self, service: &str, port: u16, pods: usize) -> Result<(), Error> {
        let (mesh, host) = (self.lab()?.mesh()?, self.host(service));
        mesh.sidecar.until_endpoints(&host, port, "", pods).await?;
        mesh.gateway.until_endpoints(&host, port, "", pods).await
    }

    /// Waits until clients in the mesh would send requests for a subset of a Service to `pods` pods.
    pub async fn until_subset_known(&self, service: &str, port: u16, subset: &str, pods: usize) -> Result<(), Error> {
        self.lab()?.mesh()?.sidecar.until_endpoints(&self.host(service), port, subset, pods).await
    }

    /// Sets how the pods with these labels (`app=web,tier=front`; empty = all) answer. Of several behaviours that match
    /// a pod, the last one set applies.
    pub fn set_behaviour(&self, labels: &str, behaviour: Behaviour) -> Result<(), Error> {
        self.backend()?.set_behaviour(self.name(), labels, behaviour);
        Ok(())
    }

    /// All requests that arrived at this namespace's pods.
    pub fn arrivals(&self) -> Result<Vec<Arrival>, Error> {
        Ok(self.backend()?.arrivals(self.name()))
    }

    /// Waits for the first arrival at this namespace's pods that `met` holds for.
    pub async fn until_arrival(&self, awaited: &str, met: impl Fn(&Arrival) -> bool) -> Result<Arrival, Error> {
        let arrival = self.backend()?.until_arrival(self.name(), met);
        let timed_out = |_| {
            Error::wrong(format!("no request arrived in {} for {} s: {awaited}", self.name(), self.patience.as_secs()))
        };
        tokio::time::timeout(self.patience, arrival).await.map_err(timed_out)
    }

    /// Requests that a load caused here beside those that were answered: copies, or retries of a proxy. Waits for the
    /// last of them.
    pub async fn copies(&self, load: &Report) -> Result<Vec<Arrival>, Error> {
        let mesh = self.lab()?.mesh()?;
        mesh.sidecar.until_idle(self.name()).await?;
        mesh.gateway.until_idle(self.name()).await?;
        let answered: BTreeSet<u64> = load.answers.iter().filter_map(|answer| answer.arrival).collect();
        let of_load = |arrival: &Arrival| arrival.load.as_ref() == Some(&load.id);
        let all = self.arrivals()?.into_iter();
        Ok(all.filter(|arrival| of_load(arrival) && !answered.contains(&arrival.number)).collect())
    }

    fn backend(&self) -> Result<&Backend, Error> {
        self.lab()?.backend()
    }
}
