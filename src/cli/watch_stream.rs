//! One watch that reconnects by itself.

use std::collections::BTreeMap;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::api_error::ApiServer;

/// What a watch reports.
#[derive(Debug)]
pub enum Change<K> {
    /// An object exists. An unchanged one comes again when the list is read again.
    Applied(K),
    /// An object was deleted, or is no longer selected.
    Deleted(K),
    /// Everything that exists has been reported.
    Listed,
    /// It cannot read for now, and retries.
    Failed(String),
    /// It can read again.
    Recovered,
}

/// Watches, and reconnects with growing pauses when that breaks. An object that the caller has `known` and that is no longer
/// listed is reported as deleted, as is one that was deleted while the watch was broken.
pub fn watch<K>(server: ApiServer, api: Api<K>, config: watcher::Config, known: Vec<K>) -> BoxStream<'static, Change<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut store = Store { known: known.into_iter().map(|object| (key(&object), (object, false))).collect() };
    let mut is_broken = false;
    let changes = watcher(api, config).default_backoff().map(move |event| match event {
        Ok(event) => {
            // `Init` comes before the list is requested, so it proves nothing yet.
            let has_recovered = !matches!(event, Event::Init) && std::mem::take(&mut is_broken);
            let recovered = has_recovered.then_some(Change::Recovered);
            stream::iter(recovered.into_iter().chain(store.apply(event)).collect::<Vec<_>>())
        }
        Err(error) if is_expired(&error) => stream::iter(Vec::new()),
        Err(error) => {
            is_broken = true;
            stream::iter(vec![Change::Failed(reason(&server, &error))])
        }
    });
    changes.flatten().boxed()
}

/// Namespace and name.
type Key = (Option<String>, Option<String>);

fn key<K: Resource>(object: &K) -> Key {
    (object.meta().namespace.clone(), object.meta().name.clone())
}

/// The objects that exist, and whether the present list contains them.
struct Store<K> {
    known: BTreeMap<Key, (K, bool)>,
}

impl<K: Resource + Clone> Store<K> {
    fn apply(&mut self, event: Event<K>) -> Vec<Change<K>> {
        match event {
            Event::Init => {
                self.known.values_mut().for_each(|(_, is_listed)| *is_listed = false);
                Vec::new()
            }
            Event::Apply(object) | Event::InitApply(object) => {
                self.known.insert(key(&object), (object.clone(), true));
                vec![Change::Applied(object)]
            }
            Event::Delete(object) => {
                self.known.remove(&key(&object));
                vec![Change::Deleted(object)]
            }
            Event::InitDone => {
                let all = std::mem::take(&mut self.known).into_iter();
                let (listed, missing): (BTreeMap<_, _>, BTreeMap<_, _>) = all.partition(|(_, (_, listed))| *listed);
                self.known = listed;
                missing.into_values().map(|(object, _)| Change::Deleted(object)).chain([Change::Listed]).collect()
            }
        }
    }
}

/// The API server no longer has the version at which the watch, or a list of several pages, was: the list is read again, and
/// nothing is lost.
fn is_expired(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 410,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

fn reason(server: &ApiServer, error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => server.reason(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}
