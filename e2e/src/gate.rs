//! A gate between a controller and the API server that closes right after a chosen write.
//!
//! The write takes effect, its reply never arrives, and nothing more gets through: for whoever is behind the gate this is
//! the worst moment to die. It speaks plain HTTP to the controller and uses the controller's own token beyond.

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

/// An open gate; it stays until the lab ends.
pub struct Gate {
    url: String,
    guard: Arc<Guard>,
}

struct Guard {
    client: Client,
    writes: AtomicUsize,
    closes_after: usize,
    closed: watch::Sender<bool>,
}

impl Gate {
    /// Opens one before the API server of `client`. It closes after so many writes.
    pub async fn open(client: Client, closes_after: usize) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "open a gate".into())?;
        let url = format!("http://{}", listener.local_addr().context(|| "open a gate".into())?);
        let guard =
            Arc::new(Guard { client, writes: AtomicUsize::new(0), closes_after, closed: watch::Sender::new(false) });
        let router = Router::new().fallback(pass).with_state(guard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, guard })
    }

    /// Where the controller finds the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it closes, maybe for ever.
    pub async fn closed(&self) {
        // The sender lives as long as the guard: waiting cannot fail.
        let _ = self.guard.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Has it closed?
    pub fn is_closed(&self) -> bool {
        *self.guard.closed.borrow()
    }
}

/// Writes that change what a canary is about: not the lease, not events, not dry runs.
fn counts(request: &Request) -> bool {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let aside = path.contains("/leases") || path.contains("/events") || query.contains("dryRun");
    request.method() != Method::GET && !aside
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request) -> Response {
    if guard.writes.load(Ordering::SeqCst) >= guard.closes_after {
        return std::future::pending().await;
    }
    let nth = if counts(&request) { guard.writes.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
    let answer = forward(&guard.client, request).await;
    if nth >= guard.closes_after {
        guard.closed.send_replace(true);
        return std::future::pending().await;
    }
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error).into_response())
}

/// Sends it on as the controller.
pub(crate) async fn forward(client: &Client, request: Request) -> Result<Response, String> {
    let (mut parts, body) = request.into_parts();
    for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::CONNECTION] {
        parts.headers.remove(name);
    }
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|error| error.to_string())?;
    let request = http::Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    Ok(answer.map(Body::new))
}
