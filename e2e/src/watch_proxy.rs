//! A proxy between a controller and the API server that can break the watches of one kind, and nothing else.
//!
//! Blocked, open watches end and new ones are refused, as when a role changes or a part of the API server fails.
//! Unwatchable, open watches end and new ones are refused, but lists pass, as when a role permits `list` alone. Stalled,
//! watches stay open and deliver nothing, as when a connection dies silently. All other requests pass, including those for
//! the Lease.

use axum::{
    Router,
    body::Body,
    extract::{self, Request},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use kube::Client;
use tokio::{net::TcpListener, sync::watch};

use crate::{Context, Error, cut_proxy::forward};

/// A running proxy; it stays until the lab ends.
pub struct WatchProxy {
    url: String,
    state: watch::Sender<State>,
    refused: watch::Receiver<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open,
    Blocked,
    Unwatchable,
    Stalled,
}

#[derive(Clone)]
struct Shared {
    client: Client,
    plural: &'static str,
    state: watch::Receiver<State>,
    refused: watch::Sender<usize>,
}

impl WatchProxy {
    /// Starts one in front of the API server of `client`, for a kind such as `pods`. Everything passes at first.
    pub async fn start(client: Client, plural: &'static str) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "start a proxy".into())?;
        let url = format!("http://{}", listener.local_addr().context(|| "start a proxy".into())?);
        let (state, receiver) = watch::channel(State::Open);
        let (refusals, refused) = watch::channel(0);
        let shared = Shared { client, plural, state: receiver, refused: refusals };
        let router = Router::new().fallback(pass).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, state, refused })
    }

    /// Where the controller finds the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the watches of the kind, and refuses to list or watch it.
    pub fn block(&self) {
        self.state.send_replace(State::Blocked);
    }

    /// Ends the watches of the kind, and refuses to watch it.
    pub fn forbid_watch(&self) {
        self.state.send_replace(State::Unwatchable);
    }

    /// Waits until so many watches were refused.
    pub async fn until_refused(&self, count: usize) {
        // The proxy runs until the lab ends.
        drop(self.refused.clone().wait_for(|refused| *refused >= count).await);
    }

    /// Keeps the watches of the kind open, but delivers nothing.
    pub fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    /// Lets everything pass again.
    pub fn restore(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn pass(extract::State(shared): extract::State<Shared>, request: Request) -> Response {
    let is_meant = request.method() == Method::GET && request.uri().path().ends_with(shared.plural);
    if is_meant && *shared.state.borrow() == State::Blocked {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let is_watch = is_meant && request.uri().query().is_some_and(|query| query.contains("watch=true"));
    if is_watch && *shared.state.borrow() == State::Unwatchable {
        shared.refused.send_modify(|count| *count += 1);
        return StatusCode::FORBIDDEN.into_response();
    }
    let response = forward(&shared.client, request).await;
    let response = response.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error).into_response());
    if !is_watch {
        return response;
    }
    // A proxy that was dropped blocks and stalls no more.
    let (mut state, stalled) = (shared.state.clone(), shared.state);
    let ends = |state: &State| matches!(state, State::Blocked | State::Unwatchable);
    let blocked = async move { drop(state.wait_for(ends).await) };
    let deliver = move |chunk| {
        let mut state = stalled.clone();
        async move {
            drop(state.wait_for(|state| *state != State::Stalled).await);
            chunk
        }
    };
    response.map(|body| Body::from_stream(body.into_data_stream().then(deliver).take_until(Box::pin(blocked))))
}
