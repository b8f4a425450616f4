//! Five canaries, live: one is promoted, one fails, one waits for you, and two get mirrored requests on a real mesh.
//!
//! Everything on the screen is read from a watch on a real API server, when it happens. Nothing sleeps.

mod addons;
mod basic;
mod lines;
mod mirrored;
mod run;
mod screen;
mod view;
mod yaml;

use std::{
    env,
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
};

use kanary_e2e::{
    Context, Error, Lab, Setup,
    artifacts::{Artifacts, Wanted},
    network, port_forward,
    sandbox::{self, Interrupt},
};

use crate::{run::Demo, screen::Screen};

const USAGE: &str = "\
Five canaries on a real Kubernetes control plane on this machine, without Docker.

usage: demo [--auto]

--auto  approve the third canary without asking; the default if stdin is not a terminal";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let auto = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => !io::stdin().is_terminal(),
        ["--auto"] => true,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    // The program runs twice; the introduction is printed once.
    if !sandbox::is_inner() {
        introduce(&Screen::new());
    }
    let wanted =
        Wanted { kanary: true, user: true, mesh: true, prometheus: true, in_background: true, ..Wanted::default() };
    let done = sandbox::main(wanted, Interrupt::Ends, |artifacts| inside(artifacts, auto));
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn introduce(screen: &Screen) {
    screen.title("Kanary, live");
    screen.text(
        "etcd, the Kubernetes API server, its controllers and its scheduler run here for real, and Kanary under its \
         own ServiceAccount. Only the kubelet is simulated (by kwok): pods become ready and have addresses, but run no \
         containers. The last two canaries are on a real mesh, istiod and Envoy, and are evaluated with a real \
         Prometheus. The first time everything is built, most of it from source: the control plane now, which takes \
         some minutes, and the rest while the first canaries run.",
    );
}

fn inside(artifacts: Artifacts, auto: bool) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    runtime.block_on(async {
        let lab = Arc::new(Lab::start(artifacts, &Setup::installed()).await?);
        let prometheus = format!("--prometheus-url=http://127.0.0.1:{}", network::FIRST_PROMETHEUS_PORT);
        let controller = lab.controller(&[prometheus]).await?;
        let host = port_forward::publish(&lab).await?;
        let screen = Screen::new();
        screen.gap();
        screen.text("To inspect the cluster while it runs, in another terminal:");
        screen.code(&format!("export KUBECONFIG={}", host.kubeconfig.display()));
        screen.code(&format!("export PATH={}:$PATH", host.bin.display()));
        screen.code("kubectl -n demo get kd,deploy,svc,pods");
        let kubectl = host.bin.join("kubectl");
        Demo::new(lab, controller, kubectl, screen, auto).await?.run().await
    })
}
