//! A proxy between a controller and the API server that cuts the connection right after a chosen write.
//!
//! The write takes effect, its response never arrives, and nothing more gets through: for the client behind the proxy
//! this is the worst moment to crash. It serves plain HTTP to the controller and uses the controller's own token
//! upstream.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use kube::Client;
use tokio::{net::TcpListener, sync::watch};

use crate::{Context, Error};

/// More than any object.
const LARGEST_BODY: usize = 4 << 20;

/// A running proxy; it stays until the lab ends.
pub struct CutProxy {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    writes: AtomicUsize,
    cut_after: usize,
    is_cut: watch::Sender<bool>,
}

impl CutProxy {
    /// Starts one in front of the API server of `client`. It cuts the connection after `cut_after` writes.
    pub async fn start(client: Client, cut_after: usize) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "start a proxy".into())?;
        let url = format!("http://{}", listener.local_addr().context(|| "start a proxy".into())?);
        let shared =
            Arc::new(Shared { client, writes: AtomicUsize::new(0), cut_after, is_cut: watch::Sender::new(false) });
        let router = Router::new().fallback(pass).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, shared })
    }

    /// Where the controller finds the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits, possibly indefinitely, until the connection is cut.
    pub async fn until_cut(&self) {
        // The sender lives as long as the proxy: waiting cannot fail.
        let _ = self.shared.is_cut.subscribe().wait_for(|is_cut| *is_cut).await;
    }

    /// Is the connection cut?
    pub fn is_cut(&self) -> bool {
        *self.shared.is_cut.borrow()
    }
}

/// Writes to what makes up a canary: not to the Lease, not events, not dry runs.
fn counts(request: &Request) -> bool {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let is_ignored = path.contains("/leases") || path.contains("/events") || query.contains("dryRun");
    request.method() != Method::GET && !is_ignored
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if shared.writes.load(Ordering::SeqCst) >= shared.cut_after {
        return std::future::pending().await;
    }
    let nth = if counts(&request) { shared.writes.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
    let response = forward(&shared.client, request).await;
    if nth >= shared.cut_after {
        shared.is_cut.send_replace(true);
        return std::future::pending().await;
    }
    response.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error).into_response())
}

/// Forwards a request with the controller's own credentials.
pub(crate) async fn forward(client: &Client, request: Request) -> Result<Response, String> {
    let (mut parts, body) = request.into_parts();
    for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::CONNECTION] {
        parts.headers.remove(name);
    }
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|error| error.to_string())?;
    let request = http::Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    Ok(response.map(Body::new))
}
