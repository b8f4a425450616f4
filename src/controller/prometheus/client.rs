//! Sends queries in the background: a server that hangs delays only those that query it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    http::{self, Clients},
    secrets::{self, Credentials},
};
use crate::{
    api::Prometheus,
    controller::{clock, metrics::Metrics},
    promql::{EgressPolicy, Outcome, Query},
};

/// Requests to one server at once: as many queries as a Prometheus evaluates at once by default. With eight, a thousand
/// canaries that query it every ten seconds have to wait when a response takes longer than 76 ms.
const MAX_TO_ONE_SERVER: usize = 20;
/// And to all of them.
const MAX_REQUESTS: usize = 640;
/// Servers that are remembered; those without a request under way are forgotten first.
const MAX_SERVERS: usize = 256;

/// Time for a query and its response; its Secrets are read in as much before.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Status and body, or why there is neither.
type Response = Result<(u16, Arc<Vec<u8>>), String>;

/// A query under way. Whoever sends the same one meanwhile waits for the same response ("single flight").
type SharedQuery = Shared<BoxFuture<'static, (Timestamp, Response)>>;

/// Sends the queries of all canaries.
pub struct PrometheusClient {
    egress: Arc<EgressPolicy>,
    kube: kube::Client,
    metrics: Arc<Metrics>,
    timeout: Duration,
    clients: Clients,
    all: Semaphore,
    /// For reading Secrets: the API server is a server as well.
    secrets: Semaphore,
    servers: Mutex<HashMap<String, Arc<Semaphore>>>,
    running: Mutex<HashMap<String, SharedQuery>>,
}

impl PrometheusClient {
    /// Nothing is sent yet. `kube` reads the Secrets that queries refer to.
    pub fn new(egress: EgressPolicy, kube: kube::Client, metrics: Arc<Metrics>) -> Self {
        Self {
            egress: Arc::new(egress),
            kube,
            metrics,
            timeout: TIMEOUT,
            clients: Clients::default(),
            all: Semaphore::new(MAX_REQUESTS),
            secrets: Semaphore::new(MAX_TO_ONE_SERVER),
            servers: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// Where queries may go.
    pub fn egress(&self) -> &EgressPolicy {
        &self.egress
    }

    /// Sends a query; returns when it was sent, and what its result means. One that is under way already, with the same
    /// text, to the same server and with the same credentials, is not sent a second time.
    pub async fn query(self: &Arc<Self>, namespace: &str, query: &Query) -> (Timestamp, Outcome) {
        let key = json!([namespace, query.url, query.query, query.prom_ql.prometheus]).to_string();
        let shared = self.running.lock().entry(key.clone()).or_insert_with(|| self.start(namespace, query)).clone();
        let (at, response) = shared.clone().await;
        let mut running = self.running.lock();
        if running.get(&key).is_some_and(|known| known.ptr_eq(&shared)) {
            running.remove(&key);
        }
        drop(running);
        let outcome = match response {
            Ok((status, body)) => query.read(status, &body),
            Err(why) => Outcome::Unknown(why),
        };
        self.metrics.answered(&outcome);
        (at, outcome)
    }

    fn start(self: &Arc<Self>, namespace: &str, query: &Query) -> SharedQuery {
        let (client, namespace, query) = (self.clone(), namespace.to_owned(), query.clone());
        async move { client.send(&namespace, &query).await }.boxed().shared()
    }

    async fn send(&self, namespace: &str, query: &Query) -> (Timestamp, Response) {
        // Before the server's queue: the API server may hang while this one answers.
        let credentials = match self.credentials(namespace, query.prom_ql.prometheus.as_ref()).await {
            Ok(credentials) => credentials,
            Err(why) => return (clock::now(), Err(why)),
        };
        let server = self.server(&query.url);
        // First in the queue of its own server: one that hangs must not use up what all share.
        let (_own, _all) = (server.acquire().await, self.all.acquire().await);
        let at = clock::now();
        let timer = Instant::now();
        let response = http::send(&self.clients, &self.egress, query, &credentials, self.timeout).await;
        self.metrics.sent(timer.elapsed());
        (at, response.map(|(status, body)| (status, Arc::new(body))).map_err(|error| error.to_string()))
    }

    /// Credentials are read for each query: a Secret that was rotated or withdrawn counts at once, and none is kept.
    async fn credentials(&self, namespace: &str, server: Option<&Prometheus>) -> Result<Credentials, String> {
        let Some(server) = server.filter(|server| secrets::are_named(server)) else {
            return Ok(Credentials::default());
        };
        let _permit = self.secrets.acquire().await;
        let read = tokio::time::timeout(self.timeout, secrets::read(&self.kube, namespace, server)).await;
        let late = |_| format!("cannot read its Secrets: no answer within {:?}", self.timeout);
        read.map_err(late)?.map_err(|why| why.to_string())
    }

    fn server(&self, url: &str) -> Arc<Semaphore> {
        let authority = http::authority(url);
        let mut servers = self.servers.lock();
        if servers.len() >= MAX_SERVERS {
            servers.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        servers.entry(authority).or_insert_with(|| Arc::new(Semaphore::new(MAX_TO_ONE_SERVER))).clone()
    }
}

#[cfg(test)]
mod tests;
