//! The client's configuration: from a kubeconfig, as kubectl reads it; in a pod, from its ServiceAccount.

use std::error::Error as _;

use kube::{
    Config,
    config::{Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{Error, api_error::causes, cluster_flags::ClusterFlags, error, proxy};

/// The configuration that the flags select.
///
/// # Errors
/// There is no kubeconfig, or it does not have what the flags name.
pub async fn config(flags: &ClusterFlags) -> Result<Config, Error> {
    let file = match &flags.kubeconfig {
        None => Kubeconfig::read(),
        Some(path) => Kubeconfig::read_from(path),
    };
    let cluster = file.as_ref().ok().and_then(|file| cluster_of(file, flags)).cloned();
    if let (Ok(file), Some(user)) = (&file, &flags.user)
        && !file.auth_infos.iter().any(|named| named.name == *user)
    {
        return Err(Error::Failed(format!("the kubeconfig has no user {user:?}")));
    }
    let mut config = read(flags, file).await?;
    if flags.impersonate.is_none() && !flags.impersonate_groups.is_empty() {
        return Err(Error::Usage("--as-group needs --as".into()));
    }
    if flags.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&flags.impersonate);
        config.auth_info.impersonate_groups = Some(flags.impersonate_groups.clone());
    }
    if let Some(timeout) = flags.request_timeout.filter(|timeout| !timeout.is_zero()) {
        (config.connect_timeout, config.read_timeout) = (Some(timeout), Some(timeout));
        config.reset_reader_on_write = true;
    }
    // In a pod there is no kubeconfig, and no proxy on the way to the API server.
    if let Some(cluster) = cluster {
        let of_environment = |name: &str| std::env::var(name).ok();
        let proxy = proxy::to(&config.cluster_url, cluster.proxy_url.as_deref(), of_environment);
        config.proxy_url = proxy.map_err(|error| Error::Failed(format!("the address of the proxy: {error}")))?;
    }
    Ok(config)
}

async fn read(flags: &ClusterFlags, file: Result<Kubeconfig, KubeconfigError>) -> Result<Config, Error> {
    let contexts = file.as_ref().map(contexts).unwrap_or_default();
    let is_plain = [&flags.context, &flags.cluster, &flags.user].into_iter().all(Option::is_none);
    if flags.kubeconfig.is_none() && is_plain {
        let config = Config::infer().await;
        return config.map_err(|error| match error.source().and_then(|source| source.downcast_ref()) {
            Some(of_kubeconfig) => failed(of_kubeconfig, &contexts),
            None => Error::Failed(causes(&error)),
        });
    }
    let ClusterFlags { context, cluster, user, .. } = flags.clone();
    let options = KubeConfigOptions { context, cluster, user };
    let config = match file {
        Ok(file) => Config::from_custom_kubeconfig(file, &options).await,
        Err(error) => Err(error),
    };
    config.map_err(|error| failed(&error, &contexts))
}

fn contexts(file: &Kubeconfig) -> Vec<String> {
    file.contexts.iter().map(|context| context.name.clone()).collect()
}

/// The cluster that a context names.
fn cluster_of<'a>(file: &'a Kubeconfig, flags: &ClusterFlags) -> Option<&'a Cluster> {
    let of_context = || {
        let context = flags.context.as_deref().or(file.current_context.as_deref())?;
        Some(&file.contexts.iter().find(|named| named.name == context)?.context.as_ref()?.cluster)
    };
    let cluster = flags.cluster.as_ref().or_else(of_context)?;
    file.clusters.iter().find(|named| named.name == *cluster)?.cluster.as_ref()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of kube, and grows")]
fn failed(error: &KubeconfigError, contexts: &[String]) -> Error {
    let known = match contexts {
        [] => "the kubeconfig has none".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    };
    Error::Failed(match error {
        KubeconfigError::LoadContext(name) => format!("no context {name:?}; {known}"),
        KubeconfigError::CurrentContextNotSet if contexts.is_empty() => {
            "no cluster: the kubeconfig has no context; set --kubeconfig or KUBECONFIG".to_owned()
        }
        KubeconfigError::CurrentContextNotSet => {
            format!("the kubeconfig has no current context; pass --context; {known}")
        }
        KubeconfigError::LoadClusterOfContext(name) => format!("the kubeconfig has no cluster {name:?}"),
        KubeconfigError::ReadConfig(error, path) => {
            format!("cannot read the kubeconfig {}: {}", path.display(), error::in_words(error))
        }
        other => format!("kubeconfig: {}", causes(other)),
    })
}
