//! What the API server does to an object on the way in, as far as it is known without one: what it cannot read, and what
//! it refuses.

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Service};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    cli::defaults,
    objects::{Labels, selects},
};

/// Admits an object. Kinds that are not played are taken as they are.
///
/// # Errors
/// What the API server would say.
pub fn admit(before: Option<&Value>, object: &mut Value) -> Result<(), String> {
    match object["kind"].as_str() {
        Some("Deployment") => legible::<Deployment>(object)?,
        Some("Service") => return legible::<Service>(object),
        Some("HorizontalPodAutoscaler") => return legible::<HorizontalPodAutoscaler>(object),
        Some(_) | None => return Ok(()),
    }
    complaints(before, &object["spec"]).map_or(Ok(()), |complaint| Err(complaint.to_owned()))?;
    // The API server writes them out; without them a live base and a template that leaves them out are equal here, too.
    defaults::strip(&mut object["spec"]);
    Ok(())
}

fn legible<K: DeserializeOwned>(object: &Value) -> Result<(), String> {
    K::deserialize(object).map(drop).map_err(|error| error.to_string())
}

fn complaints(before: Option<&Value>, spec: &Value) -> Option<&'static str> {
    let containers = spec.pointer("/template/spec/containers").and_then(Value::as_array);
    let complete = |container: &Value| container["name"].is_string() && container["image"].is_string();
    let labels: Labels = serde_json::from_value(spec["template"]["metadata"]["labels"].clone()).unwrap_or_default();
    let selector = serde_json::from_value(spec["selector"].clone()).unwrap_or_default();
    if containers.is_none_or(Vec::is_empty) {
        return Some("spec.template.spec.containers: a pod needs a container");
    }
    if !containers.is_some_and(|containers| containers.iter().all(complete)) {
        return Some("spec.template.spec.containers: each container needs a name and an image");
    }
    if spec["selector"].is_null() {
        return Some("spec.selector: is required");
    }
    if before.is_some_and(|before| before["spec"]["selector"] != spec["selector"]) {
        return Some("spec.selector: field is immutable");
    }
    (!selects(&selector, &labels)).then_some(
        "spec.template.metadata.labels: the pods' labels do not match spec.selector, which cannot be changed",
    )
}
