//! Canary pods in the production Service: which labels put them there, and how they leave.
//!
//! A pod's annotation names the label keys that put it in production; an empty one says that it once was there.

use serde_json::{Map, Value, json};

use crate::{
    api::names,
    canary::{self, Withheld},
    decision::{Action, Kind, Observed, Patch, Target},
    objects::{Labels, Object, Pod, map_selects},
};

/// Moves each pod to where it belongs: those that are ready, and of this run, get these labels, if any. If the canary is
/// `available`, pods that are older than the run belong to it.
#[must_use]
pub fn move_pods(seen: &Observed, withheld: &Withheld, joins: Option<&Labels>, available: bool) -> Vec<Action> {
    move_each(seen, withheld, joins, available, |pod| pod.status.ready)
}

/// The same, but none joins that is not in production.
#[must_use]
pub fn move_out_pods(seen: &Observed, withheld: &Withheld, joins: Option<&Labels>) -> Vec<Action> {
    move_each(seen, withheld, joins, false, |_| false)
}

/// A pod that is in production stays when it is not ready. One of a template that is no longer the run's leaves: nobody
/// evaluates it any more.
fn move_each(
    seen: &Observed,
    withheld: &Withheld,
    joins: Option<&Labels>,
    available: bool,
    may_join: impl Fn(&Pod) -> bool,
) -> Vec<Action> {
    let template = canary::pod_labels(&seen.kanary, withheld);
    let none = Labels::new();
    let is_in = |pod: &Pod| !added_keys(pod).is_empty();
    let belongs = |pod: &Pod| (may_join(pod) || is_in(pod)) && canary::is_under_test(seen, pod, available);
    let wanted = |pod: &Pod| if belongs(pod) { joins.unwrap_or(&none) } else { &none };
    seen.live_pods().filter_map(|pod| move_pod(seen, pod, wanted(pod), &template)).collect()
}

fn move_pod(seen: &Observed, pod: &Pod, wanted: &Labels, template: &Labels) -> Option<Action> {
    let recorded = added_keys(pod);
    let mut labels = Map::new();
    for (key, value) in wanted.iter().filter(|(key, value)| pod.label(key) != Some(value)) {
        labels.insert(key.clone(), json!(value));
    }
    for key in keys_to_take_back(seen, pod, &recorded, template).into_iter().filter(|key| !wanted.contains_key(key)) {
        // Back to what its ReplicaSet gave it, which may be another value or none.
        let original = template.get(&key);
        if pod.label(&key) != original.map(String::as_str) {
            labels.insert(key, json!(original));
        }
    }
    let keys: Vec<&str> = wanted.keys().map(String::as_str).collect();
    let is_recorded = pod.annotation(names::PRODUCTION_LABELS) == Some(&keys.join(","));
    let was_never_in = keys.is_empty() && pod.annotation(names::PRODUCTION_LABELS).is_none();
    if labels.is_empty() && (is_recorded || was_never_in) {
        return None;
    }
    let target = Target { kind: Kind::Pod, name: pod.name().to_owned() };
    Some(Action::Patch { target, patch: relabel(pod, labels, &keys.join(",")) })
}

fn relabel(pod: &Pod, labels: Map<String, Value>, keys: &str) -> Patch {
    Patch::Merge(json!({"metadata": {
        "resourceVersion": pod.version(),
        "labels": labels,
        "annotations": {names::PRODUCTION_LABELS: keys},
    }}))
}

fn added_keys(pod: &Pod) -> Vec<String> {
    let list = pod.annotation(names::PRODUCTION_LABELS).unwrap_or_default();
    list.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// What the controller added, and what another client added that makes the production Service select the pod. Another
/// controller's pod keeps what it was made with: without a label that its controller selects by, that one would make another
/// pod, without end.
fn keys_to_take_back(seen: &Observed, pod: &Pod, recorded: &[String], template: &Labels) -> Vec<String> {
    let service = seen.service().filter(|_| !canary::is_anothers(seen, pod));
    let selector = service.map(|service| &service.spec.selector).filter(|s| map_selects(s, &pod.labels()));
    let foreign = selector
        .into_iter()
        .flat_map(Labels::keys)
        .filter(|key| pod.label(key) != template.get(*key).map(String::as_str));
    recorded.iter().chain(foreign).filter(|key| *key != names::CANARY_LABEL).cloned().collect()
}

/// Is every ready pod in production, and is there one?
#[must_use]
pub fn all_in(seen: &Observed) -> bool {
    let Some(service) = seen.service() else { return false };
    let mut ready = seen.live_pods().filter(|pod| pod.status.ready && canary::is_own(seen, pod)).peekable();
    ready.peek().is_some() && ready.all(|pod| map_selects(&service.spec.selector, &pod.labels()))
}

/// Has the pod been in production, now or before?
#[must_use]
pub fn was_in_production(pod: &Pod) -> bool {
    pod.annotation(names::PRODUCTION_LABELS).is_some()
}

/// Where a canary pod still is while it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remaining<'a> {
    /// The production Service selects this pod.
    Selected(&'a str),
    /// An EndpointSlice lists this pod.
    Listed(&'a str),
    /// A pod was in production, and the EndpointSlices are not known yet.
    Unknown,
}

/// What the cluster shows of the pods that leave production.
#[must_use]
pub fn remaining(seen: &Observed) -> Option<Remaining<'_>> {
    let selector = seen.service().map(|service| &service.spec.selector);
    let is_selected = |pod: &&Pod| selector.is_some_and(|selector| map_selects(selector, &pod.labels()));
    let leaves = |pod: &&Pod| !canary::is_anothers(seen, pod) || !added_keys(pod).is_empty();
    let selected = seen.live_pods().filter(is_selected).filter(leaves).map(Object::name).min();
    selected.map(Remaining::Selected).or_else(|| match &seen.endpoints {
        None => is_leaving(seen).then_some(Remaining::Unknown),
        Some(listed) => {
            let left = seen.pods.iter().filter(|pod| was_in_production(pod) && listed.contains(pod.name()));
            left.map(|pod| pod.name()).min().map(Remaining::Listed)
        }
    })
}

/// May an EndpointSlice still send traffic to a canary pod that was in production?
#[must_use]
pub fn is_leaving(seen: &Observed) -> bool {
    let mut were_in = seen.pods.iter().filter(|pod| was_in_production(pod));
    were_in.any(|pod| seen.endpoints.as_ref().is_none_or(|listed| listed.contains(pod.name())))
}
