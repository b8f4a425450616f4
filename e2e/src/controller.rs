//! Kanary's controller as a process of the lab, with its own ServiceAccount and never as admin.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{Api, api::PostParams};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::{
    Context, Error, access,
    control_plane::ControlPlane,
    network::FIRST_CONTROLLER_PORT,
    process::{self, Process},
};

/// The namespace of the shipped manifests.
pub const NAMESPACE: &str = "kanary-system";
/// The ServiceAccount of the shipped manifests.
pub const ACCOUNT: &str = "kanary";

/// To sync its caches; for a cluster this small it takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

static COUNT: AtomicU16 = AtomicU16::new(0);

/// A running controller; dropped, it stays until the lab ends.
#[derive(Debug)]
pub struct Controller {
    process: Process,
    port: u16,
}

impl Controller {
    /// Starts `kanary run ARGS…` with a kubeconfig of the ServiceAccount's own token, for the API server at that
    /// address.
    ///
    /// It has just been started when this returns; [`Self::ready`] waits until it is ready.
    pub async fn start<S: AsRef<str>>(plane: &ControlPlane, server: &str, args: &[S]) -> Result<Self, Error> {
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let (name, port) = (format!("kanary-{nth}"), FIRST_CONTROLLER_PORT + nth);
        let program = plane.artifacts().kanary.as_ref();
        let program =
            program.ok_or_else(|| Error::wrong("this lab has no controller: it was set up with `Setup::bare`"))?;
        let mut command = Command::new(program);
        command.arg("run").arg(format!("--address=127.0.0.1:{port}")).args(args.iter().map(AsRef::as_ref));
        // What the shipped Deployment sets through the downward API. Each name is unique; `--identity` can repeat one.
        command.env("POD_NAMESPACE", NAMESPACE).env("POD_NAME", &name);
        command
            .env("KUBECONFIG", kubeconfig(plane, server, &name).await?)
            .env("RUST_BACKTRACE", "1")
            .env("NO_COLOR", "1");
        let log = plane.dir().join("logs").join(format!("{name}.log"));
        Ok(Self { process: Process::spawn(&name, command, log)?, port })
    }

    /// Waits until `/readyz` returns 200; the error has the end of the log.
    pub async fn ready(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        while self.get("/readyz").await?.0 != 200 {
            if let Some(error) = self.ended() {
                return Err(error);
            }
            if begun.elapsed() > PATIENCE {
                let tail = process::tail(self.log(), 15);
                return Err(Error::wrong(format!(
                    "{} is not ready after {} s; the end of its log:\n{tail}",
                    self.name(),
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Gets a page, e.g. `/metrics`: the status and the body. The status is 0 while nothing listens.
    pub async fn get(&self, path: &str) -> Result<(u16, String), Error> {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else { return Ok((0, String::new())) };
        let what = || format!("GET {path} of {}", self.name());
        let request = format!("GET {path} HTTP/1.0\r\nHost: kanary\r\n\r\n");
        stream.write_all(request.as_bytes()).await.context(what)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.context(what)?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())))
    }

    /// The POD_NAME that it was started with, and so its default identity in a Lease.
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

    /// SIGKILL, like a node that loses power.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.process.kill().await.map(drop)
    }

    /// SIGTERM, as from a kubelet that stops a pod.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.process.stop().await.map(drop)
    }

    /// SIGSTOP: it hangs, and its watches stay open.
    pub fn freeze(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// SIGCONT: it continues with the state that it had when it hung.
    pub fn thaw(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGCONT)
    }

    /// The error that reports its exit, if it has exited by itself.
    pub fn ended(&mut self) -> Option<Error> {
        self.process.ended()
    }
}

/// A kubeconfig with the ServiceAccount's own token.
async fn kubeconfig(plane: &ControlPlane, server: &str, name: &str) -> Result<PathBuf, Error> {
    let path = plane.dir().join(format!("{name}.kubeconfig"));
    access::write(&path, server, plane.ca_pem(), &token(plane, ACCOUNT).await?)?;
    Ok(path)
}

/// A token of a ServiceAccount in Kanary's namespace.
pub async fn token(plane: &ControlPlane, account: &str) -> Result<String, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client.clone(), NAMESPACE);
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 86400}}))?;
    let what = || format!("get a token of ServiceAccount {NAMESPACE}/{account}");
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.context(what)?;
    answer
        .status
        .map(|status| status.token)
        .ok_or_else(|| Error::wrong("the API server returned no token for a TokenRequest"))
}
