//! The cluster that a verb speaks to: kubectl's own flags, kubeconfig and credential plugins.

use kube::{
    Client, Config,
    config::{self, KubeConfigOptions, Kubeconfig},
};

use super::{Cluster, Error, proxy};

/// A client, and the namespace that is meant.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// `-n`, else the context's own.
    pub namespace: String,
}

/// Runs a verb that speaks to a cluster.
///
/// # Errors
/// Those of the verb.
pub fn block_on<T>(verb: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Wrong(format!("cannot start: {error}")))?.block_on(verb)
}

/// Reads the kubeconfig; in a pod, its ServiceAccount. No request is made yet.
///
/// # Errors
/// No kubeconfig, or a bad one.
pub async fn connect(cluster: &Cluster) -> Result<Connection, Error> {
    let config = config(cluster).await?;
    let namespace = cluster.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| Error::Wrong(format!("cannot connect: {error}")))?;
    Ok(Connection { client, namespace })
}

async fn config(cluster: &Cluster) -> Result<Config, Error> {
    let options = KubeConfigOptions { context: cluster.context.clone(), ..KubeConfigOptions::default() };
    let kubeconfig = |error: &dyn std::error::Error| Error::Wrong(format!("kubeconfig: {}", causes(error)));
    let file = match &cluster.kubeconfig {
        None => Kubeconfig::read(),
        Some(path) => Kubeconfig::read_from(path),
    };
    let named = file.as_ref().ok().and_then(|file| cluster_in(file, cluster.context.as_deref()).cloned());
    let mut config = match (&cluster.kubeconfig, &cluster.context) {
        (None, None) => Config::infer().await.map_err(|error| kubeconfig(&error)),
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| kubeconfig(&error)),
        (Some(_), _) => {
            let file = file.map_err(|error| kubeconfig(&error))?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| kubeconfig(&error))
        }
    }?;
    // In a pod no kubeconfig names a cluster, and nothing is between it and the API server.
    if let Some(named) = named {
        let proxy = proxy::to(&config.cluster_url, named.proxy_url.as_deref(), |name| std::env::var(name).ok());
        config.proxy_url = proxy.map_err(|error| Error::Wrong(format!("the proxy's address: {error}")))?;
    }
    Ok(config)
}

/// The cluster that a context names.
fn cluster_in<'a>(file: &'a Kubeconfig, context: Option<&str>) -> Option<&'a config::Cluster> {
    let context = context.or(file.current_context.as_deref())?;
    let context = file.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    file.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref()
}

/// What the API server, or the way to it, says; one sentence.
#[must_use]
pub fn said(doing: &str, error: &kube::Error) -> Error {
    Error::Wrong(format!("{doing}: {}", why(error)))
}

/// The same, where it is said already what was tried.
#[must_use]
pub fn why(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 404 && status.message.contains("page not found") => {
            "Kanary is not installed in this cluster: its CustomResourceDefinition is missing".to_owned()
        }
        kube::Error::Api(status) => status.message.clone(),
        other => causes(other),
    }
}

/// An error and what is behind it: `client error (Connect)` alone helps nobody.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if said.iter().all(|before| !before.contains(&text)) {
            said.push(text);
        }
        cause = error.source();
    }
    said.join(": ")
}
