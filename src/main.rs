//! The controller's command line. All it does is in the library.

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

/// Progressive delivery for Kubernetes: canaries beside an untouched base, judged by evidence.
#[derive(Parser)]
#[command(name = "kanary", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller.
    Run(Box<Run>),
    /// Print the CustomResourceDefinition.
    Crd,
}

#[derive(clap::Args)]
struct Run {
    /// Serve this namespace only. Default: all.
    #[arg(long, env = "KANARY_NAMESPACE")]
    namespace: Option<String>,
    /// Namespace of the Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "kanary-system")]
    lease_namespace: String,
    /// The cluster's domain: what a VirtualService's short names are completed with.
    #[arg(long, env = "KANARY_CLUSTER_DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// Name among controllers; a restart under the same name takes the Lease over at once. Default: host and process.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    address: SocketAddr,
    /// The Prometheus that promQL items ask if they name none, such as http://prometheus.istio-system:9090.
    #[arg(long, env = "KANARY_PROMETHEUS_URL")]
    prometheus_url: Option<String>,
    /// Hosts of Prometheus that items may name, with commas between them; *.suffix stands for many. Default: any.
    #[arg(long, env = "KANARY_PROMETHEUS_ALLOW", value_delimiter = ',')]
    prometheus_allow: Vec<String>,
    /// A query, in the form of promQL items, that is true once copies of requests arrive at a canary; for mirrors with
    /// confirm: requests. Default: Istio's count of requests in the last minute.
    #[arg(long, env = "KANARY_MIRROR_COPIES_QUERY")]
    mirror_copies_query: Option<String>,
    /// How the log is written.
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

fn start(run: Run) -> Result<(), String> {
    log(run.log_format);
    let settings = Settings {
        namespace: run.namespace,
        lease_namespace: run.lease_namespace,
        cluster_domain: run.cluster_domain,
        identity: run.identity.unwrap_or_else(host_and_process),
        address: run.address,
        prometheus_url: run.prometheus_url,
        prometheus_allow: run.prometheus_allow,
        mirror_copies_query: run.mirror_copies_query,
    };
    // One thread is plenty: a look takes a fraction of a millisecond, and handing work to another thread costs as much.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(controller::run(settings)).map_err(|error| error.to_string())
}

fn log(format: LogFormat) {
    // kube reports each failed request as an error of its own; we say them once, in our words.
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
