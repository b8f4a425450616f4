//! Kanary's controller as a process of the lab, as itself and never as admin.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::process::Command;

use crate::access::{self, SERVER};
use crate::control_plane::ControlPlane;
use crate::process::Process;
use crate::{Context, Error};

/// The namespace of the shipped manifests.
pub const NAMESPACE: &str = "kanary-system";
/// The ServiceAccount of the shipped manifests.
pub const ACCOUNT: &str = "kanary";

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A running controller; dropped, it stays until the lab ends.
#[derive(Debug)]
pub struct Controller {
    process: Process,
}

impl Controller {
    /// Starts `kanary run ARGS…` with a kubeconfig of the ServiceAccount's own token.
    pub async fn start<S: AsRef<str>>(plane: &ControlPlane, args: &[S]) -> Result<Self, Error> {
        let name = format!("kanary-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let program = plane.kit().kanary.as_ref();
        let program = program.ok_or_else(|| Error::wrong("this lab was set up without the controller"))?;
        let kubeconfig = kubeconfig(plane).await?;
        let mut command = Command::new(program);
        command.arg("run").args(args.iter().map(AsRef::as_ref));
        // What the shipped Deployment gives by the downward API.
        command.env("KUBECONFIG", kubeconfig).env("POD_NAMESPACE", NAMESPACE).env("POD_NAME", &name);
        command.env("RUST_BACKTRACE", "1").env("NO_COLOR", "1");
        let log = plane.dir().join("logs").join(format!("{name}.log"));
        Ok(Self { process: Process::spawn(&name, command, log)? })
    }

    /// The POD_NAME it was started with, so its likely identity in a Lease.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Its process id, inside the lab.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// SIGKILL: a node that lost power.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.process.kill().await.map(drop)
    }

    /// SIGTERM, as the kubelet ends a pod.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.process.stop().await.map(drop)
    }

    /// SIGSTOP: it hangs, and its watches stay open.
    pub fn freeze(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// SIGCONT: it goes on where it hung, with what it knew then.
    pub fn thaw(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGCONT)
    }

    /// The error that tells of its end, if it ended by itself.
    pub fn ended(&mut self) -> Option<Error> {
        self.process.ended()
    }
}

/// A kubeconfig with the ServiceAccount's own token; all controllers of a lab share the file.
async fn kubeconfig(plane: &ControlPlane) -> Result<PathBuf, Error> {
    let path = plane.dir().join("kanary.kubeconfig");
    let token = token(plane, ACCOUNT).await?;
    access::write(&path, SERVER, plane.ca_pem(), &token)?;
    Ok(path)
}

/// A token of a ServiceAccount in Kanary's namespace.
pub async fn token(plane: &ControlPlane, account: &str) -> Result<String, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client.clone(), NAMESPACE);
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 86400}}))?;
    let told = || format!("get a token of ServiceAccount {NAMESPACE}/{account}");
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.context(told)?;
    answer.status.map(|status| status.token).ok_or_else(|| Error::wrong("a TokenRequest without an answer"))
}
