//! Watches on the run, its pods and its events, as one stream of changes.

use futures::{Stream, StreamExt, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, runtime::watcher::Config};

use super::state::{Change, What};
use crate::{
    api::{KanaryDeployment, names},
    cli::{
        around,
        cluster::Connection,
        follow::{News, follow},
    },
    objects::{Object, Pod},
};

/// What changes of the run and around it, beginning with all that is there.
pub fn changes(connection: &Connection, kanary: &KanaryDeployment) -> BoxStream<'static, Change> {
    let (namespace, name) = (kanary.namespace(), kanary.name());
    let client = || connection.client.clone();
    let one = Config::default().fields(&format!("metadata.name={name}"));
    let of_canary = Config::default().labels(&format!("{}={name}", names::CANARY_LABEL));
    let about = Config::default().fields(&format!("involvedObject.name={name},involvedObject.uid={}", kanary.uid()));
    let runs = follow(Api::<KanaryDeployment>::namespaced(client(), namespace), one, vec![kanary.clone()]);
    let runs = told(What::Run, runs, |kanary| match kanary {
        Ok(kanary) => Some(Change::Kanary(Box::new(kanary))),
        Err(_) => Some(Change::KanaryGone),
    });
    let pods = follow(Api::<Pod>::namespaced(client(), namespace), of_canary, Vec::new());
    let pods = told(What::Pods, pods, |pod| match pod {
        Ok(pod) => Some(Change::Pod(Box::new(pod))),
        Err(pod) => Some(Change::PodGone(pod.name().to_owned())),
    });
    // Old events are dropped by the API server; what was shown stays.
    let events = follow(Api::<core::Event>::namespaced(client(), namespace), about, Vec::new());
    let events = told(What::Events, events, |event| {
        let event = event.ok()?;
        Some(Change::Event(event.metadata.name.clone().unwrap_or_default(), around::happened(event)))
    });
    futures::stream::select_all([runs, pods, events]).boxed()
}

/// What a watch says as changes; what is gone comes as an error.
fn told<K: Send + 'static>(
    what: What,
    news: BoxStream<'static, News<K>>,
    change: impl Fn(Result<K, K>) -> Option<Change> + Send + 'static,
) -> BoxStream<'static, Change> {
    let changes = news.filter_map(move |news| {
        let change = match news {
            News::There(object) => change(Ok(object)),
            News::Gone(object) => change(Err(object)),
            News::Complete => None,
            News::Trouble(why) => Some(Change::Trouble(what, why, Timestamp::now())),
            News::Well => Some(Change::Well(what)),
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
