//! What a lab needs before it starts; all of it is built while there is still a network.

use std::{collections::BTreeMap, env, path::PathBuf, process::Command, thread};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    Error, job, manifests, network,
    progress::Progress,
    tool::{CONTROL_PLANE, MESH, Tool},
    tools::{self, Tools},
};

/// Handed from the outer process to the inner one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Artifacts {
    /// The lab's files; the outer process removes them.
    pub dir: PathBuf,
    /// The programs.
    pub tools: Tools,
    /// The controller, unless this lab has none.
    pub kanary: Option<PathBuf>,
    /// The host's address for each published port of the lab; empty unless a user inspects the lab.
    pub published: BTreeMap<u16, String>,
}

impl Artifacts {
    /// The kubectl plugin, which is built beside the controller.
    pub fn plugin(&self) -> Option<PathBuf> {
        self.kanary.as_ref().map(|kanary| kanary.with_file_name("kubectl-kanary"))
    }
}

/// What to build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Build the controller.
    pub kanary: bool,
    /// Have a kubectl.
    pub kubectl: bool,
    /// A user will inspect the lab: have a kubectl, and ports of the host that are forwarded into the lab.
    pub user: bool,
    /// Have istiod and Envoy.
    pub mesh: bool,
    /// Have a Prometheus.
    pub prometheus: bool,
    /// Have Helm.
    pub helm: bool,
    /// Build the last three while the lab already runs, see [`crate::background_build`].
    pub in_background: bool,
}

impl Wanted {
    /// Builds it: Go and Rust in parallel, because each build ends with one linker on one core.
    pub fn build(self) -> Result<Artifacts, Error> {
        let plan = tools::plan(&self.tools())?;
        let progress = Progress::new(plan.to_build() + usize::from(self.kanary));
        thread::scope(|scope| {
            let kanary = self.kanary.then(|| scope.spawn(|| build_kanary(&progress)));
            let tools = plan.carry_out(&progress)?;
            let kanary =
                kanary.map(|thread| thread.join().unwrap_or_else(|_| Err(Error::wrong("cargo build panicked"))));
            Ok(Artifacts { dir: PathBuf::new(), tools, kanary: kanary.transpose()?, published: BTreeMap::new() })
        })
    }

    /// Builds what the running lab gets later, and reports progress.
    pub fn build_in_background(self, progress: watch::Sender<String>) -> Result<Tools, Error> {
        let plan = tools::plan(&self.extras().collect::<Vec<_>>())?;
        let progress = Progress::reported(plan.to_build(), progress);
        plan.carry_out(&progress)
    }

    fn tools(self) -> Vec<Tool> {
        let kubectl = (self.kubectl || self.user).then_some(Tool::Kubectl);
        let mut tools: Vec<Tool> = CONTROL_PLANE.into_iter().chain(kubectl).collect();
        if !self.in_background {
            tools.extend(self.extras());
        }
        tools
    }

    /// What is not part of the control plane.
    fn extras(self) -> impl Iterator<Item = Tool> {
        let programs = [(self.prometheus, Tool::Prometheus), (self.helm, Tool::Helm)];
        let programs = programs.into_iter().filter_map(|(wanted, tool)| wanted.then_some(tool));
        programs.chain(MESH.into_iter().filter(move |_| self.mesh))
    }

    /// The lab's ports that can be reached from the host.
    pub fn ports(self) -> Vec<u16> {
        if !self.user {
            return Vec::new();
        }
        let mut ports = vec![network::API_SERVER_PORT];
        if self.prometheus {
            ports.push(network::FIRST_PROMETHEUS_PORT);
        }
        if self.mesh {
            ports.extend(network::MESH_PORTS);
        }
        ports
    }
}

/// `cargo build --bin kanary`, in the profile that this program was built in.
///
/// Both packages are selected, so that their dependencies have the same features as here and are not rebuilt.
fn build_kanary(progress: &Progress) -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // The outer cargo's variables about this package must not reach the inner one: crates that read them would be
    // rebuilt.
    for (variable, _) in env::vars_os().filter(|(name, _)| is_of_package(&name.to_string_lossy())) {
        command.env_remove(variable);
    }
    command.current_dir(manifests::repository()).args(["build", "--message-format=json"]);
    command.args(["--package=kanary", "--package=kanary-e2e", "--bin=kanary", "--bin=kubectl-kanary"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let step = progress.step("kanary");
    let output = job::output(&mut command, || "start cargo build".into())?;
    let messages = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Error::wrong(format!("cargo build --bin kanary failed:\n{}{stderr}", diagnostics(&messages))));
    }
    step.done();
    executable(&messages).ok_or_else(|| Error::wrong("cargo build --bin kanary produced no binary"))
}

fn is_of_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|p| variable.starts_with(p))
}

fn parsed(messages: &str) -> impl Iterator<Item = Value> {
    messages.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn executable(messages: &str) -> Option<PathBuf> {
    let binaries = parsed(messages).filter(|message| message["target"]["name"] == "kanary");
    binaries.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).last()
}

fn diagnostics(messages: &str) -> String {
    let rendered = |message: Value| Some(message.pointer("/message/rendered")?.as_str()?.to_owned());
    parsed(messages).filter_map(rendered).collect()
}
