//! A way from the host into the lab: TCP on the host's loopback, a socket file, TCP inside.
//!
//! A socket file is reached through the file system, which both sides share, while they share no network.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use futures::future::join_all;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use crate::{Context, Error, Lab, access, kit::Kit, network::API_SERVER_PORT, tool::Tool};

/// The outer end.
#[derive(Debug)]
pub struct Bridge(Vec<(TcpListener, PathBuf)>);

impl Bridge {
    /// Takes a port of the host for each of the lab's, and notes it in the kit.
    pub async fn open(kit: &mut Kit, ports: &[u16]) -> Result<Self, Error> {
        let mut doors = Vec::new();
        for port in ports {
            let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "listen on loopback".into())?;
            let address = listener.local_addr().context(|| "listen on loopback".into())?;
            kit.doors.insert(*port, address.to_string());
            doors.push((listener, socket(&kit.dir, *port)));
        }
        Ok(Self(doors))
    }

    /// Passes on what comes, until it is dropped.
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

/// What a person on the host needs to look around.
#[derive(Debug)]
pub struct Invitation {
    /// Leads to the API server from outside.
    pub kubeconfig: PathBuf,
    /// Holds a `kubectl`.
    pub bin: PathBuf,
}

/// The inner end, which ends with the lab, and what leads to it from outside.
pub async fn invite(lab: &Lab) -> Result<Invitation, Error> {
    let kit = lab.kit();
    for port in kit.doors.keys().copied() {
        let socket = socket(&kit.dir, port);
        let listener = UnixListener::bind(&socket).context(|| format!("listen on {}", socket.display()))?;
        tokio::spawn(inner(listener, port));
    }
    let server = kit.doors.get(&API_SERVER_PORT).ok_or_else(|| Error::wrong("this lab was built for no person"))?;
    let kubeconfig = kit.dir.join("kubeconfig");
    access::copy(&lab.kubeconfig(), &kubeconfig, &format!("https://{server}"))?;
    // By a link, since the cache keeps it under a name with a hash in it.
    let bin = kit.dir.join("bin");
    fs::create_dir_all(&bin).context(|| format!("create {}", bin.display()))?;
    symlink(kit.tools.path(Tool::Kubectl)?, bin.join("kubectl")).context(|| "link kubectl".into())?;
    Ok(Invitation { kubeconfig, bin })
}

fn socket(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!("{port}.sock"))
}

/// One connection; when either side ends it, it has ended.
async fn pipe<A, B>(mut from: A, to: std::io::Result<B>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    if let Ok(mut to) = to {
        let _ = copy_bidirectional(&mut from, &mut to).await;
    }
}
