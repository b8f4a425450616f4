//! The only asynchronous folder: watches, memory, the lease, and the carrying out of plans. It decides nothing.

mod endpoints;
mod execute;
mod leader;
mod memory;
mod metrics;
mod observe;
mod pod_selectors;
mod prometheus;
mod routes;
mod serve;
mod shelf;
mod supervise;
mod tend;
mod trouble;
mod turn;
mod unread;
mod watch;

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{
    Client, Config,
    runtime::events::{Recorder, Reporter},
};
use leader::Leadership;
use metrics::Metrics;
use prometheus::PrometheusClient;
use tokio::sync::{Notify, Semaphore};
use watch::World;

use crate::{
    api::{KanaryDeployment, names},
    objects::Object,
    promql::{EgressPolicy, egress::Refused},
    validation::promql::mirror_check,
};

/// Passes with requests to the API server that may be under way at once.
const MOST_PASSES: usize = 32;

/// How the controller runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Only this namespace; none means all.
    pub namespace: Option<String>,
    /// Where the Lease is.
    pub lease_namespace: String,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// Who we are to other controllers. The same name after a restart takes the Lease over at once.
    pub identity: String,
    /// Where the probes and the metrics are served.
    pub address: SocketAddr,
    /// The Prometheus of items that name none.
    pub prometheus_url: Option<String>,
    /// Hosts of Prometheus that items may name, or `*.suffix`; none means any.
    pub prometheus_allow: Vec<String>,
    /// Tells in place of the query that is compiled in whether a mirror's copies arrive.
    pub mirror_copies_query: Option<String>,
}

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster is configured.
    #[error("no cluster: {0}; run in a pod with a ServiceAccount, or set KUBECONFIG")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// The configuration does not make a client.
    #[error("cannot make a client of the kubeconfig: {0}")]
    BadConfig(#[from] kube::Error),
    /// The default Prometheus is none.
    #[error("--prometheus-url: {0}")]
    BadPrometheus(Refused),
    /// The query that counts a mirror's copies is none.
    #[error("--mirror-copies-query: {0}")]
    BadCopiesQuery(String),
    /// The probes cannot be served.
    #[error("cannot serve the probes on {0}: {1}; choose another --address")]
    Serve(SocketAddr, std::io::Error),
}

/// Which `KanaryDeployment`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    name: String,
}

impl Key {
    fn of(kanary: &KanaryDeployment) -> Self {
        Self { namespace: kanary.namespace().to_owned(), name: kanary.name().to_owned() }
    }
}

/// What all tasks share.
struct Context {
    client: Client,
    prometheus: Arc<PrometheusClient>,
    metrics: Arc<Metrics>,
    recorder: Recorder,
    world: World,
    leadership: Leadership,
    permits: Semaphore,
    namespace: Option<String>,
    lease_namespace: String,
    cluster_domain: String,
    identity: String,
    tended: Mutex<HashMap<Key, Arc<Notify>>>,
    said: trouble::Said,
    weak: std::sync::Weak<Context>,
}

impl Context {
    fn new(client: Client, settings: &Settings, access: EgressPolicy) -> Arc<Self> {
        let metrics = Arc::new(Metrics::new());
        let reporter = Reporter { controller: names::MANAGER.into(), instance: Some(settings.identity.clone()) };
        Arc::new_cyclic(|weak| Self {
            recorder: Recorder::new(client.clone(), reporter),
            prometheus: Arc::new(PrometheusClient::new(access, client.clone(), metrics.clone())),
            metrics,
            client,
            world: World::new(),
            leadership: Leadership::default(),
            permits: Semaphore::new(MOST_PASSES),
            namespace: settings.namespace.clone(),
            lease_namespace: settings.lease_namespace.clone(),
            cluster_domain: settings.cluster_domain.clone(),
            identity: settings.identity.clone(),
            tended: Mutex::default(),
            said: trouble::Said::default(),
            weak: weak.clone(),
        })
    }

    /// Something happened around this resource. The first time, a task begins to tend it.
    fn wake(&self, key: &Key) {
        let mut tended = self.tended();
        if let Some(signal) = tended.get(key) {
            return signal.notify_one();
        }
        let Some(context) = self.weak.upgrade() else { return };
        if self.world.kanaries.get(&key.namespace, &key.name).is_some() {
            let signal = Arc::new(Notify::new());
            tended.insert(key.clone(), signal.clone());
            let (what, key) = (format!("{}/{}", key.namespace, key.name), key.clone());
            supervise::supervise(what, move || tend::tend(context.clone(), key.clone(), signal.clone()));
        }
    }

    fn wake_all(&self) {
        self.tended().values().for_each(|signal| signal.notify_one());
    }

    /// The resource is gone; should it come back meanwhile, it is tended anew.
    fn dismiss(&self, key: &Key) {
        self.tended().remove(key);
        self.wake(key);
    }

    fn tended(&self) -> MutexGuard<'_, HashMap<Key, Arc<Notify>>> {
        self.tended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until told to stop.
///
/// # Errors
/// Only such as no waiting cures: no cluster is configured, or the probes' address is taken.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let mut config = Config::infer().await?;
    // Each request is bounded and tried again by ourselves; fifteen silent tries would hide what is wrong.
    config.default_retry = false;
    // A connection that died without a word is an error, and no watch in which nothing happens.
    config.read_timeout = Some(watch::SILENCE);
    config.reset_reader_on_write = true;
    tracing::info!(cluster = %config.cluster_url, identity = settings.identity, version = env!("CARGO_PKG_VERSION"), "starts");
    let access = access(&settings, &config).await?;
    let context = Context::new(Client::try_from(config)?, &settings, access);
    let served = tokio::spawn(serve::serve(settings.address, context.clone()));
    watch::start(&context);
    let lead = async {
        context.world.synced().await;
        tracing::info!("has a full view of the cluster");
        leader::campaign(context.clone()).await;
    };
    tokio::select! {
        () = lead => {}
        () = told_to_stop() => {}
        Ok(Err(error)) = served => return Err(Error::Serve(settings.address, error)),
    }
    leader::resign(&context).await;
    tracing::info!("stops");
    Ok(())
}

/// Where questions may go: not to the API server, wherever its name leads.
async fn access(settings: &Settings, config: &Config) -> Result<EgressPolicy, Error> {
    let host = config.cluster_url.host().unwrap_or_default();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    let api_server: BTreeSet<_> = match tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await {
        Ok(found) => found.collect(),
        Err(error) => {
            tracing::warn!(host, %error, "does not know the API server's address, so it is not refused to queries");
            BTreeSet::new()
        }
    };
    let allow = settings.prometheus_allow.iter().map(|host| host.to_ascii_lowercase()).collect();
    let copies_query = settings.mirror_copies_query.clone();
    let access = EgressPolicy { url: settings.prometheus_url.clone(), allow, api_server, copies_query };
    if let Some(query) = &access.copies_query {
        mirror_check::check(query).map_err(Error::BadCopiesQuery)?;
    }
    if access.url.is_some() {
        access.url(None).map_err(Error::BadPrometheus)?;
    }
    Ok(access)
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
