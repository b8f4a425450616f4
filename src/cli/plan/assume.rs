//! Assumptions about what the files do not contain: the base and the production Service.

use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::{
    api::{Confirm, KanaryDeployment, Source, names},
    cli::manifest::{files::Document, pull_policy},
};

/// Stands for the image that the present base runs.
const PRESENT: &str = "<as it is now>";

/// Adds what is missing to the cluster; one sentence for each assumption.
pub fn complete(cluster: &mut Cluster, kanary: &KanaryDeployment, without_base: bool) -> Vec<String> {
    let mut assumptions = Vec::new();
    assumptions.extend(complete_base(cluster, kanary, without_base));
    assumptions.extend(complete_service(cluster, kanary));
    if kanary.spec.validation.items.iter().any(|item| item.prom_ql.is_some()) {
        assumptions.push("every Prometheus query passes".into());
    }
    let traffic = &kanary.spec.traffic;
    if traffic.source == Source::Mirror && traffic.mirror().confirm == Confirm::Requests {
        assumptions.push("mirrored requests arrive at the canary immediately".into());
    }
    assumptions
}

fn complete_base(cluster: &mut Cluster, kanary: &KanaryDeployment, without_base: bool) -> Option<String> {
    let base = names::base(kanary);
    if without_base {
        cluster.remove(&("Deployment".into(), base));
        return None;
    }
    if cluster.get("Deployment", &base).is_some() {
        return None;
    }
    cluster.put(present(kanary, &base));
    Some(format!(
        "Deployment {base} exists and differs from spec.template in its images only; \
         add its file for a real diff, or pass --without-base if it does not exist yet"
    ))
}

fn complete_service(cluster: &mut Cluster, kanary: &KanaryDeployment) -> Option<String> {
    let service = kanary.spec.service_name.as_deref()?;
    if cluster.get("Service", service).is_some() {
        return None;
    }
    let selector = production_labels(cluster, kanary, &names::base(kanary));
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]);
    let assumption = format!("Service {service} exists and selects {}; add its file to be sure", shown(&selector));
    cluster.put(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": service},
        "spec": {"type": "ClusterIP", "selector": selector, "ports": ports},
    }));
    Some(assumption)
}

/// An object that looks like the base or its Service, but is in another namespace.
pub fn elsewhere(kanary: &KanaryDeployment, home: &str, document: &Document) -> Option<String> {
    let (kind, name, namespace) = (document.kind(), document.name(), document.namespace()?);
    let is_meant = match kind {
        "Deployment" => names::base(kanary) == name,
        "Service" => kanary.spec.service_name.as_deref() == Some(name),
        _ => false,
    };
    (is_meant && namespace != home).then(|| {
        let file = &document.file;
        format!(
            "{kind} {name} in {file} is not used because it is in namespace {namespace}, and the plan in {home}; \
             to use it, set metadata.namespace of the KanaryDeployment, or pass -n {namespace}"
        )
    })
}

/// A base that differs from the template in its images only.
fn present(kanary: &KanaryDeployment, name: &str) -> Value {
    let template = &kanary.spec.template;
    let mut spec = json!(template.spec());
    if spec["selector"].is_null() {
        spec["selector"] = json!({"matchLabels": template.pod_labels()});
    }
    // Of an unknown tag nothing can be said, so the policy is assumed to stay.
    pull_policy::write_out(&mut spec);
    for list in ["containers", "initContainers"] {
        let containers = spec["template"]["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter(|container| container.is_object()) {
            container["image"] = PRESENT.into();
        }
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
}

fn production_labels(cluster: &Cluster, kanary: &KanaryDeployment, base: &str) -> Value {
    let of_base = cluster.get("Deployment", base).map(|base| base["spec"]["selector"]["matchLabels"].clone());
    of_base.filter(Value::is_object).unwrap_or_else(|| json!(kanary.spec.template.pod_labels()))
}

fn shown(labels: &Value) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    labels.as_object().map(|labels| labels.iter().map(pair).collect::<Vec<_>>().join(",")).unwrap_or_default()
}
