//! Sends questions to Prometheus, in the background: a server that hangs delays nobody but those who ask it.
//!
//! Not here: what to ask and when (`lifecycle::questions`), and what an answer means (`validation::promql`).

mod secrets;
mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{clock, metrics::Metrics};
use crate::{
    api::Prometheus,
    promql::{Access, Outcome, Query},
};

/// Requests that may be under way at once to one server: as many as a Prometheus works on at once by default. With eight, a
/// thousand canaries that ask every ten seconds have to wait when an answer takes longer than 76 ms.
const MOST_TO_ONE: usize = 20;
/// And to all of them.
const MOST: usize = 640;
/// So many servers are remembered; those that nobody asks at the moment are forgotten first.
const MOST_SERVERS: usize = 256;

/// A question is asked and answered in this time; its Secrets are read in as much before.
const PATIENCE: Duration = Duration::from_secs(5);

/// Status and body, or why there is neither.
type Raw = Result<(u16, Arc<Vec<u8>>), String>;
type Flight = Shared<BoxFuture<'static, (Timestamp, Raw)>>;

/// Asks on behalf of all canaries.
pub struct Asker {
    access: Arc<Access>,
    kube: kube::Client,
    metrics: Arc<Metrics>,
    patience: Duration,
    clients: wire::Clients,
    all: Semaphore,
    /// For reading Secrets: the API server is a server as well.
    secrets: Semaphore,
    servers: Mutex<HashMap<String, Arc<Semaphore>>>,
    flights: Mutex<HashMap<String, Flight>>,
}

impl Asker {
    /// Nothing is sent yet. The client reads the Secrets that questions refer to.
    pub fn new(access: Access, kube: kube::Client, metrics: Arc<Metrics>) -> Self {
        Self {
            access: Arc::new(access),
            kube,
            metrics,
            patience: PATIENCE,
            clients: wire::Clients::default(),
            all: Semaphore::new(MOST),
            secrets: Semaphore::new(MOST_TO_ONE),
            servers: Mutex::default(),
            flights: Mutex::default(),
        }
    }

    /// Where questions may go.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Asks; answers when the question was sent, and what came. What is asked already, in the same words, of the same
    /// server and with the same credentials, is not sent a second time.
    pub async fn ask(self: &Arc<Self>, namespace: &str, query: &Query) -> (Timestamp, Outcome) {
        let key = json!([namespace, query.url, query.query, query.prom_ql.prometheus]).to_string();
        let flight = lock(&self.flights).entry(key.clone()).or_insert_with(|| self.depart(namespace, query)).clone();
        let (at, raw) = flight.clone().await;
        let mut flights = lock(&self.flights);
        if flights.get(&key).is_some_and(|known| known.ptr_eq(&flight)) {
            flights.remove(&key);
        }
        drop(flights);
        let outcome = match raw {
            Ok((status, body)) => query.read(status, &body),
            Err(why) => Outcome::Unknown(why),
        };
        self.metrics.answered(&outcome);
        (at, outcome)
    }

    fn depart(self: &Arc<Self>, namespace: &str, query: &Query) -> Flight {
        let (asker, namespace, query) = (self.clone(), namespace.to_owned(), query.clone());
        async move { asker.fly(&namespace, &query).await }.boxed().shared()
    }

    async fn fly(&self, namespace: &str, query: &Query) -> (Timestamp, Raw) {
        // Before the server's queue: the API server may hang while this one answers.
        let credentials = match self.credentials(namespace, query.prom_ql.prometheus.as_ref()).await {
            Ok(credentials) => credentials,
            Err(why) => return (clock::now(), Err(why)),
        };
        let server = self.server(&query.url);
        // First in the queue of its own server: one that hangs must not use up what all share.
        let (_own, _all) = (server.acquire().await, self.all.acquire().await);
        let at = clock::now();
        let timer = std::time::Instant::now();
        let raw = wire::send(&self.clients, &self.access, query, &credentials, self.patience).await;
        self.metrics.sent(timer.elapsed());
        (at, raw.map(|(status, body)| (status, Arc::new(body))).map_err(|lost| lost.to_string()))
    }

    /// Credentials are read for each question: a Secret that was rotated or withdrawn counts at once, and none is kept.
    async fn credentials(&self, namespace: &str, at: Option<&Prometheus>) -> Result<secrets::Credentials, String> {
        let Some(at) = at.filter(|at| secrets::are_named(at)) else { return Ok(secrets::Credentials::default()) };
        let _turn = self.secrets.acquire().await;
        let read = tokio::time::timeout(self.patience, secrets::read(&self.kube, namespace, at)).await;
        let late = |_| format!("cannot read its Secrets: no answer within {:?}", self.patience);
        read.map_err(late)?.map_err(|why| why.to_string())
    }

    fn server(&self, url: &str) -> Arc<Semaphore> {
        let authority = wire::authority(url);
        let mut servers = lock(&self.servers);
        if servers.len() >= MOST_SERVERS {
            servers.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        servers.entry(authority).or_insert_with(|| Arc::new(Semaphore::new(MOST_TO_ONE))).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
