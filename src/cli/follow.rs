//! One watch that goes on by itself, whatever becomes of its connection.

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

/// Watches, and begins anew with growing pauses when that breaks.
pub fn follow<K>(api: Api<K>, config: watcher::Config) -> BoxStream<'static, News<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut is_troubled = false;
    let events = watcher(api, config).default_backoff();
    let news = events.map(move |event| {
        let news = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => News::There(object),
            Ok(Event::Delete(object)) => News::Gone(object),
            Ok(Event::InitDone) => News::Complete,
            Ok(Event::Init) => return stream::iter(Vec::new()),
            Err(error) if heals(&error) => return stream::iter(Vec::new()),
            Err(error) => {
                is_troubled = true;
                return stream::iter(vec![News::Trouble(said(&error))]);
            }
        };
        let well = std::mem::take(&mut is_troubled).then_some(News::Well);
        stream::iter(well.into_iter().chain([news]).collect::<Vec<_>>())
    });
    news.flatten().boxed()
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
