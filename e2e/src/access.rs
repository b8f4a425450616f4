//! Who may call the API server, and with which kubeconfig.

use std::fs;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use crate::{Context, Error};

/// Where the API server listens; the network namespace is the lab's own, so the port is always free.
pub const SERVER: &str = "https://127.0.0.1:6443";

/// A caller with a token, as a line of `--token-auth-file` and as a kubeconfig.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Also the name of its kubeconfig.
    pub name: &'static str,
    user: &'static str,
    groups: &'static str,
}

/// The lab itself, and the person at the terminal.
pub const ADMIN: Caller = Caller { name: "admin", user: "lab-admin", groups: "system:masters" };
/// Named, so that `managedFields` and audit show who wrote; its many controllers share one identity.
pub const CONTROLLER_MANAGER: Caller =
    Caller { name: "kube-controller-manager", user: "system:kube-controller-manager", groups: "system:masters" };
/// Bound to its role by the API server's own bootstrap policy.
pub const SCHEDULER: Caller = Caller { name: "kube-scheduler", user: "system:kube-scheduler", groups: "" };
/// Plays the kubelets.
pub const KWOK: Caller = Caller { name: "kwok", user: "lab-kubelet", groups: "system:masters" };

/// All of them.
pub const CALLERS: [Caller; 4] = [ADMIN, CONTROLLER_MANAGER, SCHEDULER, KWOK];

impl Caller {
    /// Only this lab's processes reach the server, so a token need not be secret, and a fixed one is easy to read in a log.
    fn token(self) -> String {
        format!("{}-of-the-lab", self.name)
    }

    /// Its kubeconfig in `dir`.
    pub fn kubeconfig(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.kubeconfig", self.name))
    }
}

/// Writes the token file and a kubeconfig for every caller; returns the token file.
pub fn write_all(dir: &Path, ca_pem: &str) -> Result<PathBuf, Error> {
    for caller in CALLERS {
        write(&caller.kubeconfig(dir), SERVER, ca_pem, &caller.token())?;
    }
    let lines = CALLERS.map(|c| format!("{},{},{},\"{}\"\n", c.token(), c.user, c.name, c.groups));
    let path = dir.join("tokens.csv");
    fs::write(&path, lines.concat()).context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Writes the admin's kubeconfig for a server address that is reachable from elsewhere.
pub fn write_admin(path: &Path, server: &str, ca_pem: &str) -> Result<(), Error> {
    write(path, server, ca_pem, &ADMIN.token())
}

/// Writes one kubeconfig.
pub fn write(path: &Path, server: &str, ca_pem: &str, token: &str) -> Result<(), Error> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority-data": base64(ca_pem)}}],
        "users": [{"name": "lab", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
    });
    fs::write(path, config.to_string()).context(|| format!("write {}", path.display()))
}

/// `ByteString` of k8s-openapi is JSON's base64, which spares a dependency.
fn base64(text: &str) -> serde_json::Value {
    json!(k8s_openapi::ByteString(text.as_bytes().to_vec()))
}

/// A client for a kubeconfig file.
pub async fn client(kubeconfig: &Path) -> Result<Client, Error> {
    let told = || format!("use {}", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).context(told)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.context(told)?;
    Client::try_from(config).context(told)
}
