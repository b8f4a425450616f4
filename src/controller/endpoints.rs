//! The EndpointSlices of one Service, watched while a canary leaves it. There are too many of them to watch all.

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher::watcher},
};
use tokio::{sync::Notify, task::JoinHandle};

use super::{store::Store, watch::config};
use crate::objects::EndpointSlice;

/// A watch that ends when this is dropped.
pub struct EndpointWatch {
    store: Arc<Store<EndpointSlice>>,
    namespace: String,
    task: JoinHandle<()>,
}

impl EndpointWatch {
    /// Starts to watch; each change wakes the one who asked.
    pub fn start(client: &Client, namespace: &str, service: &str, signal: Arc<Notify>) -> Self {
        let api: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
        let config = config().labels(&format!("kubernetes.io/service-name={service}"));
        let store = Arc::new(Store::default());
        let fed = store.clone();
        let task = tokio::spawn(async move {
            let mut stream = std::pin::pin!(watcher(api, config).default_backoff());
            while let Some(event) = stream.next().await {
                // An error is no news: the one who asked has a deadline of its own.
                if let Ok(event) = event {
                    fed.apply(event);
                    signal.notify_one();
                }
            }
        });
        Self { store, namespace: namespace.to_owned(), task }
    }

    /// The pods that are listed; nothing before the first full list.
    pub fn listed(&self) -> Option<BTreeSet<String>> {
        let slices = self.store.all_in(&self.namespace);
        self.store.is_synced().then(|| slices.iter().flat_map(|slice| slice.pods.iter().cloned()).collect())
    }
}

impl Drop for EndpointWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
