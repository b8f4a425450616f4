//! Requests to the API server, bounded in time: kube waits for an answer indefinitely.

use std::time::Duration;

/// How long a request waits for its answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for an answer for as long as [`PATIENCE`].
///
/// # Errors
/// Those of the request; no answer in time is one.
pub async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    within(PATIENCE, request).await
}

/// Waits for an answer until the timeout.
///
/// # Errors
/// Those of the request; no answer in time is one.
pub async fn within<T>(
    timeout: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let late = |_| kube::Error::Service(format!("no answer within {timeout:?}").into());
    tokio::time::timeout(timeout, request).await.map_err(late)?
}
