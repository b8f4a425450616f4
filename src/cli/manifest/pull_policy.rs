//! Pull policies: the one default of a container that depends on another of its fields, the tag of its image.
//!
//! Omitted, it means something else for another tag. So `generate` never omits one, and a plan writes them out, as the API
//! server does: a promotion that changes one shows it.

use serde_json::{Map, Value};

/// The lists of containers in the spec of a pod.
const CONTAINERS: [&str; 2] = ["initContainers", "containers"];

/// Writes out the policies that the spec of a Deployment omits.
pub fn write_out(spec: &mut Value) {
    for_each(spec, |image| {
        if image.fields.get(image.policy).is_none_or(Value::is_null) {
            let reference = image.fields.get(image.reference).and_then(Value::as_str).unwrap_or_default();
            let policy = default_of(reference);
            image.fields.insert(image.policy.into(), policy.into());
        }
    });
}

/// Removes the policies that a promotion does not change, and that are the defaults of its images, from the Deployment before
/// and after it: between them they say nothing. The images before it may not be known.
pub fn hide_unchanged(before: &mut Value, after: &mut Value) {
    let (old, new) = (policies(before), policies(after));
    let is_dull = |name: &str| {
        let of = |all: &[Policy]| all.iter().find(|policy| policy.name == name).map(|policy| policy.given.clone());
        let is_default = new.iter().filter(|policy| policy.name == name).all(|policy| policy.is_default);
        is_default && (of(&old) == of(&new) || of(&old).is_none() || of(&new).is_none())
    };
    for deployment in [before, after] {
        for_each(&mut deployment["spec"], |image| {
            if is_dull(&image.name) {
                image.fields.remove(image.policy);
            }
        });
    }
}

/// The policy in one place of a pod's spec.
struct Policy {
    name: String,
    given: Option<Value>,
    is_default: bool,
}

fn policies(deployment: &Value) -> Vec<Policy> {
    let mut all = Vec::new();
    for_each(&mut deployment["spec"].clone(), |image| {
        let given = image.fields.get(image.policy).cloned();
        let reference = image.fields.get(image.reference).and_then(Value::as_str).unwrap_or_default();
        let is_default = given.as_ref().is_none_or(|given| given == default_of(reference));
        all.push(Policy { name: image.name, given, is_default });
    });
    all
}

/// Where an image is named, and how often it is pulled.
struct Image<'a> {
    /// Unique in the pod.
    name: String,
    fields: &'a mut Map<String, Value>,
    reference: &'static str,
    policy: &'static str,
}

/// Containers, and volumes that are images.
fn for_each(spec: &mut Value, mut change: impl FnMut(Image)) {
    let Some(pod) = spec.pointer_mut("/template/spec").and_then(Value::as_object_mut) else { return };
    for list in CONTAINERS {
        for container in items(pod, list) {
            let name = name_in(list, container);
            change(Image { name, fields: container, reference: "image", policy: "imagePullPolicy" });
        }
    }
    for volume in items(pod, "volumes") {
        let name = name_in("volumes", volume);
        if let Some(fields) = volume.get_mut("image").and_then(Value::as_object_mut) {
            change(Image { name, fields, reference: "reference", policy: "pullPolicy" });
        }
    }
}

fn items<'a>(pod: &'a mut Map<String, Value>, list: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let items = pod.get_mut(list).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn name_in(list: &str, fields: &Map<String, Value>) -> String {
    format!("{list}/{}", fields.get("name").and_then(Value::as_str).unwrap_or_default())
}

/// `Always` for a tag that may move: `latest`, or none without a digest.
fn default_of(reference: &str) -> &'static str {
    let (name, digest) = reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
    let tag = name.rsplit('/').next().unwrap_or_default().split_once(':').map(|(_, tag)| tag);
    match (tag, digest) {
        (Some("latest"), _) | (None, None) => "Always",
        (Some(_), _) | (None, Some(_)) => "IfNotPresent",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_default_depends_on_the_tag() {
        for (image, policy) in [
            ("nginx:1.29", "IfNotPresent"),
            ("nginx", "Always"),
            ("registry:5000/nginx", "Always"),
            ("registry:5000/nginx:1", "IfNotPresent"),
            ("nginx:latest", "Always"),
            ("nginx@sha256:1", "IfNotPresent"),
            ("nginx:1@sha256:1", "IfNotPresent"),
            // The digest is what is pulled, but the API server looks at the tag.
            ("nginx:latest@sha256:1", "Always"),
        ] {
            assert_eq!(default_of(image), policy, "{image}");
        }
    }

    fn deployment(image: &str, policy: &Value) -> Value {
        let container = json!({"name": "web", "image": image, "imagePullPolicy": policy});
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    }

    #[test]
    fn what_is_omitted_is_written_out() {
        for (given, expected) in [(json!(null), "Always"), (json!("Never"), "Never")] {
            let mut deployment = deployment("nginx", &given);
            let volume = json!({"name": "data", "image": {"reference": "data:1"}});
            deployment["spec"]["template"]["spec"]["volumes"] = json!([volume, {"name": "tmp", "emptyDir": {}}]);
            write_out(&mut deployment["spec"]);
            let pod = &deployment["spec"]["template"]["spec"];
            assert_eq!(pod["containers"][0]["imagePullPolicy"], expected);
            assert_eq!(pod["volumes"][0]["image"]["pullPolicy"], "IfNotPresent");
            assert_eq!(pod["volumes"][1], json!({"name": "tmp", "emptyDir": {}}));
        }
    }

    #[test]
    fn a_policy_is_shown_if_it_changes_or_is_no_default() {
        for (before, after, is_shown) in [
            (("web:1", "IfNotPresent"), ("web:2", "IfNotPresent"), false),
            (("<as it is now>", "IfNotPresent"), ("web:2", "IfNotPresent"), false),
            (("web:1", "IfNotPresent"), ("web:latest", "Always"), true),
            (("web:1", "Always"), ("web:2", "IfNotPresent"), true),
            (("web:1", "Always"), ("web:2", "Always"), true),
        ] {
            let (mut old, mut new) = (deployment(before.0, &json!(before.1)), deployment(after.0, &json!(after.1)));
            hide_unchanged(&mut old, &mut new);
            let shown = |of: &Value| of.pointer("/spec/template/spec/containers/0/imagePullPolicy").is_some();
            assert_eq!((shown(&old), shown(&new)), (is_shown, is_shown), "{before:?} {after:?}");
        }
    }
}
