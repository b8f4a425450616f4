//! What the files do not say: the base and the production Service, if they are not among them.

use serde_json::{Value, json};

use super::{files::Document, world::World};
use crate::api::{Confirm, KanaryDeployment, Source, names};

/// Stands for what the present base runs.
const PRESENT: &str = "<as it is now>";

/// Puts what is missing into the world; one sentence for each.
pub fn complete(world: &mut World, kanary: &KanaryDeployment, without_base: bool) -> Vec<String> {
    let mut said = Vec::new();
    let base = names::base(kanary);
    match (world.get("Deployment", &base).is_some(), without_base) {
        (true, false) => {}
        (true, true) => world.remove(&("Deployment".into(), base.clone())),
        (false, true) => {}
        (false, false) => {
            world.put(present(kanary, &base));
            said.push(format!(
                "Deployment {base} exists and differs from spec.template in its images only; \
                 give its file for a real diff, or --without-base if there is none yet"
            ));
        }
    }
    if let Some(service) = kanary.spec.service_name.as_deref().filter(|name| world.get("Service", name).is_none()) {
        let selector = production_labels(world, kanary, &base);
        said.push(format!("Service {service} exists and selects {}; give its file to be sure", shown(&selector)));
        world.put(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": service},
            "spec": {"type": "ClusterIP", "selector": selector, "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]},
        }));
    }
    if kanary.spec.validation.items.iter().any(|item| item.prom_ql.is_some()) {
        said.push("Prometheus answers each query as it is to be answered".into());
    }
    let traffic = &kanary.spec.traffic;
    if traffic.source == Source::Mirror && traffic.mirror().confirm == Confirm::Requests {
        said.push("copies of requests arrive at the canary as soon as they are sent".into());
    }
    said
}

/// A file that looks like the base's or its Service's, but stands elsewhere.
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
            "the {kind} {name} in {file} is another one, for it is in namespace {namespace}, and the plan in {home}; \
             if it is meant, give the KanaryDeployment its namespace, or -n {namespace}"
        )
    })
}

/// A base of which only the images are not those of the template.
fn present(kanary: &KanaryDeployment, name: &str) -> Value {
    let template = &kanary.spec.template;
    let mut spec = json!(template.spec());
    if spec["selector"].is_null() {
        spec["selector"] = json!({"matchLabels": template.pod_labels()});
    }
    for list in ["containers", "initContainers"] {
        let containers = spec["template"]["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter(|container| container.is_object()) {
            container["image"] = PRESENT.into();
        }
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
}

fn production_labels(world: &World, kanary: &KanaryDeployment, base: &str) -> Value {
    let of_base = world.get("Deployment", base).map(|base| base["spec"]["selector"]["matchLabels"].clone());
    of_base.filter(Value::is_object).unwrap_or_else(|| json!(kanary.spec.template.pod_labels()))
}

fn shown(labels: &Value) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    labels.as_object().map(|labels| labels.iter().map(pair).collect::<Vec<_>>().join(",")).unwrap_or_default()
}
