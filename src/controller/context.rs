//! What all tasks share.

use std::sync::Arc;

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use tokio::sync::{Notify, mpsc::UnboundedReceiver};

use super::{
    key::Key,
    leadership::Leadership,
    metrics::Metrics,
    prometheus::PrometheusClient,
    queue::{New, Queue},
    settings::Settings,
    stores::Stores,
    turns::Turns,
    warn_once::WarnOnce,
};
use crate::{api::names, promql::EgressPolicy};

/// Reconciliations that may make requests to the API server at the same time.
const CONCURRENCY: usize = 32;

/// What all tasks share.
pub struct Context {
    pub settings: Settings,
    pub client: Client,
    pub prometheus: Arc<PrometheusClient>,
    pub metrics: Arc<Metrics>,
    pub recorder: Recorder,
    pub stores: Stores,
    pub leadership: Leadership,
    pub queue: Queue,
    /// Notified when a `KanaryDeployment` may have got or lost its finalizer, or this process may have become the leader.
    pub finalizers: Notify,
    /// For decisions, of which a namespace may need many.
    pub decisions: Turns,
    /// For requests to the API server.
    pub permits: Turns,
    pub warnings: WarnOnce,
}

impl Context {
    /// With empty stores and an empty queue; and where the dispatcher receives what is new in it.
    pub fn new(client: Client, settings: Settings, access: EgressPolicy) -> (Arc<Self>, UnboundedReceiver<New>) {
        let metrics = Arc::new(Metrics::new());
        let reporter = Reporter { controller: names::MANAGER.into(), instance: Some(settings.identity.clone()) };
        let (queue, new) = Queue::new();
        let context = Self {
            settings,
            recorder: Recorder::new(client.clone(), reporter),
            prometheus: Arc::new(PrometheusClient::new(access, client.clone(), metrics.clone())),
            metrics,
            client,
            stores: Stores::default(),
            leadership: Leadership::default(),
            queue,
            finalizers: Notify::new(),
            decisions: Turns::new(std::thread::available_parallelism().map_or(1, usize::from)),
            permits: Turns::new(CONCURRENCY),
            warnings: WarnOnce::default(),
        };
        (Arc::new(context), new)
    }

    /// Is the resource there, as far as is known?
    pub fn is_known(&self, key: &Key) -> bool {
        self.stores.kanaries.get(&key.namespace, &key.name).is_some()
    }
}
