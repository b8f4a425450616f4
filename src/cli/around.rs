//! What is around a run, for `describe` and `watch`: the canary's pods and the events.

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, api::ListParams};
use serde::{Deserialize, Serialize};

use super::{Error, cluster::Connection, cluster::said};
use crate::{
    api::{KanaryDeployment, names},
    objects::{Object, Pod},
};

/// An event, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// When it was last seen.
    pub at: Option<Timestamp>,
    /// `Normal` or `Warning`.
    pub kind: String,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub note: String,
    /// How often.
    pub count: i32,
}

/// The canary's pods, by name.
///
/// # Errors
/// They cannot be read.
pub async fn pods(connection: &Connection, kanary: &KanaryDeployment) -> Result<Vec<Pod>, Error> {
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), kanary.namespace());
    let params = ListParams::default().labels(&format!("{}={}", names::CANARY_LABEL, kanary.name()));
    let mut pods = api.list(&params).await.map_err(|error| said("list the canary's pods", &error))?.items;
    pods.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(pods)
}

/// The run's events, oldest first.
///
/// # Errors
/// They cannot be read.
pub async fn events(connection: &Connection, kanary: &KanaryDeployment) -> Result<Vec<Happened>, Error> {
    let api: Api<core::Event> = Api::namespaced(connection.client.clone(), kanary.namespace());
    let of = format!("involvedObject.name={},involvedObject.uid={}", kanary.name(), kanary.uid());
    let list = api.list(&ListParams::default().fields(&of)).await.map_err(|error| said("list events", &error))?;
    let mut events: Vec<Happened> = list.items.into_iter().map(happened).collect();
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// Of the many times in an event the latest that is given.
#[must_use]
pub fn happened(event: core::Event) -> Happened {
    let series = event.series.as_ref();
    let times = [
        series.and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0),
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        event.metadata.creation_timestamp.as_ref().map(|time| time.0),
    ];
    Happened {
        at: times.into_iter().flatten().max(),
        kind: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.message.unwrap_or_default(),
        count: series.and_then(|series| series.count).or(event.count).unwrap_or(1),
    }
}
