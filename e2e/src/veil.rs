//! A veil between a controller and the API server: drawn, it hides one kind, and nothing else.
//!
//! Drawn, watches that are open end, and new ones are refused, as when a role changes or a part of the API server fails.
//! Muffled, watches stay open and nothing comes, as when a connection dies without a word. All other requests pass, the
//! lease among them.

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

use crate::{Context, Error, gate::forward};

/// It stays until the lab ends.
pub struct Veil {
    url: String,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Lifted,
    Drawn,
    Muffled,
}

#[derive(Clone)]
struct Hidden {
    client: Client,
    plural: &'static str,
    state: watch::Receiver<State>,
}

impl Veil {
    /// Hangs one before the API server of `client`, for a kind such as `pods`. It is not drawn yet.
    pub async fn before(client: Client, plural: &'static str) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "hang a veil".into())?;
        let url = format!("http://{}", listener.local_addr().context(|| "hang a veil".into())?);
        let (state, receiver) = watch::channel(State::Lifted);
        let router = Router::new().fallback(pass).with_state(Hidden { client, plural, state: receiver });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, state })
    }

    /// Where the controller finds the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Nothing of the kind is seen any more.
    pub fn draw(&self) {
        self.state.send_replace(State::Drawn);
    }

    /// No watch of the kind tells anything any more.
    pub fn muffle(&self) {
        self.state.send_replace(State::Muffled);
    }

    /// All is seen again.
    pub fn lift(&self) {
        self.state.send_replace(State::Lifted);
    }
}

async fn pass(extract::State(hidden): extract::State<Hidden>, request: Request) -> Response {
    let is_meant = request.method() == Method::GET && request.uri().path().ends_with(hidden.plural);
    if is_meant && *hidden.state.borrow() == State::Drawn {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let is_watch = is_meant && request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let answer = forward(&hidden.client, request).await;
    let answer = answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error).into_response());
    if !is_watch {
        return answer;
    }
    // A veil that is gone is drawn no more.
    let (mut state, muffled) = (hidden.state.clone(), hidden.state);
    let drawn = async move { drop(state.wait_for(|state| *state == State::Drawn).await) };
    let heard = move |chunk| {
        let mut state = muffled.clone();
        async move {
            drop(state.wait_for(|state| *state != State::Muffled).await);
            chunk
        }
    };
    answer.map(|body| Body::from_stream(body.into_data_stream().then(heard).take_until(Box::pin(drawn))))
}
