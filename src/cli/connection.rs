//! The connection to the cluster that the flags select.

use kube::{Client, Config};

use super::{Error, api_error::ApiServer, cluster_flags::ClusterFlags, kubeconfig};

/// A client, and what a verb must know beside it.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// `-n`, else the namespace of the context.
    pub namespace: String,
    /// For error messages.
    pub server: ApiServer,
}

/// Runs a verb that speaks to a cluster.
///
/// # Errors
/// Those of the verb.
pub fn block_on<T>(verb: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Failed(format!("cannot start: {error}")))?.block_on(verb)
}

/// Reads the kubeconfig; in a pod, its ServiceAccount. No request is sent yet.
///
/// # Errors
/// No kubeconfig, or a bad one.
pub async fn connect(flags: &ClusterFlags) -> Result<Connection, Error> {
    let config = kubeconfig::config(flags).await?;
    let namespace = flags.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let server = server(&config);
    let client = Client::try_from(config).map_err(|error| server.failed("connect", &error))?;
    Ok(Connection { client, namespace, server })
}

fn server(config: &Config) -> ApiServer {
    ApiServer { url: config.cluster_url.clone(), proxy: config.proxy_url.clone() }
}

impl Connection {
    /// A request failed: what it was for, and why.
    #[must_use]
    pub fn failed(&self, doing: &str, error: &kube::Error) -> Error {
        self.server.failed(doing, error)
    }
}
