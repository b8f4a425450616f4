//! The objects around a run, for `describe` and `watch`: the canary's pods and the events.

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, api::ListParams};
use serde::{Deserialize, Serialize};

use super::{Error, connection::Connection};
use crate::{
    api::{KanaryDeployment, names},
    objects::{Object, Pod},
};

/// An event, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSummary {
    /// When it was last observed.
    pub at: Option<Timestamp>,
    /// `Normal` or `Warning`.
    pub kind: String,
    /// Its reason, in CamelCase.
    pub reason: String,
    /// Its message.
    pub note: String,
    /// How often it was observed.
    pub count: i32,
}

/// The canary's pods, by name.
///
/// # Errors
/// They cannot be read.
pub async fn pods(connection: &Connection, kanary: &KanaryDeployment) -> Result<Vec<Pod>, Error> {
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), kanary.namespace());
    let params = ListParams::default().labels(&format!("{}={}", names::CANARY_LABEL, kanary.name()));
    let list = api.list(&params).await.map_err(|error| connection.failed("list the canary's pods", &error))?;
    let mut pods = list.items;
    pods.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(pods)
}

/// The run's events, oldest first.
///
/// # Errors
/// They cannot be read.
pub async fn events(connection: &Connection, kanary: &KanaryDeployment) -> Result<Vec<EventSummary>, Error> {
    let api: Api<core::Event> = Api::namespaced(connection.client.clone(), kanary.namespace());
    let of = format!("involvedObject.name={},involvedObject.uid={}", kanary.name(), kanary.uid());
    let params = ListParams::default().fields(&of);
    let list = api.list(&params).await.map_err(|error| connection.failed("list events", &error))?;
    let mut events: Vec<EventSummary> = list.items.into_iter().map(summary).collect();
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// An event has several times; the latest counts.
#[must_use]
pub fn summary(event: core::Event) -> EventSummary {
    let series = event.series.as_ref();
    let times = [
        series.and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0),
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        event.metadata.creation_timestamp.as_ref().map(|time| time.0),
    ];
    EventSummary {
        at: times.into_iter().flatten().max(),
        kind: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.message.unwrap_or_default(),
        count: series.and_then(|series| series.count).or(event.count).unwrap_or(1),
    }
}
