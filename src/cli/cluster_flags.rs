//! kubectl's own flags: which cluster, which namespace, and as whom.

use std::time::Duration;

use crate::api::duration;

/// Which cluster, where in it, and as whom: kubectl's own flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ClusterFlags {
    /// Namespace. Default: that of the context.
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig. Default: its current context.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
    /// Path of the kubeconfig. Default: $KUBECONFIG, else ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<std::path::PathBuf>,
    /// Cluster of the kubeconfig. Default: that of the context.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub cluster: Option<String>,
    /// User of the kubeconfig. Default: that of the context.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub user: Option<String>,
    /// Username to impersonate.
    #[arg(long = "as", global = true, value_name = "NAME", help_heading = "Cluster")]
    pub impersonate: Option<String>,
    /// Group to impersonate. Can be repeated.
    #[arg(long = "as-group", global = true, value_name = "NAME", help_heading = "Cluster")]
    pub impersonate_groups: Vec<String>,
    /// How long to wait for the response to a request, e.g. 5s; 0 waits indefinitely. Watches do not count.
    #[arg(long, global = true, value_name = "DURATION", value_parser = timeout, help_heading = "Cluster")]
    pub request_timeout: Option<Duration>,
}

impl ClusterFlags {
    /// For a verb that watches: a watch is silent while nothing changes.
    #[must_use]
    pub fn for_watching(&self) -> Self {
        Self { request_timeout: None, ..self.clone() }
    }
}

/// As kubectl reads it: a number alone is seconds.
///
/// # Errors
/// What it must be.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs).ok();
    let duration = seconds.or_else(|| duration::parse(text).ok().and_then(|duration| duration.try_into().ok()));
    duration.ok_or_else(|| "must be a duration such as 30s or 5m".into())
}
