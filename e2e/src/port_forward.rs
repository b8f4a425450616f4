//! Forwards ports of the host into the lab: TCP on the host's loopback, a socket file, TCP inside.
//!
//! Both sides share the file system, which a socket file is reached through, but no network.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use futures::future::join_all;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use crate::{Context, Error, Lab, access, artifacts::Artifacts, network::API_SERVER_PORT, tool::Tool};

/// The outer end, on the host.
#[derive(Debug)]
pub struct PortForward(Vec<(TcpListener, PathBuf)>);

impl PortForward {
    /// Binds a port of the host for each of these ports of the lab, and records its address in the artifacts.
    pub async fn open(artifacts: &mut Artifacts, ports: &[u16]) -> Result<Self, Error> {
        let mut listeners = Vec::new();
        for port in ports {
            let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "listen on loopback".into())?;
            let address = listener.local_addr().context(|| "listen on loopback".into())?;
            artifacts.published.insert(*port, address.to_string());
            listeners.push((listener, socket(&artifacts.dir, *port)));
        }
        Ok(Self(listeners))
    }

    /// Forwards connections until it is dropped.
    pub async fn run(self) {
        join_all(self.0.into_iter().map(|(listener, socket)| outer(listener, socket))).await;
    }
}

async fn outer(listener: TcpListener, socket: PathBuf) {
    while let Ok((stream, _)) = listener.accept().await {
        let socket = socket.clone();
        tokio::spawn(async move { pipe(stream, UnixStream::connect(socket).await).await });
    }
}

async fn inner(listener: UnixListener, port: u16) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move { pipe(stream, TcpStream::connect(("127.0.0.1", port)).await).await });
    }
}

/// What a user on the host needs to inspect the cluster.
#[derive(Debug)]
pub struct HostAccess {
    /// Points to the API server as the host reaches it.
    pub kubeconfig: PathBuf,
    /// Contains `kubectl`, its plugin `kubectl-kanary`, and `lab`.
    pub bin: PathBuf,
}

/// Starts the inner end, which stays until the lab ends, and writes what a user on the host needs.
pub async fn publish(lab: &Lab) -> Result<HostAccess, Error> {
    let artifacts = lab.artifacts();
    for port in artifacts.published.keys().copied() {
        let socket = socket(&artifacts.dir, port);
        let listener = UnixListener::bind(&socket).context(|| format!("listen on {}", socket.display()))?;
        tokio::spawn(inner(listener, port));
    }
    let server = artifacts
        .published
        .get(&API_SERVER_PORT)
        .ok_or_else(|| Error::wrong("this lab publishes no ports: set `Wanted::user`"))?;
    let kubeconfig = artifacts.dir.join("kubeconfig");
    access::copy(&lab.kubeconfig(), &kubeconfig, &format!("https://{server}"))?;
    // A link, because the cache keeps it under a name with a hash in it.
    let bin = artifacts.dir.join("bin");
    fs::create_dir_all(&bin).context(|| format!("create {}", bin.display()))?;
    let link = |name: &str, to: &Path| symlink(to, bin.join(name)).context(|| format!("link {name}"));
    link("kubectl", artifacts.tools.path(Tool::Kubectl)?)?;
    if let Some(plugin) = artifacts.plugin() {
        link("kubectl-kanary", &plugin)?;
    }
    link("lab", &env::current_exe().context(|| "find this program".into())?)?;
    Ok(HostAccess { kubeconfig, bin })
}

fn socket(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!("{port}.sock"))
}

/// One connection; when either side closes it, it is closed.
async fn pipe<A, B>(mut from: A, to: std::io::Result<B>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    if let Ok(mut to) = to {
        let _ = copy_bidirectional(&mut from, &mut to).await;
    }
}
