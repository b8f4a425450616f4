//! Watches on the run, its pods, its events and its base, as one stream of updates.

use futures::{Stream, StreamExt, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1 as core};
use kube::{Api, runtime::watcher::Config};

use super::state::{Update, Watched};
use crate::{
    api::{KanaryDeployment, names},
    cli::{
        connection::Connection,
        related,
        watch_stream::{Change, watch},
    },
    objects::{Object, Pod},
};

/// The updates of all of them, beginning with everything that exists.
pub fn updates(connection: &Connection, kanary: &KanaryDeployment) -> BoxStream<'static, Update> {
    let all =
        [runs(connection, kanary), pods(connection, kanary), events(connection, kanary), base(connection, kanary)];
    futures::stream::select_all(all).boxed()
}

fn runs(connection: &Connection, kanary: &KanaryDeployment) -> BoxStream<'static, Update> {
    let config = Config::default().fields(&format!("metadata.name={}", kanary.name()));
    let api = Api::<KanaryDeployment>::namespaced(connection.client.clone(), kanary.namespace());
    let changes = watch(connection.server.clone(), api, config, vec![kanary.clone()]);
    as_updates(Watched::Run, changes, |run| match run {
        Ok(kanary) => Some(Update::Kanary(Box::new(kanary))),
        Err(_) => Some(Update::KanaryDeleted),
    })
}

fn pods(connection: &Connection, kanary: &KanaryDeployment) -> BoxStream<'static, Update> {
    let config = Config::default().labels(&format!("{}={}", names::CANARY_LABEL, kanary.name()));
    let api = Api::<Pod>::namespaced(connection.client.clone(), kanary.namespace());
    let changes = watch(connection.server.clone(), api, config, Vec::new());
    as_updates(Watched::Pods, changes, |pod| match pod {
        Ok(pod) => Some(Update::Pod(Box::new(pod))),
        Err(pod) => Some(Update::PodDeleted(pod.name().to_owned())),
    })
}

fn events(connection: &Connection, kanary: &KanaryDeployment) -> BoxStream<'static, Update> {
    let fields = format!("involvedObject.name={},involvedObject.uid={}", kanary.name(), kanary.uid());
    let api = Api::<core::Event>::namespaced(connection.client.clone(), kanary.namespace());
    let changes = watch(connection.server.clone(), api, Config::default().fields(&fields), Vec::new());
    as_updates(Watched::Events, changes, |event| {
        // The API server drops old events; what was shown stays.
        let event = event.ok()?;
        Some(Update::Event(event.metadata.name.clone().unwrap_or_default(), related::summary(event)))
    })
}

fn base(connection: &Connection, kanary: &KanaryDeployment) -> BoxStream<'static, Update> {
    let config = Config::default().fields(&format!("metadata.name={}", names::base(kanary)));
    let api = Api::<Deployment>::namespaced(connection.client.clone(), kanary.namespace());
    let changes = watch(connection.server.clone(), api, config, Vec::new());
    // One that was deleted stays on the screen, and the run says so.
    as_updates(Watched::Base, changes, |base| Some(Update::Base(Box::new(base.ok()?))))
}

/// The changes of one watch as updates; a deleted object comes as an error.
fn as_updates<K: Send + 'static>(
    what: Watched,
    changes: BoxStream<'static, Change<K>>,
    update: impl Fn(Result<K, K>) -> Option<Update> + Send + 'static,
) -> BoxStream<'static, Update> {
    let updates = changes.filter_map(move |change| {
        let update = match change {
            Change::Applied(object) => update(Ok(object)),
            Change::Deleted(object) => update(Err(object)),
            Change::Listed => None,
            Change::Failed(why) => Some(Update::Unreadable(what, why, Timestamp::now())),
            Change::Recovered => Some(Update::Readable(what)),
        };
        async { update }
    });
    updates.boxed()
}

/// The updates, together with keys and the passing of time.
pub fn with(
    updates: impl Stream<Item = Update> + Send + 'static,
    other: impl Stream<Item = Update> + Send + 'static,
) -> BoxStream<'static, Update> {
    futures::stream::select(updates, other).boxed()
}
