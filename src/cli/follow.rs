//! One watch that goes on by itself, whatever becomes of its connection.

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

use super::cluster::why;

/// What a watch says.
#[derive(Debug)]
pub enum News<K> {
    /// An object is there. One that nobody changed comes again when all are listed anew.
    There(K),
    /// An object is gone.
    Gone(K),
    /// All that is there was told.
    Complete,
    /// It cannot read for now, and tries again.
    Trouble(String),
    /// It can read again.
    Well,
}

/// Watches, and begins anew with growing pauses when that breaks. What the caller has `seen` and is listed no more is gone,
/// as is what was deleted while the watch was broken.
pub fn follow<K>(api: Api<K>, config: watcher::Config, seen: Vec<K>) -> BoxStream<'static, News<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut memory = Memory { known: seen.into_iter().map(|object| (key(&object), (object, false))).collect() };
    let mut is_troubled = false;
    let events = watcher(api, config).default_backoff();
    let news = events.map(move |event| match event {
        Ok(event) => {
            // That a list is about to be asked for says nothing yet.
            let well = !matches!(event, Event::Init) && std::mem::take(&mut is_troubled);
            let well = well.then_some(News::Well);
            stream::iter(well.into_iter().chain(memory.take(event)).collect::<Vec<_>>())
        }
        Err(error) if heals(&error) => stream::iter(Vec::new()),
        Err(error) => {
            is_troubled = true;
            stream::iter(vec![News::Trouble(said(&error))])
        }
    });
    news.flatten().boxed()
}

/// Namespace and name.
type Key = (Option<String>, Option<String>);

fn key<K: Resource>(object: &K) -> Key {
    (object.meta().namespace.clone(), object.meta().name.clone())
}

/// What is there, and whether the present list has told of it.
struct Memory<K> {
    known: BTreeMap<Key, (K, bool)>,
}

impl<K: Resource + Clone> Memory<K> {
    fn take(&mut self, event: Event<K>) -> Vec<News<K>> {
        match event {
            Event::Init => {
                self.known.values_mut().for_each(|(_, is_listed)| *is_listed = false);
                Vec::new()
            }
            Event::Apply(object) | Event::InitApply(object) => {
                self.known.insert(key(&object), (object.clone(), true));
                vec![News::There(object)]
            }
            Event::Delete(object) => {
                self.known.remove(&key(&object));
                vec![News::Gone(object)]
            }
            Event::InitDone => {
                let (listed, missing) =
                    std::mem::take(&mut self.known).into_iter().partition(|(_, (_, listed))| *listed);
                self.known = listed;
                let missing: BTreeMap<Key, (K, bool)> = missing;
                missing.into_values().map(|(object, _)| News::Gone(object)).chain([News::Complete]).collect()
            }
        }
    }
}

/// The API server forgot where the watch, or a list of several pages, was: it is listed anew, and nothing is lost.
fn heals(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 410,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

fn said(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => why(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}
