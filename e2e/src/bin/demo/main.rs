//! A bad image by a plain rolling update, and five canaries, live: one is promoted, one has that image and fails, one waits
//! for you, and two get mirrored requests on a real mesh.
//!
//! Everything on the screen is read from a watch on a real API server, when it happens. Nothing sleeps.

mod addons;
mod basic;
mod hand_tool;
mod lines;
mod mirrored;
mod rolling;
mod run;
mod screen;
mod typed;
mod users;
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
    port_forward,
    prometheus::Prometheus,
    sandbox::{self, Interrupt},
};

use crate::{run::Demo, screen::Screen};

const USAGE: &str = "\
A rolling update and five canaries on a real Kubernetes control plane on this machine, without Docker.

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
         containers. A server answers at their addresses, as their annotations say. The last two canaries are on a real mesh, istiod and Envoy, and are evaluated with a real \
         Prometheus. The first time everything is built, most of it from source: the control plane now, which takes \
         some minutes, and the rest while the first canaries run.",
    );
}

fn inside(artifacts: Artifacts, auto: bool) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    runtime.block_on(async {
        let lab = Arc::new(Lab::start(artifacts, &Setup::installed().with_backend()).await?);
        let controller = lab.controller(&[Prometheus::flag()]).await?;
        let host = port_forward::publish(&lab).await?;
        let screen = Screen::new();
        screen.gap();
        screen.text("To inspect the cluster while it runs, in another terminal:");
        screen.code(&format!("export KUBECONFIG={}", host.kubeconfig.display()));
        screen.code(&format!("export PATH={}:$PATH", host.bin.display()));
        screen.code("kubectl kanary get -n demo");
        Demo::new(lab, controller, host.bin, screen, auto).await?.run().await
    })
}
