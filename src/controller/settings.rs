//! How the controller runs, and what is wrong with that.

use std::{collections::BTreeSet, net::SocketAddr};

use kube::Config;

use crate::{
    promql::{EgressPolicy, egress::Refused},
    validation::promql::mirror_check,
};

/// How the controller runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace to watch; none means all.
    pub namespace: Option<String>,
    /// The RoleBinding in that namespace that grants the controller's permissions.
    pub role_binding: String,
    /// The namespace of the Lease.
    pub lease_namespace: String,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// The identity in the Lease. A controller that restarts under the same identity takes the Lease over at once.
    pub identity: String,
    /// Where probes and metrics are served.
    pub address: SocketAddr,
    /// The Prometheus of items that name none.
    pub prometheus_url: Option<String>,
    /// Prometheus hosts that items may name, or `*.suffix`; none means any.
    pub prometheus_allow: Vec<String>,
    /// Replaces the compiled-in query that is true once mirrored requests arrive.
    pub mirror_copies_query: Option<String>,
}

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster is configured.
    #[error("no cluster is configured: {0}; run in a pod with a ServiceAccount, or set KUBECONFIG")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// The configuration is not one that a client can be made from.
    #[error("cannot create a client from the kubeconfig: {0}")]
    BadConfig(#[from] kube::Error),
    /// The default Prometheus URL is invalid.
    #[error("--prometheus-url: {0}")]
    BadPrometheus(Refused),
    /// The query that counts mirrored requests is invalid.
    #[error("--mirror-copies-query: {0}")]
    BadCopiesQuery(String),
    /// The system gives no thread, or no timers and sockets.
    #[error("cannot start a thread: {0}; raise the limit of processes (ulimit -u, pids.max)")]
    Thread(std::io::Error),
    /// The thread that renews the Lease panicked, which is a bug.
    #[error("the thread that renews the Lease ended, which is a bug: please report it")]
    Ended,
    /// The probes cannot be served.
    #[error("cannot serve probes and metrics on {0}: {1}; choose another --address")]
    Serve(SocketAddr, std::io::Error),
}

impl Settings {
    /// Where Prometheus queries may go: not to the API server, by whatever name.
    pub(super) async fn access(&self, config: &Config) -> Result<EgressPolicy, Error> {
        let allow = self.prometheus_allow.iter().map(|host| host.to_ascii_lowercase()).collect();
        let access = EgressPolicy {
            url: self.prometheus_url.clone(),
            allow,
            api_server: api_server(config).await,
            copies_query: self.mirror_copies_query.clone(),
        };
        if let Some(query) = &access.copies_query {
            mirror_check::check(query).map_err(Error::BadCopiesQuery)?;
        }
        if access.url.is_some() {
            access.url(None).map_err(Error::BadPrometheus)?;
        }
        Ok(access)
    }
}

async fn api_server(config: &Config) -> BTreeSet<SocketAddr> {
    let host = config.cluster_url.host().unwrap_or_default();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    match tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await {
        Ok(found) => found.collect(),
        Err(error) => {
            tracing::warn!(host, %error, "cannot resolve the API server's address, so Prometheus queries to it are not blocked");
            BTreeSet::new()
        }
    }
}
