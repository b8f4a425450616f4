//! A lab to explore, and load on its Services.

mod load;

use std::{env, ffi::OsString, iter, path::Path, process::ExitCode};

use kanary_e2e::{
    Context, Error, Lab, Setup,
    artifacts::{Artifacts, Wanted},
    load::order,
    network,
    port_forward::{self, HostAccess},
    prometheus::Prometheus,
    sandbox::{self, Interrupt},
};
use tokio::process::Command;

const USAGE: &str = "\
A real Kubernetes control plane on this machine, without Docker.

usage: lab up  [FLAGS]             start a lab and keep it until Ctrl-C
       lab run [FLAGS] -- COMMAND  run a command in a lab, with KUBECONFIG set
       lab load SERVICE[.NAMESPACE] [--rate 20] [--for 1m] [--port PORT] [--direct]
                                   send requests to a Service of the lab of KUBECONFIG

up and run:
--bare        do not install Kanary
--mesh        start istiod, and Envoy as a sidecar and as a gateway
--prometheus  start a Prometheus that scrapes the pods, and have Kanary query it

load:
--rate        requests a second
--for         how long, e.g. 30s or 5m; Ctrl-C ends it early
--port        the Service's port, by default its first
--direct      past the mesh, if there is one, to the ready pods in turn

Pods answer with 200 at once. In a template or on a pod, an annotation changes that:
  lab.kanary.k8s.io/errors: \"5%\"      this share fails with 500; \"5% 503\" with 503
  lab.kanary.k8s.io/latency: \"300ms\"  each response takes so long";

/// What the lab serves at its published ports.
const PUBLISHED: [(u16, &str); 6] = [
    (network::FIRST_PROMETHEUS_PORT, "Prometheus"),
    (80, "the mesh: port 80 of every Service, with the Host SERVICE.NAMESPACE.svc.cluster.local"),
    (network::ISTIO_GATEWAY_PORT, "the gateway for VirtualServices with `gateways: [istio-ingress/ingress]`"),
    (network::HTTP_ROUTE_GATEWAY_PORT, "the gateway for HTTPRoutes with the parent istio-ingress/ingress"),
    (network::SIDECAR_ADMIN_PORT, "the sidecar's admin pages"),
    (network::GATEWAY_ADMIN_PORT, "the gateway's admin pages"),
];

/// What the arguments request.
struct Task {
    bare: bool,
    mesh: bool,
    prometheus: bool,
    /// None = `up`.
    command: Option<Vec<OsString>>,
}

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let done = match args.split_first() {
        Some((verb, rest)) if verb == "load" => load::order(rest).map(load::send),
        Some((verb, _)) if verb == "help" || verb == "--help" || verb == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => parse(&args).map(start),
    };
    let Some(done) = done else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn start(task: Task) -> Result<ExitCode, Error> {
    let Task { bare, mesh, prometheus, .. } = task;
    let wanted = Wanted { kanary: !bare, user: true, mesh, prometheus, ..Wanted::default() };
    let interrupt = if task.command.is_some() { Interrupt::Passes } else { Interrupt::Ends };
    sandbox::main(wanted, interrupt, |artifacts| inside(artifacts, task))
}

fn parse(args: &[OsString]) -> Option<Task> {
    let (verb, rest) = args.split_first()?;
    let flags = rest.iter().position(|arg| arg == "--").unwrap_or(rest.len());
    let (flags, command) = rest.split_at(flags);
    let mut task = Task { bare: false, mesh: false, prometheus: false, command: None };
    for flag in flags {
        match flag.to_str()? {
            "--bare" => task.bare = true,
            "--mesh" => task.mesh = true,
            "--prometheus" => task.prometheus = true,
            _ => return None,
        }
    }
    match (verb.to_str()?, command) {
        ("up", []) => Some(task),
        ("run", [_, command @ ..]) if !command.is_empty() => Some(Task { command: Some(command.to_vec()), ..task }),
        _ => None,
    }
}

fn inside(artifacts: Artifacts, task: Task) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    runtime.block_on(async {
        let mut setup = if task.bare { Setup::bare() } else { Setup::installed() }.with_backend();
        if task.mesh {
            setup = setup.with_mesh();
        }
        if task.prometheus {
            setup = setup.with_prometheus();
        }
        let lab = Lab::start(artifacts, &setup).await?;
        let args = Vec::from_iter(task.prometheus.then(Prometheus::flag));
        let _controller = match task.bare {
            true => None,
            false => Some(lab.controller(&args).await?),
        };
        let host = port_forward::publish(&lab).await?;
        order::serve(&lab)?;
        match task.command {
            Some(command) => run(&lab, &host.bin, command).await,
            None => keep_running(&lab, &host).await,
        }
    })
}

async fn keep_running(lab: &Lab, host: &HostAccess) -> Result<ExitCode, Error> {
    println!("The lab is running. In another terminal:\n");
    println!("  export KUBECONFIG={}", host.kubeconfig.display());
    println!("  export PATH={}:$PATH\n", host.bin.display());
    println!("  kubectl get nodes");
    println!("  lab load web             # 20 requests a second to Service web for a minute; `lab help` has more");
    println!("  kubectl annotate pod --overwrite -l app=web lab.kanary.k8s.io/errors=5%  # its pods fail");
    let published = &lab.artifacts().published;
    if published.len() > 1 {
        println!();
    }
    for (address, what) in PUBLISHED.iter().filter_map(|(port, what)| Some((published.get(port)?, what))) {
        println!("  http://{address}  {what}");
    }
    println!("\nLogs are in {}. Press Ctrl-C to stop the lab.", lab.dir().join("logs").display());
    // The outer process handles Ctrl-C, and ends this one.
    std::future::pending().await
}

async fn run(lab: &Lab, bin: &Path, command: Vec<OsString>) -> Result<ExitCode, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(iter::once(bin.to_owned()).chain(env::split_paths(&path)));
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]).env("KUBECONFIG", lab.kubeconfig()).env("PATH", path.unwrap_or_default());
    let status = process.status().await.context(|| format!("run {}", command[0].display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
