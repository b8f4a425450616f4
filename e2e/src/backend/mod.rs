//! Every pod of the lab: one server on all addresses. The local address of a connection identifies the pod.
//!
//! It answers with the pod's behaviour, which a test sets or the pod's annotations say, records what arrived where, and serves the metrics that the pods would have.
//! A pod that is not ready answers as well; leaving such pods out is up to the client.

pub mod annotations;
pub mod arrivals;
pub mod behaviour;
pub mod metrics;
pub mod pods;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Response},
    serve::IncomingStream,
};
use kube::Client;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};

use self::{
    arrivals::{Arrival, Arrivals},
    behaviour::{Behaviour, Behaviours},
    metrics::Metrics,
    pods::{Member, Pods},
};
use crate::{Context, Error};

/// What pods listen on: the `targetPort` of every Service that gets requests. Several, so that a port can be the wrong
/// one; 80 for manifests that were not written for the lab.
pub const PORTS: [u16; 3] = [8080, 8081, 80];
/// Where Prometheus finds the metrics of all pods.
pub const METRICS_PORT: u16 = 19102;

/// A request's header: the load that sent it.
pub const LOAD: &str = "x-lab-load";
/// A response's header: the number of the arrival that it answers.
pub const ARRIVAL: &str = "x-lab-arrival";
/// A response's header: the name of the pod.
pub const POD: &str = "x-lab-pod";

/// The running server; it stays until the lab ends.
#[derive(Clone)]
pub struct Backend(Arc<Inner>);

struct Inner {
    pods: Pods,
    behaviours: Mutex<Behaviours>,
    arrivals: Mutex<Arrivals>,
    /// Notified of each arrival.
    arrived: watch::Sender<()>,
    metrics: Mutex<Metrics>,
}

impl Backend {
    /// Starts it. It learns the pods' addresses from the API server.
    pub async fn start(client: Client) -> Result<Self, Error> {
        let backend = Self(Arc::new(Inner {
            pods: Pods::watch(client).await?,
            behaviours: Mutex::default(),
            arrivals: Mutex::default(),
            arrived: watch::Sender::default(),
            metrics: Mutex::default(),
        }));
        let pages = Router::new().fallback(answer).with_state(backend.clone());
        for port in PORTS {
            let service = pages.clone().into_make_service_with_connect_info::<Reached>();
            let listener = listen(Ipv4Addr::UNSPECIFIED, port)?;
            tokio::spawn(async move { axum::serve(listener, service).await });
        }
        let page = Router::new().fallback(expose).with_state(backend.clone());
        let listener = listen(Ipv4Addr::LOCALHOST, METRICS_PORT)?;
        tokio::spawn(async move { axum::serve(listener, page).await });
        Ok(backend)
    }

    /// Sets how the pods of a namespace with these labels (`app=web,tier=front`; empty = all) answer. Of several
    /// behaviours that match a pod, the last one set applies.
    pub fn set_behaviour(&self, namespace: &str, labels: &str, behaviour: Behaviour) {
        lock(&self.0.behaviours).set(namespace, labels, behaviour);
    }

    /// What arrived at the pods of a namespace, oldest first.
    pub fn arrivals(&self, namespace: &str) -> Vec<Arrival> {
        lock(&self.0.arrivals).of(namespace)
    }

    /// Waits for the first arrival at the pods of a namespace that `met` holds for.
    pub async fn until_arrival(&self, namespace: &str, met: impl Fn(&Arrival) -> bool) -> Arrival {
        let (mut arrived, mut known) = (self.0.arrived.subscribe(), 0);
        loop {
            let fresh = {
                let arrivals = lock(&self.0.arrivals);
                arrivals.since(std::mem::replace(&mut known, arrivals.next()), namespace)
            };
            if let Some(found) = fresh.into_iter().find(&met) {
                return found;
            }
            // The sender lives in self, so waiting cannot fail.
            let _ = arrived.changed().await;
        }
    }

    /// The metrics of all existing pods, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let members = self.0.pods.members();
        let gauges = members.iter().map(|member| (member.clone(), lock(&self.0.behaviours).of(member).gauges));
        let gauges: Vec<_> = gauges.collect();
        lock(&self.0.metrics).text(&members, &gauges)
    }

    /// How a pod answers its next request, and with which status; `Err` says what is wrong with its annotations.
    fn next_response(&self, member: &Member) -> Result<(Behaviour, u16), String> {
        let mut behaviours = lock(&self.0.behaviours);
        let behaviour = annotations::applied(&member.annotations, behaviours.of(member))?;
        let status = behaviours.next_status(member, &behaviour);
        Ok((behaviour, status))
    }

    async fn respond(&self, reached: SocketAddr, request: Parts) -> Response {
        let Some(member) = self.0.pods.at(reached.ip()).await else {
            let error = format!("no pod has the address {}", reached.ip());
            return (StatusCode::SERVICE_UNAVAILABLE, error).into_response();
        };
        let begun = Instant::now();
        let next = self.next_response(&member);
        let status = next.as_ref().map_or(500, |(_, status)| *status);
        let arrival = lock(&self.0.arrivals).record(|number| Arrival {
            number,
            at: begun,
            namespace: member.namespace.clone(),
            pod: member.pod.clone(),
            port: reached.port(),
            method: request.method.to_string(),
            path: request.uri.path().into(),
            host: host(&request),
            load: text(&request.headers, LOAD),
            status,
        });
        self.0.arrived.send_replace(());
        let (behaviour, from) = match next {
            Ok((behaviour, _)) => (behaviour, Some((POD, member.pod.clone()))),
            // Without the pod's name a load shows the body.
            Err(mistake) => {
                let body = format!("Pod {}/{}: {mistake}", member.namespace, member.pod);
                (Behaviour { body: Some(body), ..Behaviour::default() }, None)
            }
        };
        tokio::time::sleep(behaviour.latency).await;
        lock(&self.0.metrics).count(&member, status, begun.elapsed());
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = AppendHeaders([(ARRIVAL, arrival.to_string())].into_iter().chain(from));
        (status, headers, behaviour.body.unwrap_or_else(|| member.pod.clone())).into_response()
    }
}

impl Member {
    /// Does it have all of these labels, e.g. `app=web,tier=front`?
    pub fn has_labels(&self, labels: &str) -> bool {
        let pairs = labels.split(',').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).all(|(key, value)| {
            let has = self.labels.get(key);
            has.is_some_and(|has| has == value)
        })
    }
}

/// A test that panics while it holds a lock must not make others fail.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shares the port with a sidecar that listens on loopback only, as Envoy does: the kernel prefers the exact address.
fn listen(address: Ipv4Addr, port: u16) -> Result<TcpListener, Error> {
    let what = || format!("listen on {address}:{port}");
    let socket = TcpSocket::new_v4().context(what)?;
    socket.set_reuseaddr(true).context(what)?;
    socket.set_reuseport(true).context(what)?;
    socket.bind((address, port).into()).context(what)?;
    socket.listen(1024).context(what)
}

/// The address that the client connected to.
#[derive(Debug, Clone, Copy)]
struct Reached(Option<SocketAddr>);

impl Connected<IncomingStream<'_, TcpListener>> for Reached {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        // Small responses must not wait for each other.
        let _ = stream.io().set_nodelay(true);
        Self(stream.io().local_addr().ok())
    }
}

async fn answer(
    State(backend): State<Backend>,
    ConnectInfo(Reached(reached)): ConnectInfo<Reached>,
    request: Request,
) -> Response {
    match reached {
        Some(reached) => backend.respond(reached, request.into_parts().0).await,
        None => StatusCode::GONE.into_response(),
    }
}

async fn expose(State(backend): State<Backend>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], backend.metrics()).into_response()
}

fn host(request: &Parts) -> String {
    let authority = request.uri.authority().map(ToString::to_string);
    authority.or_else(|| text(&request.headers, header::HOST.as_str())).unwrap_or_default()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
