//! What is observed, made of JSON as the API server would send it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kanary::{
    decision::{Action, DryRun, Kind, Observed, owned},
    lifecycle::plan,
    objects::{Autoscaler, Deployment, Pod, PodTemplate, Service},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The uid of the `KanaryDeployment`.
pub const UID: &str = "kd-uid";

/// So many seconds after the run began.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time") + SignedDuration::from_secs(seconds)
}

/// `KanaryDeployment` web, base `web` with labels `app: web`, Service `web`; nothing of the canary yet.
pub fn observed(spec: Value, status: Value) -> Observed {
    let mut kanary = json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment",
        "metadata": {"name": "try", "namespace": "shop", "uid": UID, "resourceVersion": "1", "generation": 1},
        "spec": {
            "deploymentName": "web", "serviceName": "web",
            "template": {"spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v2"}]}}}},
        },
        "status": status,
    });
    merge(&mut kanary["spec"], spec);
    if kanary["status"].is_null() {
        kanary.as_object_mut().expect("an object").remove("status");
    }
    Observed {
        base: Some(base(json!({}))),
        endpoints: Some([].into()),
        services: vec![service("web", json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}))],
        ..Observed::around(Arc::new(parse(kanary)), at(0))
    }
}

/// Deployment `web`, at rest.
pub fn base(patch: Value) -> Arc<Deployment> {
    let mut base = json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "base-uid", "resourceVersion": "5", "generation": 1,
                     "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}},
        },
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2},
    });
    merge(&mut base, patch);
    Arc::new(parse(base))
}

/// What the API server makes of the base in a dry run: a pod template of this hash.
pub fn promoted(hash: &str) -> PodTemplate {
    PodTemplate { hash: hash.into(), ..base(json!({})).spec.template.clone() }
}

/// A dry run of this template on this base, at the beginning of the run.
pub fn dry_run(seen: &Observed, outcome: Result<PodTemplate, String>) -> DryRun {
    DryRun {
        template_hash: seen.kanary.spec.template.hash().to_owned(),
        base_hash: seen.base.as_ref().expect("a base").spec.template.hash.clone(),
        at: at(0),
        changes: outcome.is_ok(),
        outcome,
    }
}

/// A Service.
pub fn service(name: &str, spec: Value) -> Arc<Service> {
    Arc::new(parse(json!({"metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": spec})))
}

/// An autoscaler of a Deployment.
pub fn autoscaler(name: &str, deployment: &str) -> Arc<Autoscaler> {
    Arc::new(parse(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": deployment}, "maxReplicas": 3},
    })))
}

/// A canary pod.
pub fn pod(name: &str, labels: Value, ready: bool, annotations: Value) -> Arc<Pod> {
    pod_of(json!({"name": name, "uid": name}), labels, ready, annotations)
}

/// A canary pod with more metadata than most need.
pub fn pod_of(more: Value, labels: Value, ready: bool, annotations: Value) -> Arc<Pod> {
    let mut all = json!({"kanary.k8s.io/canary": "try", "pod-template-hash": "1a2b"});
    merge(&mut all, labels);
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "try-kanary-1a2b", "uid": "set-uid", "controller": true});
    let mut metadata = json!({
        "namespace": "shop", "resourceVersion": "7", "labels": all, "annotations": annotations, "ownerReferences": [owner],
    });
    merge(&mut metadata, more);
    let ready = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
    Arc::new(parse(json!({"metadata": metadata, "status": {"conditions": [ready]}})))
}

/// Makes what the core itself asks for exist: the canary Deployment as it creates it, available, with one ready pod.
pub fn with_canary(mut seen: Observed) -> Observed {
    let withheld = kanary::canary::withhold(&seen);
    let mut object = kanary::canary::desired(&seen.kanary, &withheld);
    object["spec"]["replicas"] = json!(1);
    merge(
        &mut object,
        json!({
            "metadata": {"uid": "canary-uid", "resourceVersion": "9", "generation": 1},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1},
        }),
    );
    let canary: Deployment = parse(object);
    seen.stored.extend(owned::fingerprint(&canary).map(|stored| (Kind::Deployment, stored)));
    seen.canary = Some(Arc::new(canary));
    seen.pods = vec![pod("try-kanary-1", json!({}), true, json!({}))];
    seen
}

/// A status in this phase of run 1 of the very template of `spec`, with the base pinned.
pub fn status(spec: &Value, phase: &str, more: Value) -> Value {
    let template = observed(spec.clone(), Value::Null).kanary.spec.template.hash().to_owned();
    let pinned = base(json!({})).spec.template.hash.clone();
    let mut status = json!({
        "phase": phase, "run": 1, "templateHash": template, "startedAt": at(0).to_string(),
        "base": {"name": "web", "uid": "base-uid", "templateHash": pinned, "revision": "1", "promotedHash": "hash-of-v2"},
    });
    merge(&mut status, more);
    status
}

/// Gives the template's pods these labels and no others.
pub fn relabel_template(seen: &mut Observed, labels: Value) {
    let kanary = Arc::make_mut(&mut seen.kanary);
    let mut template = json!(kanary.spec.template);
    template["spec"]["template"]["metadata"]["labels"] = labels;
    kanary.spec.template = parse(template);
}

/// Objects merge, all else is replaced.
pub fn merge(into: &mut Value, patch: Value) {
    match (into.as_object_mut(), patch) {
        (Some(map), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(map.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, patch) => *into = patch,
    }
}

fn parse<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as the API server sends it")
}

/// The reason and the message of `Stalled`, and what is written.
pub fn stalled(seen: &Observed) -> (String, String, Vec<String>) {
    let plan = plan(seen);
    let status = plan.status.map_or_else(|| seen.status().clone(), |update| update.status);
    let stalled = json!(status.conditions.iter().find(|c| json!(c.type_) == "Stalled" && json!(c.status) == "True"));
    let text = |field: &str| stalled[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"), plan.actions.iter().map(Action::describe).collect())
}
