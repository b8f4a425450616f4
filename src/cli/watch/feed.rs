//! Watches on the run, its pods and its events, as one stream of changes.

use futures::{Stream, StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::state::Change;
use crate::{
    api::{KanaryDeployment, names},
    cli::{around, cluster::Connection},
    seen::{Pod, Seen},
};

/// What changes of the run and around it, beginning with all that is there.
pub fn changes(connection: &Connection, kanary: &KanaryDeployment) -> BoxStream<'static, Change> {
    let (namespace, name) = (kanary.namespace(), kanary.name());
    let client = || connection.client.clone();
    let one = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let of_canary = watcher::Config::default().labels(&format!("{}={name}", names::CANARY_LABEL));
    let about =
        watcher::Config::default().fields(&format!("involvedObject.name={name},involvedObject.uid={}", kanary.uid()));
    let runs = follow(Api::<KanaryDeployment>::namespaced(client(), namespace), one, |kanary| match kanary {
        Ok(kanary) => Some(Change::Kanary(Box::new(kanary))),
        Err(_) => Some(Change::KanaryGone),
    });
    let pods = follow(Api::<Pod>::namespaced(client(), namespace), of_canary, |pod| match pod {
        Ok(pod) => Some(Change::Pod(Box::new(pod))),
        Err(pod) => Some(Change::PodGone(pod.name().to_owned())),
    });
    // Old events are dropped by the API server; what was shown stays.
    let events = follow(Api::<core::Event>::namespaced(client(), namespace), about, |event| {
        let event = event.ok()?;
        Some(Change::Event(event.metadata.name.clone().unwrap_or_default(), around::happened(event)))
    });
    futures::stream::select_all([runs, pods, events]).boxed()
}

/// One watch; what is gone comes as an error. It is begun again, with growing pauses, when it breaks.
fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    change: impl Fn(Result<K, K>) -> Option<Change> + Send + 'static,
) -> BoxStream<'static, Change>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let events = watcher(api, config).default_backoff();
    let changes = events.filter_map(move |event| {
        let change = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => change(Ok(object)),
            Ok(Event::Delete(object)) => change(Err(object)),
            Ok(Event::Init | Event::InitDone) => None,
            Err(error) => Some(Change::Trouble(error.to_string())),
        };
        async { change }
    });
    changes.boxed()
}

/// The changes, and with them keys and the passing of time.
pub fn with(
    changes: impl Stream<Item = Change> + Send + 'static,
    other: impl Stream<Item = Change> + Send + 'static,
) -> BoxStream<'static, Change> {
    futures::stream::select(changes, other).boxed()
}
