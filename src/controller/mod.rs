//! The asynchronous shell: watches, stores, the Lease, and the execution of plans. It decides nothing.

mod clock;
mod concerned;
mod context;
mod endpoints;
mod execute;
mod index;
mod key;
mod lazy;
mod leader;
mod leadership;
mod lease;
mod lookup;
mod metrics;
mod observe;
mod pod_selectors;
mod prometheus;
mod queries;
mod queue;
mod reconcile;
mod request;
mod role_binding;
mod routes;
mod serve;
mod settings;
mod status;
mod store;
mod stores;
mod subsets;
mod supervise;
mod task_state;
mod turns;
mod vital;
mod warn_once;
mod watch;
mod watches;

use context::Context;
use kube::{Client, Config};
pub use settings::{Error, Settings};
use supervise::supervise;
use vital::VitalThread;

/// Runs until a signal stops it.
///
/// # Errors
/// Only those that do not go away by waiting: no cluster is configured, or the probes' address is taken.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let mut config = Config::infer().await?;
    // Each request is bounded and retried by the controller; fifteen silent retries would hide what is wrong.
    config.default_retry = false;
    // A connection that died silently is an error, and not a watch in which nothing happens.
    config.read_timeout = Some(watch::SILENCE);
    config.reset_reader_on_write = true;
    let (cluster, version) = (&config.cluster_url, env!("CARGO_PKG_VERSION"));
    tracing::info!(%cluster, identity = settings.identity, version, "starting");
    let access = settings.access(&config).await?;
    let (context, new) = Context::new(Client::try_from(config.clone())?, settings, access);
    let mut vital = VitalThread::start(config, context.clone())?;
    watches::start(&context);
    let keeper = context.clone();
    supervise("role binding", move || {
        let context = keeper.clone();
        async move { role_binding::keep(&context).await }
    });
    tokio::select! {
        () = reconcile::dispatch(context.clone(), new) => {}
        () = stop_signal() => {}
        error = vital.failed() => return Err(error),
    }
    tracing::info!("shutting down");
    vital.stop().await;
    Ok(())
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
