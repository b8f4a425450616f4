//! A veil between a controller and the API server: drawn, it hides one kind, and nothing else.
//!
//! Watches that are open end, and new ones are refused, as when a role changes or a part of the API server fails. All
//! other requests pass, the lease among them.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::gate::forward;
use crate::{Context, Error};

/// It stays until the lab ends.
pub struct Veil {
    url: String,
    drawn: watch::Sender<bool>,
}

#[derive(Clone)]
struct Hidden {
    client: Client,
    plural: &'static str,
    drawn: watch::Receiver<bool>,
}

impl Veil {
    /// Hangs one before the API server of `client`, for a kind such as `pods`. It is not drawn yet.
    pub async fn before(client: Client, plural: &'static str) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context(|| "hang a veil".into())?;
        let url = format!("http://{}", listener.local_addr().context(|| "hang a veil".into())?);
        let (drawn, receiver) = watch::channel(false);
        let router = Router::new().fallback(pass).with_state(Hidden { client, plural, drawn: receiver });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, drawn })
    }

    /// Where the controller finds the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Nothing of the kind is seen any more.
    pub fn draw(&self) {
        self.drawn.send_replace(true);
    }

    /// All is seen again.
    pub fn lift(&self) {
        self.drawn.send_replace(false);
    }
}

async fn pass(State(mut hidden): State<Hidden>, request: Request) -> Response {
    let is_meant = request.method() == Method::GET && request.uri().path().ends_with(hidden.plural);
    if is_meant && *hidden.drawn.borrow() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let answer = forward(&hidden.client, request).await;
    let answer = answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error).into_response());
    if !is_meant {
        return answer;
    }
    // A veil that is gone is drawn no more.
    let drawn = async move { drop(hidden.drawn.wait_for(|drawn| *drawn).await) };
    answer.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(drawn))))
}
