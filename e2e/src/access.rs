//! The identities that may call the API server, and their kubeconfigs.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::{Context, Error};

/// Where the API server listens; the network namespace is the lab's own, so its port is always free.
pub const SERVER: &str = "https://127.0.0.1:6443";

/// A user with a token, as a line of `--token-auth-file` and as a kubeconfig.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Also the name of its kubeconfig.
    pub name: &'static str,
    user: &'static str,
    groups: &'static str,
}

/// The lab itself, and the user at the terminal.
pub const ADMIN: Identity = Identity { name: "admin", user: "lab-admin", groups: "system:masters" };
/// Named, so that `managedFields` and audit show the writer; its many controllers share one identity.
pub const CONTROLLER_MANAGER: Identity =
    Identity { name: "kube-controller-manager", user: "system:kube-controller-manager", groups: "system:masters" };
/// Its own role exists only a second after the API server is ready; refused until then, it would back off for longer.
pub const SCHEDULER: Identity =
    Identity { name: "kube-scheduler", user: "system:kube-scheduler", groups: "system:masters" };
/// Simulates the kubelets.
pub const KWOK: Identity = Identity { name: "kwok", user: "lab-kubelet", groups: "system:masters" };

/// Istio's control plane, if there is a mesh.
pub const ISTIOD: Identity = Identity { name: "istiod", user: "istiod", groups: "system:masters" };

/// All of them.
pub const IDENTITIES: [Identity; 5] = [ADMIN, CONTROLLER_MANAGER, SCHEDULER, KWOK, ISTIOD];

impl Identity {
    /// Its kubeconfig in `dir`.
    pub fn kubeconfig(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.kubeconfig", self.name))
    }
}

/// Writes the token file and a kubeconfig for each identity; returns the token file.
pub fn write_all(dir: &Path, ca_pem: &str) -> Result<PathBuf, Error> {
    let mut lines = String::new();
    for Identity { name, user, groups } in IDENTITIES {
        let token = random()?;
        write(&dir.join(format!("{name}.kubeconfig")), SERVER, ca_pem, &token)?;
        lines.push_str(&format!("{token},{user},{name},\"{groups}\"\n"));
    }
    let path = dir.join("tokens.csv");
    fs::write(&path, lines).context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// `lab up` opens a port on the host, which other users may share: a token must not be guessable.
fn random() -> Result<String, Error> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context(|| "make a token".into())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Copies a kubeconfig for clients that reach the server at another address.
pub fn copy(from: &Path, to: &Path, server: &str) -> Result<(), Error> {
    let text = fs::read_to_string(from).context(|| format!("read {}", from.display()))?;
    fs::write(to, text.replace(SERVER, server)).context(|| format!("write {}", to.display()))
}

/// Writes one kubeconfig.
pub fn write(path: &Path, server: &str, ca_pem: &str, token: &str) -> Result<(), Error> {
    fs::write(path, config(server, ca_pem, token).to_string()).context(|| format!("write {}", path.display()))
}

fn config(server: &str, ca_pem: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority-data": base64(ca_pem)}}],
        "users": [{"name": "lab", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
    })
}

/// `ByteString` of k8s-openapi serializes as base64, which saves a dependency.
fn base64(text: &str) -> Value {
    json!(k8s_openapi::ByteString(text.as_bytes().to_vec()))
}

/// A client for a kubeconfig file.
pub async fn client(kubeconfig: &Path) -> Result<Client, Error> {
    let what = || format!("use {}", kubeconfig.display());
    client_of(Kubeconfig::read_from(kubeconfig).context(what)?).await.context(what)
}

/// A client with a token. No file is written, because several tests may do this at once.
pub async fn client_with(token: &str, ca_pem: &str) -> Result<Client, Error> {
    let kubeconfig = serde_json::from_value(config(SERVER, ca_pem, token))?;
    client_of(kubeconfig).await.context(|| "use a token".into())
}

async fn client_of(kubeconfig: Kubeconfig) -> Result<Client, kube::Error> {
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.map_err(|error| kube::Error::Service(error.into()))?)
}
