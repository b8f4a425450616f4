//! A way from the host into the lab: TCP on the host's loopback, a socket file, TCP inside.
//!
//! A socket file is reached through the file system, which both sides share, while they share no network.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::kit::Kit;
use crate::tools::Tool;
use crate::{Context, Error, Lab, access};

/// The API server's, inside.
const PORT: u16 = 6443;

/// The outer end.
#[derive(Debug)]
pub struct Bridge {
    listener: TcpListener,
    socket: PathBuf,
}

impl Bridge {
    /// Takes a port of the host, and notes it in the kit.
    pub async fn open(kit: &mut Kit) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "listen on loopback".into())?;
        let address = listener.local_addr().context(|| "listen on loopback".into())?;
        kit.server = Some(format!("https://{address}"));
        Ok(Self { listener, socket: socket(&kit.dir) })
    }

    /// Passes on what comes, until it is dropped.
    pub async fn run(self) {
        while let Ok((stream, _)) = self.listener.accept().await {
            let socket = self.socket.clone();
            tokio::spawn(async move { pipe(stream, UnixStream::connect(socket).await).await });
        }
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
    let server = kit.server.as_deref().ok_or_else(|| Error::wrong("this lab was built for no person"))?;
    let listener =
        UnixListener::bind(socket(&kit.dir)).context(|| format!("listen on {}", socket(&kit.dir).display()))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { pipe(stream, TcpStream::connect(("127.0.0.1", PORT)).await).await });
        }
    });
    let kubeconfig = kit.dir.join("kubeconfig");
    access::copy(&lab.kubeconfig(), &kubeconfig, server)?;
    // By a link, since the cache keeps it under a name with a hash in it.
    let bin = kit.dir.join("bin");
    fs::create_dir_all(&bin).context(|| format!("create {}", bin.display()))?;
    symlink(kit.tools.path(Tool::Kubectl)?, bin.join("kubectl")).context(|| "link kubectl".into())?;
    Ok(Invitation { kubeconfig, bin })
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("apiserver.sock")
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
