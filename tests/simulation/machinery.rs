//! Kubernetes' own controllers but the one for Deployments: kubelets, EndpointSlices, autoscalers, garbage collection.
//!
//! Each does one write at a time and says whether there was one to do, so that anything may come between two.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    admission::covers,
    rng::Rng,
    server::{Actor, Kind, Server},
};

const US: Actor = Actor::Machinery;

/// What a pod does depends on its image: `good`, `bad` (never ready) or `flaky` (ready, but not for long).
pub fn kubelet(server: &mut Server, rng: &mut Rng, calm: bool) -> bool {
    let pods = server.names(Kind::Pod);
    if calm {
        return pods.iter().filter(|pod| run_pod(server, pod, false)).count() > 0;
    }
    if pods.is_empty() {
        return false;
    }
    let pod = rng.pick(&pods);
    let stumble = rng.percent(30);
    run_pod(server, &pod, stumble)
}

fn run_pod(server: &mut Server, name: &str, stumble: bool) -> bool {
    let Some(pod) = server.get(Kind::Pod, name).cloned() else { return false };
    if pod["metadata"].get("deletionTimestamp").is_some() {
        server.remove(Kind::Pod, name);
        return true;
    }
    let image = pod.pointer("/spec/containers/0/image").and_then(Value::as_str).unwrap_or_default();
    let stumbles = stumble && image.contains("flaky");
    let ready = !image.contains("bad") && !stumbles;
    let status = if ready {
        running()
    } else if image.contains("flaky") {
        unready()
    } else {
        pulling()
    };
    if pod["status"] == status {
        return false;
    }
    server.put_status(US, Kind::Pod, name, status, None).is_ok()
}

fn running() -> Value {
    json!({"conditions": [{"type": "Ready", "status": "True"}]})
}

fn unready() -> Value {
    json!({"conditions": [{"type": "Ready", "status": "False"}]})
}

fn pulling() -> Value {
    let waits = json!({"waiting": {"reason": "ImagePullBackOff", "message": "back-off"}});
    json!({"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [{"state": waits}]})
}

pub fn is_ready(pod: &Value) -> bool {
    pod.pointer("/status/conditions/0/status").is_some_and(|status| status == "True")
}

/// Writes down which pods a Service selects, some time after it is so.
pub fn endpoints(server: &mut Server, rng: &mut Rng, calm: bool) -> bool {
    let mut services: Vec<String> = server.names(Kind::Service);
    services.extend(server.names(Kind::Slice));
    if !calm && !services.is_empty() {
        services = vec![rng.pick(&services)];
    }
    services.iter().filter(|service| list_endpoints(server, service)).count() > 0
}

fn list_endpoints(server: &mut Server, name: &str) -> bool {
    let Some(service) = server.get(Kind::Service, name).cloned() else {
        return server.delete(US, Kind::Slice, name, None, false).is_ok();
    };
    let selected = server.list(Kind::Pod).filter(|(_, pod)| covers(&service["spec"]["selector"], labels(pod)));
    let listed: Vec<Value> = selected
        .map(|(pod, _)| json!({"addresses": ["10.0.0.9"], "targetRef": {"kind": "Pod", "name": pod}}))
        .collect();
    let slice = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "endpoints": listed,
    });
    match server.get(Kind::Slice, name) {
        None => server.create(US, Kind::Slice, slice).is_ok(),
        Some(before) if before["endpoints"] == slice["endpoints"] => false,
        Some(_) => {
            server.edit(US, Kind::Slice, name, |object| object["endpoints"] = slice["endpoints"].clone()).is_ok()
        }
    }
}

fn labels(object: &Value) -> &Value {
    &object["metadata"]["labels"]
}

/// Writes the replicas of what an autoscaler targets: anything within its bounds while the history is wild.
pub fn autoscaler(server: &mut Server, rng: &mut Rng, calm: bool) -> bool {
    let mut did = false;
    for name in server.names(Kind::Autoscaler) {
        let Some(spec) = server.get(Kind::Autoscaler, &name).map(|hpa| hpa["spec"].clone()) else { continue };
        let bound = |field: &str| spec[field].as_i64().unwrap_or(1);
        let target = spec.pointer("/scaleTargetRef/name").and_then(Value::as_str).unwrap_or_default();
        let Some(present) = server.get(Kind::Deployment, target).and_then(|d| d["spec"]["replicas"].as_i64()) else {
            continue;
        };
        let span = usize::try_from(bound("maxReplicas") - bound("minReplicas") + 1).unwrap_or(1);
        let whim = bound("minReplicas") + i64::try_from(rng.below(span)).unwrap_or_default();
        let wanted = if calm { present.clamp(bound("minReplicas"), bound("maxReplicas")) } else { whim };
        if present != 0 && wanted != present {
            let written =
                server.edit(US, Kind::Deployment, target, |object| object["spec"]["replicas"] = wanted.into());
            did |= written.is_ok();
        }
    }
    did
}

/// Deletes what has only owners that are gone, and finishes deletions in the foreground.
pub fn collect(server: &mut Server) -> bool {
    let living: BTreeSet<String> =
        [Kind::Kanary, Kind::Deployment].iter().flat_map(|kind| server.list(*kind)).map(|(_, o)| uid(o)).collect();
    for kind in [Kind::Deployment, Kind::Service, Kind::Autoscaler, Kind::Route, Kind::Pod] {
        for name in server.names(kind) {
            let Some(object) = server.get(kind, &name).cloned() else { continue };
            let going = object["metadata"].get("deletionTimestamp").is_some();
            let orphan = owners(&object).next().is_some() && !owners(&object).any(|owner| living.contains(owner));
            if orphan && !going {
                return server.delete(US, kind, &name, None, false).is_ok();
            }
            if going && kind == Kind::Deployment {
                return finish(server, &name, &uid(&object));
            }
        }
    }
    finish_kanary(server)
}

fn finish(server: &mut Server, name: &str, uid: &str) -> bool {
    let dependents: Vec<String> = owned(server, Kind::Pod, uid);
    if dependents.is_empty() {
        server.remove(Kind::Deployment, name);
        return true;
    }
    dependents.iter().any(|pod| {
        let going = server.get(Kind::Pod, pod).is_some_and(|pod| pod["metadata"].get("deletionTimestamp").is_some());
        !going && server.delete(US, Kind::Pod, pod, None, false).is_ok()
    })
}

/// A `KanaryDeployment` that is deleted in the foreground goes after what it owns.
fn finish_kanary(server: &mut Server) -> bool {
    const FOREGROUND: &str = "foregroundDeletion";
    let going = |object: &Value| object["metadata"].get("deletionTimestamp").is_some();
    let waits = |kanary: &Value| {
        let finalizers = kanary["metadata"]["finalizers"].as_array();
        going(kanary) && finalizers.into_iter().flatten().any(|name| name == FOREGROUND)
    };
    let Some((name, uid)) = server.list(Kind::Kanary).find(|(_, k)| waits(k)).map(|(name, k)| (name.clone(), uid(k)))
    else {
        return false;
    };
    for kind in [Kind::Deployment, Kind::Service, Kind::Autoscaler, Kind::Route] {
        for child in owned(server, kind, &uid) {
            let gone = server.get(kind, &child).is_some_and(|child| going(child));
            if !gone {
                return server.delete(US, kind, &child, None, kind == Kind::Deployment).is_ok();
            }
        }
    }
    let left = owned(server, Kind::Deployment, &uid);
    left.is_empty()
        && server
            .edit(US, Kind::Kanary, &name, |kanary| {
                let finalizers = kanary["metadata"]["finalizers"].as_array_mut().expect("it has one");
                finalizers.retain(|name| name != FOREGROUND);
            })
            .is_ok()
}

pub fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

pub fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

pub fn owned(server: &Server, kind: Kind, uid: &str) -> Vec<String> {
    let ours = server.list(kind).filter(|(_, object)| owners(object).any(|owner| owner == uid));
    ours.map(|(name, _)| name.clone()).collect()
}
