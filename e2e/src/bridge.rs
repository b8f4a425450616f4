//! A way from the host into the lab: TCP on the host's loopback, a socket file, TCP inside.
//!
//! A socket file is reached through the file system, which both sides share, while they share no network.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::{Context, Error};

/// The socket file for a port, in the lab's directory.
pub fn socket(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!("port-{port}.sock"))
}

/// Inside: passes what comes through the socket file on to the port. Runs until it is dropped.
pub async fn inner(dir: &Path, port: u16) -> Result<(), Error> {
    let path = socket(dir, port);
    let listener = UnixListener::bind(&path).context(|| format!("listen on {}", path.display()))?;
    loop {
        let (stream, _) = listener.accept().await.context(|| "accept from the host".into())?;
        tokio::spawn(async move { pipe(stream, TcpStream::connect(("127.0.0.1", port)).await).await });
    }
}

/// Outside: passes what comes to the listener on through the socket file. Runs until it is dropped.
pub async fn outer(listener: TcpListener, socket: PathBuf) -> Result<(), Error> {
    loop {
        let (stream, _) = listener.accept().await.context(|| "accept from the host".into())?;
        let socket = socket.clone();
        tokio::spawn(async move { pipe(stream, UnixStream::connect(socket).await).await });
    }
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
