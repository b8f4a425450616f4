//! kubectl's own flags: which cluster, and which namespace.

/// Which cluster, and where in it: kubectl's own flags.
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
}
