//! Serves `/healthz` while the process runs, `/readyz` once its stores are synced, and `/metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};

use super::context::Context;
use crate::api::KanaryDeployment;

/// Serves indefinitely.
///
/// # Errors
/// It is not possible to listen on the address.
pub async fn serve(address: SocketAddr, context: Arc<Context>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context);
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router).await
}

/// A controller that is not the leader is ready, too: its stores are synced, and it takes over at once.
async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, &'static str) {
    if context.stores.is_synced() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "waiting for caches to sync; the controller log names what is missing\n")
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> impl IntoResponse {
    let phase = |kanary: Arc<KanaryDeployment>| kanary.status.as_ref().and_then(|status| status.phase);
    let phases: Vec<_> = context.stores.kanaries.all().into_iter().filter_map(phase).collect();
    for (kind, count) in context.stores.unreadable() {
        context.metrics.unreadable(kind, count);
    }
    let page = context.metrics.text(context.leadership.holds(), context.stores.watch_broken_since().is_some(), &phases);
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page)
}
