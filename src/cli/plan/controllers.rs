//! The other controllers of a healthy cluster: Deployments create pods, which are ready at once; a new template replaces
//! them; gateways accept their routes. It takes no time.

use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::{
    api::names,
    hash,
    objects::{Labels, map_selects},
};

/// Runs every controller once; true if anything changed.
pub fn settle(cluster: &mut Cluster) -> bool {
    let deployments: Vec<String> = cluster.all("Deployment").map(|(name, _)| name.to_owned()).collect();
    let routes: Vec<String> = cluster.all("HTTPRoute").map(|(name, _)| name.to_owned()).collect();
    let deployed = deployments.iter().filter(|name| roll_out(cluster, name)).count();
    deployed + routes.iter().filter(|name| accept_route(cluster, name)).count() > 0
}

/// Each parent of a route accepts its present generation.
fn accept_route(cluster: &mut Cluster, name: &str) -> bool {
    cluster.edit("HTTPRoute", name, |route| {
        let generation = route["metadata"]["generation"].clone();
        let condition = |type_| json!({"type": type_, "status": "True", "observedGeneration": generation});
        let accepts = |parent: &Value| {
            let conditions = [condition("Accepted"), condition("ResolvedRefs")];
            json!({"parentRef": parent, "controllerName": "plan.kanary.k8s.io/gateway", "conditions": conditions})
        };
        let parents = route.pointer("/spec/parentRefs").and_then(Value::as_array);
        let parents: Vec<Value> = parents.into_iter().flatten().map(accepts).collect();
        route["status"] = json!({ "parents": parents });
    })
}

fn roll_out(cluster: &mut Cluster, name: &str) -> bool {
    let Some(deployment) = cluster.get("Deployment", name).cloned() else { return false };
    if deployment["spec"]["paused"] == true {
        return update_status(cluster, name, &deployment);
    }
    let hash = hash::of(&deployment["spec"]["template"]);
    let wanted = replicas(&deployment);
    let pods: Vec<(String, bool)> = owned(cluster, &deployment).map(|(pod, of)| (pod, of == hash)).collect();
    let surplus = pods.iter().filter(|(_, new)| !new).chain(pods.iter().filter(|(_, new)| *new).skip(wanted));
    let surplus: Vec<_> = surplus.map(|(pod, _)| ("Pod".to_owned(), pod.clone())).collect();
    let missing = wanted.saturating_sub(pods.iter().filter(|(_, new)| *new).count());
    surplus.iter().for_each(|pod| cluster.remove(pod));
    (0..missing).for_each(|_| make_pod(cluster, &deployment, &hash));
    let moved = missing > 0 || !surplus.is_empty();
    revise(cluster, &deployment, name, &hash) | update_status(cluster, name, &deployment) | moved
}

fn replicas(deployment: &Value) -> usize {
    deployment["spec"]["replicas"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
}

/// Its pods, each with the hash of its template.
fn owned<'a>(cluster: &'a Cluster, deployment: &'a Value) -> impl Iterator<Item = (String, String)> + 'a {
    let uid = &deployment["metadata"]["uid"];
    let pods = cluster.all("Pod").filter(move |(_, pod)| pod["metadata"]["ownerReferences"][0]["uid"] == *uid);
    pods.map(|(name, pod)| {
        let hash = pod.pointer("/metadata/labels/pod-template-hash").and_then(Value::as_str);
        (name.to_owned(), hash.unwrap_or_default().to_owned())
    })
}

fn make_pod(cluster: &mut Cluster, deployment: &Value, hash: &str) {
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let template = &deployment["spec"]["template"];
    let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert("pod-template-hash".into(), hash.into());
    let free = (1_u64..).map(|n| format!("{name}-{}-{n}", &hash[..5])).find(|pod| cluster.get("Pod", pod).is_none());
    cluster.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": free, "labels": labels, "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": deployment["metadata"]["uid"], "controller": true}],
        },
        "spec": template["spec"],
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }));
}

/// Counts the revisions of a Deployment.
fn revise(cluster: &mut Cluster, deployment: &Value, name: &str, hash: &str) -> bool {
    const COUNTED: &str = "plan.kanary.k8s.io/counted";
    let annotations = &deployment["metadata"]["annotations"];
    if annotations[COUNTED] == hash {
        return false;
    }
    let before = annotations[names::REVISION].as_str().and_then(|revision| revision.parse::<u64>().ok());
    // A Deployment that existed before the plan has its revision already.
    let first_sight = annotations[COUNTED].is_null();
    let revision = before.map_or(1, |before| before + u64::from(!first_sight));
    cluster.edit("Deployment", name, |deployment| {
        let annotations = &mut deployment["metadata"]["annotations"];
        annotations[names::REVISION] = revision.to_string().into();
        annotations[COUNTED] = hash.into();
    })
}

fn update_status(cluster: &mut Cluster, name: &str, deployment: &Value) -> bool {
    let pods = owned(cluster, deployment).count();
    cluster.edit("Deployment", name, |deployment| {
        deployment["status"] = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": pods, "updatedReplicas": pods, "readyReplicas": pods, "availableReplicas": pods,
        });
    })
}

/// The pods that a Service selects.
pub fn endpoints(cluster: &Cluster, service: &Value) -> Vec<String> {
    let selector: Labels = serde_json::from_value(service["spec"]["selector"].clone()).unwrap_or_default();
    let labels =
        |pod: &Value| -> Labels { serde_json::from_value(pod["metadata"]["labels"].clone()).unwrap_or_default() };
    cluster
        .all("Pod")
        .filter(|(_, pod)| map_selects(&selector, &labels(pod)))
        .map(|(name, _)| name.to_owned())
        .collect()
}
