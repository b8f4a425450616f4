//! The EndpointSlices of one Service, watched while a canary leaves it or a base may be created. There are too many of them to
//! watch all.

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt;
use kube::{Api, Client, Resource, runtime::watcher::watcher};
use tokio::sync::Notify;

use super::{
    lazy,
    store::Store,
    watch::{self, Next, Report, WatchTask},
};
use crate::objects::{EndpointSlice, RawObject};

/// A watch that ends when this is dropped.
pub struct EndpointWatch {
    store: Arc<Store<EndpointSlice>>,
    namespace: String,
    _task: WatchTask,
}

impl EndpointWatch {
    /// Starts to watch; each change wakes the task.
    pub fn start(client: &Client, namespace: &str, service: &str, signal: Arc<Notify>) -> Self {
        let api: Api<RawObject<EndpointSlice>> = Api::namespaced(client.clone(), namespace);
        let config = watch::config().labels(&format!("kubernetes.io/service-name={service}"));
        let store = Arc::new(Store::default());
        let fed = store.clone();
        let task = async move {
            let begin = || watcher(api.clone(), config.clone()).boxed();
            let handle = |event| match event {
                Report::Event(event) => {
                    fed.take(lazy::read(event, &EndpointSlice::kind(&()), &fed));
                    signal.notify_one();
                    Next::Event
                }
                // An error is not an event: the task that waits has a deadline of its own.
                Report::Error(_) => Next::Resume,
                Report::GoesOn => Next::Event,
            };
            watch::follow(begin, handle).await;
        };
        Self { store, namespace: namespace.to_owned(), _task: WatchTask::spawn(task) }
    }

    /// The pods that are listed; none before the first full list.
    pub fn listed(&self) -> Option<BTreeSet<String>> {
        if !self.store.is_synced() {
            return None;
        }
        Some(self.store.all_in(&self.namespace).iter().flat_map(|slice| slice.pods.0.iter().cloned()).collect())
    }
}
