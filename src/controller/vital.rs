//! The thread of what must go on whatever the decisions cost: the Lease, the probes and the metrics.
//!
//! A namespace can make its own decisions expensive. That must not cost this process its Lease, or its life.
//!
//! # Assumption
//! What this thread shares with the others is locked for moments only, never during a decision.

use std::{sync::Arc, thread};

use kube::{Client, Config};
use tokio::sync::oneshot;

use super::{context::Context, leader, lease::LeaseApi, serve, settings::Error};

/// The thread; it ends when it is told to.
pub struct VitalThread {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), Error>>,
}

impl VitalThread {
    /// Starts it, with a client and connections of its own.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(config: Config, context: Arc<Context>) -> Result<Self, Error> {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let live = move || {
            let result = runtime().and_then(|runtime| runtime.block_on(live(config, &context, stopped)));
            // Nobody waits for it if the process ends for another reason.
            drop(end.send(result));
        };
        thread::Builder::new().name("vital".into()).spawn(live).map_err(Error::Thread)?;
        Ok(Self { stop, ended })
    }

    /// Waits until it ends by itself, which is an error.
    pub async fn failed(&mut self) -> Error {
        match (&mut self.ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => Error::Ended,
        }
    }

    /// Releases the Lease, and ends.
    pub async fn stop(self) {
        // An error says that it has ended already.
        let _ = self.stop.send(());
        drop(self.ended.await);
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)
}

async fn live(config: Config, context: &Arc<Context>, stopped: oneshot::Receiver<()>) -> Result<(), Error> {
    let api = LeaseApi::new(Client::try_from(config)?, &context.settings.lease_namespace);
    let lead = async {
        context.stores.synced().await;
        tracing::info!("caches synced");
        leader::campaign(context, &api).await;
    };
    tokio::select! {
        () = lead => {}
        served = serve::serve(context.settings.address, context.clone()) => {
            served.map_err(|error| Error::Serve(context.settings.address, error))?;
        }
        _ = stopped => {}
    }
    leader::resign(context, &api).await;
    Ok(())
}
