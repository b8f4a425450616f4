//! What happened in a namespace, to explain why a test failed.

use std::path::Path;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    kanary_api::kanaries,
    wait::{Objects, yaml},
};

/// The KanaryDeployments, pods and events of a namespace, and what a controller logged about it.
pub async fn of(client: &Client, namespace: &str, log: Option<&Path>) -> String {
    let mut parts = vec![
        section("KanaryDeployments", kanaries_of(client, namespace).await),
        section("pods", pods(client, namespace).await),
        section("events", events(client, namespace).await),
    ];
    if let Some(log) = log {
        parts.push(section("controller log", log_of(log, namespace)));
    }
    parts.concat()
}

fn section(title: &str, text: String) -> String {
    let text = if text.trim().is_empty() { "(none)" } else { text.trim_end() };
    format!("--- {title}\n{text}\n")
}

async fn kanaries_of(client: &Client, namespace: &str) -> String {
    let all = kanaries(client, namespace).list(&ListParams::default()).await.map(|list| list.items);
    let seen: Objects<_> = all.unwrap_or_default().into_iter().map(|kanary| (kanary.name_any(), kanary)).collect();
    if seen.is_empty() { String::new() } else { yaml(&seen) }
}

async fn pods(client: &Client, namespace: &str) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    match pods.list(&ListParams::default()).await {
        Ok(list) => list.iter().map(pod).collect(),
        Err(error) => error.to_string(),
    }
}

fn pod(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let waiting = status.container_statuses.iter().flatten();
    let waiting = waiting.filter_map(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let (name, phase) = (pod.name_any(), status.phase.unwrap_or_default());
    let reasons = waiting.collect::<Vec<_>>().join(" ");
    format!("{name}: {phase}, {} {reasons} {:?}\n", if ready { "ready" } else { "not ready" }, pod.labels())
}

async fn events(client: &Client, namespace: &str) -> String {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut items = match events.list(&ListParams::default()).await {
        Ok(list) => list.items,
        Err(error) => return error.to_string(),
    };
    items.sort_by_key(|event| event.metadata.creation_timestamp.clone());
    // Events of Pods and ReplicaSets are many, and the list of pods shows the same.
    let is_shown = |kind: Option<&str>| !matches!(kind, Some("Pod" | "ReplicaSet"));
    items.iter().filter(|event| is_shown(event.involved_object.kind.as_deref())).map(event).collect()
}

fn event(event: &Event) -> String {
    let object = &event.involved_object;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!("{} {}/{}: {}\n", text(&event.reason), text(&object.kind), text(&object.name), text(&event.message))
}

/// The last lines that name the namespace; if none does, the last lines at all.
fn log_of(log: &Path, namespace: &str) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    let named: Vec<&str> = all.iter().copied().filter(|line| line.contains(namespace)).collect();
    let lines = if named.is_empty() { all } else { named };
    lines[lines.len().saturating_sub(40)..].join("\n")
}
