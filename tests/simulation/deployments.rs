//! The Deployment controller: revisions, pods, counters. Its status lags behind, as a real one's does.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kanary::{api::names, hash};
use serde_json::{Map, Value, json};

use crate::{
    machinery::{is_ready, owned, uid},
    rng::Rng,
    server::{Actor, Kind, Server},
};

const US: Actor = Actor::Machinery;

/// What ReplicaSets hold: each template that a Deployment had, with the annotations of then.
#[derive(Clone)]
pub struct ReplicaSet {
    pub hash: String,
    pub revision: u64,
    pub template: Value,
    pub annotations: Value,
}

#[derive(Default)]
pub struct Deployments {
    /// By uid of the Deployment; the newest last.
    pub history: BTreeMap<String, Vec<ReplicaSet>>,
    /// Since when a rollout makes no progress, and at which point.
    stalls: BTreeMap<String, (String, Timestamp)>,
    hashes: BTreeMap<(String, i64), String>,
    made: u64,
}

struct Look {
    name: String,
    uid: String,
    object: std::sync::Arc<Value>,
    hash: String,
    paused: bool,
    replicas: usize,
    new: Vec<String>,
    old: Vec<String>,
    ready: usize,
    ready_new: usize,
}

impl Deployments {
    /// One step of one Deployment. In calm times all of them, in a fixed order.
    pub fn step(&mut self, server: &mut Server, rng: &mut Rng, calm: bool) -> bool {
        let names = server.names(Kind::Deployment);
        if calm {
            return names.iter().filter(|name| self.reconcile(server, name, false)).count() > 0;
        }
        let status_first = rng.percent(50);
        !names.is_empty() && self.reconcile(server, &rng.pick(&names), status_first)
    }

    fn reconcile(&mut self, server: &mut Server, name: &str, status_first: bool) -> bool {
        let Some(look) = self.look(server, name) else { return false };
        let going = look.object["metadata"].get("deletionTimestamp").is_some();
        if !going && !look.paused && self.revise(server, &look) {
            return true;
        }
        if going || (status_first && self.tell(server, &look)) {
            return !going;
        }
        self.scale(server, &look) || self.tell(server, &look)
    }

    fn look(&mut self, server: &Server, name: &str) -> Option<Look> {
        let object = server.get(Kind::Deployment, name)?.clone();
        let uid = uid(&object);
        let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
        let hash = self
            .hashes
            .entry((uid.clone(), generation))
            .or_insert_with(|| hash::of(&object["spec"]["template"]))
            .clone();
        let pod = |name: &String| server.get(Kind::Pod, name).cloned();
        let pods: Vec<_> = owned(server, Kind::Pod, &uid).into_iter().filter_map(|n| Some((pod(&n)?, n))).collect();
        let live = pods.iter().filter(|(pod, _)| pod["metadata"].get("deletionTimestamp").is_none());
        let is_new = |pod: &Value| pod["metadata"]["labels"]["pod-template-hash"] == hash.as_str();
        let (new, old): (Vec<_>, Vec<_>) = live.partition(|(pod, _)| is_new(pod));
        let ready = |pods: &[&(std::sync::Arc<Value>, String)]| pods.iter().filter(|(pod, _)| is_ready(pod)).count();
        let ready_new = ready(&new);
        Some(Look {
            name: name.to_owned(),
            paused: object["spec"]["paused"] == true,
            replicas: object["spec"]["replicas"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
            ready: ready_new + ready(&old),
            ready_new,
            new: new.iter().map(|(_, name)| name.clone()).collect(),
            old: old.iter().map(|(_, name)| name.clone()).collect(),
            uid,
            object,
            hash,
        })
    }

    /// A template that is not the newest becomes the newest, under a new revision.
    fn revise(&mut self, server: &mut Server, look: &Look) -> bool {
        let sets = self.history.entry(look.uid.clone()).or_default();
        if sets.last().is_none_or(|newest| newest.hash != look.hash) {
            sets.retain(|set| set.hash != look.hash);
            let revision = sets.last().map_or(0, |newest| newest.revision) + 1;
            let template = look.object["spec"]["template"].clone();
            sets.push(ReplicaSet { hash: look.hash.clone(), revision, template, annotations: Value::Null });
        }
        let Some(newest) = sets.last_mut() else { return false };
        newest.annotations = look.object["metadata"]["annotations"].clone();
        let revision = newest.revision.to_string();
        if look.object["metadata"]["annotations"][names::REVISION] == revision.as_str() {
            return false;
        }
        let written = server.edit(US, Kind::Deployment, &look.name, |object| {
            let annotations = &mut object["metadata"]["annotations"];
            if !annotations.is_object() {
                *annotations = json!({});
            }
            annotations[names::REVISION] = revision.into();
        });
        written.is_ok()
    }

    /// One pod more or one less. A paused Deployment keeps its newest ReplicaSet at its size.
    fn scale(&mut self, server: &mut Server, look: &Look) -> bool {
        let known = self.history.get(&look.uid).and_then(|sets| sets.last()).is_some_and(|set| set.hash == look.hash);
        if look.paused && !known {
            return false;
        }
        let total = look.new.len() + look.old.len();
        if look.new.len() < look.replicas && total < look.replicas + 1 {
            return self.make_pod(server, look);
        }
        let surplus = if look.new.len() > look.replicas { look.new.last() } else { None };
        let superseded = look.old.last().filter(|_| {
            !look.paused && (look.ready > look.replicas || total > look.replicas && look.ready_new == look.new.len())
        });
        match surplus.or(superseded) {
            Some(pod) => server.delete(US, Kind::Pod, pod, None, false).is_ok(),
            None => false,
        }
    }

    fn make_pod(&mut self, server: &mut Server, look: &Look) -> bool {
        self.made += 1;
        let template = &look.object["spec"]["template"];
        let mut labels: Map<String, Value> = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        labels.insert("pod-template-hash".into(), look.hash.as_str().into());
        let pod = json!({
            "metadata": {
                "name": format!("{}-{}-{}", look.name, &look.hash[..4], self.made),
                "labels": labels,
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": look.name, "uid": look.uid, "controller": true}],
            },
            "spec": template["spec"],
            "status": {"conditions": [{"type": "Ready", "status": "False"}]},
        });
        server.create(US, Kind::Pod, pod).is_ok()
    }

    /// Brings the status up to now.
    fn tell(&mut self, server: &mut Server, look: &Look) -> bool {
        let (new, total) = (look.new.len(), look.new.len() + look.old.len());
        let complete = new == look.replicas && look.ready_new == new && look.old.is_empty();
        let point = format!("{}/{}/{new}/{}/{}", look.hash, look.replicas, look.ready_new, look.old.len());
        let since = self.stalls.entry(look.uid.clone()).or_insert((String::new(), server.now));
        if since.0 != point {
            *since = (point, server.now);
        }
        let seconds = look.object["spec"]["progressDeadlineSeconds"].as_i64().unwrap_or(600);
        let patience = SignedDuration::from_secs(seconds);
        let stalled = !complete && !look.paused && since.1.duration_until(server.now) > patience;
        let refused = new < look.replicas && server.admission.forbidden == Some(Kind::Pod);
        let status = json!({
            "observedGeneration": look.object["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": new,
            "readyReplicas": look.ready,
            "availableReplicas": look.ready,
            "conditions": [
                {"type": "Progressing", "status": if stalled { "False" } else { "True" }, "message": "a rollout", "reason": ""},
                {"type": "ReplicaFailure", "status": if refused { "True" } else { "False" }, "message": "quota", "reason": ""},
            ],
        });
        if look.object["status"] == status {
            return false;
        }
        server.put_status(US, Kind::Deployment, &look.name, status, None).is_ok()
    }
}
