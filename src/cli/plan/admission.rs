//! What the API server does to an object that is written, as far as that is known without one: what it cannot decode, and
//! what it rejects.

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Service};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    cli::manifest::{defaults, pull_policy, typed},
    objects::{Labels, selects},
};

/// Admits an object. Kinds that are not simulated are accepted as they are.
///
/// # Errors
/// Why the API server would reject it.
pub fn admit(before: Option<&Value>, object: &mut Value) -> Result<(), String> {
    match object["kind"].as_str() {
        Some("Deployment") => decodes::<Deployment>(object)?,
        Some("Service") => return decodes::<Service>(object),
        Some("HorizontalPodAutoscaler") => return decodes::<HorizontalPodAutoscaler>(object),
        Some(_) | None => return Ok(()),
    }
    if let Some(why) = refusal(before, &object["spec"]) {
        return Err(why.to_owned());
    }
    // The API server writes the defaults out; without them a live base equals a template that omits them.
    defaults::strip(&mut object["spec"]);
    pull_policy::write_out(&mut object["spec"]);
    Ok(())
}

fn decodes<K: DeserializeOwned>(object: &Value) -> Result<(), String> {
    let wrong = typed::problems::<K>(object);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn refusal(before: Option<&Value>, spec: &Value) -> Option<&'static str> {
    let containers = spec.pointer("/template/spec/containers").and_then(Value::as_array);
    let complete = |container: &Value| container["name"].is_string() && container["image"].is_string();
    let labels: Labels = serde_json::from_value(spec["template"]["metadata"]["labels"].clone()).unwrap_or_default();
    let selector = serde_json::from_value(spec["selector"].clone()).unwrap_or_default();
    if containers.is_none_or(Vec::is_empty) {
        return Some("spec.template.spec.containers: at least one container is required");
    }
    if !containers.is_some_and(|containers| containers.iter().all(complete)) {
        return Some("spec.template.spec.containers: name and image are required for each container");
    }
    if spec["selector"].is_null() {
        return Some("spec.selector: required");
    }
    if before.is_some_and(|before| before["spec"]["selector"] != spec["selector"]) {
        return Some("spec.selector: field is immutable");
    }
    (!selects(&selector, &labels)).then_some(
        "spec.template.metadata.labels: the pods' labels do not match spec.selector, which cannot be changed",
    )
}
