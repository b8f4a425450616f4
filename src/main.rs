//! The command line of the controller. Everything it does is in the library.

use std::{net::SocketAddr, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use kanary::{
    api::crd,
    controller::{self, Settings},
};
use tracing_subscriber::EnvFilter;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Progressive delivery for Kubernetes: canaries beside an unchanged base, promoted on evidence.
#[derive(Parser)]
#[command(name = "kanary", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller.
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition.
    Crd,
}

#[derive(clap::Args)]
struct RunArgs {
    /// The only namespace to watch. Default: all.
    #[arg(long, env = "KANARY_NAMESPACE")]
    namespace: Option<String>,
    /// With --namespace: the RoleBinding there that grants the controller's permissions. It gets a finalizer while a
    /// KanaryDeployment has one.
    #[arg(long, env = "KANARY_ROLE_BINDING", default_value = "kanary-canaries")]
    role_binding: String,
    /// Namespace of the Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "kanary-system")]
    lease_namespace: String,
    /// DNS domain of the cluster; completes short host names in VirtualServices.
    #[arg(long, env = "KANARY_CLUSTER_DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// Identity in the Lease; a controller that restarts under the same identity takes the Lease over at once. Default: host
    /// name and process id.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// Address that serves /healthz, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:8080")]
    address: SocketAddr,
    /// Prometheus URL of promQL items that set none, such as http://prometheus.istio-system:9090.
    #[arg(long, env = "KANARY_PROMETHEUS_URL")]
    prometheus_url: Option<String>,
    /// Comma-separated Prometheus hosts that items may use; `*.suffix` matches any subdomain. Default: any.
    #[arg(long, env = "KANARY_PROMETHEUS_ALLOW", value_delimiter = ',')]
    prometheus_allow: Vec<String>,
    /// Query, as in promQL items, that is true once mirrored requests arrive at a canary; for mirrors with confirm: requests.
    /// Default: Istio's count of requests in the last minute.
    #[arg(long, env = "KANARY_MIRROR_COPIES_QUERY")]
    mirror_copies_query: Option<String>,
    /// Log format.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(run) => start(*run),
        Command::Crd => crd::yaml().map(|yaml| print!("{yaml}")).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kanary: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(run: RunArgs) -> Result<(), String> {
    log(run.log_format);
    let settings = Settings {
        namespace: run.namespace,
        role_binding: run.role_binding,
        lease_namespace: run.lease_namespace,
        cluster_domain: run.cluster_domain,
        identity: run.identity.unwrap_or_else(host_and_process),
        address: run.address,
        prometheus_url: run.prometheus_url,
        prometheus_allow: run.prometheus_allow,
        mirror_copies_query: run.mirror_copies_query,
    };
    // One thread is enough: a reconciliation takes a fraction of a millisecond, and handing it to another thread costs as much.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(controller::run(settings)).map_err(|error| error.to_string())
}

fn log(format: LogFormat) {
    // kube logs each failed request as an error; the controller logs each problem once, with its fix.
    let quiet = "info,kube_client=off,kube_runtime=off";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

fn host_and_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}
