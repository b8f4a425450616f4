//! Reads an object as a type, and names the fields that do not fit, in words that do not need Rust to be understood.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// More wrong fields are not listed.
const MOST_PROBLEMS: usize = 20;

/// The object as a type.
///
/// # Errors
/// The path of the first field that does not fit, and why.
pub fn read<K: DeserializeOwned>(object: &Value) -> Result<K, String> {
    let mut object = object.clone();
    loop {
        let problem = match decode(&object) {
            Ok(decoded) => return Ok(decoded),
            Err(problem) => problem,
        };
        if !(problem.is_harmless(&object) && problem.resolve(&mut object)) {
            return Err(problem.sentence(&object));
        }
    }
}

/// Every field that does not fit, and why.
#[must_use]
pub fn problems<K: DeserializeOwned>(object: &Value) -> Vec<String> {
    let mut object = object.clone();
    let mut sentences = Vec::new();
    while let Err(problem) = decode::<K>(&object) {
        if !problem.is_harmless(&object) {
            sentences.push(problem.sentence(&object));
        }
        if sentences.len() == MOST_PROBLEMS || !problem.resolve(&mut object) {
            break;
        }
    }
    sentences
}

fn decode<K: DeserializeOwned>(object: &Value) -> Result<K, Problem> {
    serde_path_to_error::deserialize(object)
        .map_err(|error| Problem { path: error.path().clone(), why: error.into_inner().to_string() })
}

/// One field that does not fit.
struct Problem {
    path: Path,
    why: String,
}

impl Problem {
    /// The API server takes a number where a quantity is expected, such as `cpu: 1`, and null for anything.
    fn is_harmless(&self, object: &Value) -> bool {
        const QUANTITIES: [&str; 6] = ["limits", "requests", "sizeLimit", "divisor", "averageValue", "overhead"];
        let value = object.pointer(&self.pointer());
        let is_quantity = |segment: &Segment| match segment {
            Segment::Map { key } => QUANTITIES.contains(&key.as_str()),
            Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => false,
        };
        match value {
            Some(Value::Null) => true,
            Some(Value::Number(_)) => self.ends_in(is_quantity) || self.is_metric_value(),
            Some(_) | None => false,
        }
    }

    fn ends_in(&self, is_it: impl Fn(&Segment) -> bool) -> bool {
        let segments: Vec<&Segment> = self.path.iter().collect();
        segments.into_iter().rev().take(2).any(is_it)
    }

    /// `value` is a quantity in the target of a metric, and a text in an environment variable.
    fn is_metric_value(&self) -> bool {
        self.path.to_string().ends_with("target.value")
    }

    /// Replaces the value by one that fits everywhere, so that the next problem is found.
    fn resolve(&self, object: &mut Value) -> bool {
        let pointer = self.pointer();
        let Some(value) = object.pointer_mut(&pointer) else { return false };
        if value.is_number() && self.why.contains("expected a string") {
            *value = value.to_string().into();
            return true;
        }
        let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
        let last = last.replace("~1", "/").replace("~0", "~");
        match object.pointer_mut(parent) {
            Some(Value::Object(fields)) => fields.remove(&last).is_some(),
            Some(Value::Array(items)) => {
                let index = last.parse().ok().filter(|index| *index < items.len());
                index.map(|index: usize| items.remove(index)).is_some()
            }
            Some(_) | None => false,
        }
    }

    fn pointer(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Seq { index } => format!("/{index}"),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        };
        self.path.iter().map(segment).collect()
    }

    fn sentence(&self, object: &Value) -> String {
        let why = self.in_words(object);
        match self.path.to_string().as_str() {
            "." => why,
            path => format!("{path}: {why}"),
        }
    }

    fn in_words(&self, object: &Value) -> String {
        let expected = self.why.rsplit_once(", expected ").filter(|_| self.why.starts_with("invalid "));
        let (Some((_, expected)), Some(value)) = (expected, object.pointer(&self.pointer())) else {
            return self.why.clone();
        };
        let type_ = match expected {
            "a string" if value.is_number() || value.is_boolean() => {
                return format!("must be a string, not {value}; quote it: \"{value}\"");
            }
            "a boolean" => "true or false",
            "i32" | "i64" | "u16" | "u32" | "u64" => "a whole number",
            "a map" => "an object",
            "a sequence" => "a list",
            "IntOrString" => "a whole number or a string",
            "Quantity" => "a quantity such as 100m or 1Gi",
            // The name of a type.
            other if other.starts_with("struct ") || other.starts_with(char::is_uppercase) => "an object",
            other => other,
        };
        format!("must be {type_}, not {}", shown(value))
    }
}

/// A value as a message shows it.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Service};
    use serde_json::json;

    use super::*;
    use crate::api::KanaryDeployment;

    #[test]
    fn the_field_is_named() {
        let deployment = read::<Deployment>(&json!({"spec": {"replicas": "three"}})).expect_err("a wrong type");
        assert_eq!(deployment, "spec.replicas: must be a whole number, not \"three\"");
        let container = json!({"spec": {"selector": {}, "template": {"spec": {"containers": [{"name": 7}]}}}});
        let container = read::<Deployment>(&container).expect_err("a wrong type");
        assert_eq!(container, "spec.template.spec.containers[0].name: must be a string, not 7; quote it: \"7\"");
        let service = read::<Service>(&json!({"spec": {"ports": 80}})).expect_err("a wrong type");
        assert_eq!(service, "spec.ports: must be a list, not 80");
        let kanary = read::<KanaryDeployment>(&json!({"metadata": {}, "spec": {"scale": "much"}}));
        let kanary = kanary.expect_err("a wrong type");
        assert!(kanary.starts_with("spec.scale: must be an object, not \"much\""), "{kanary}");
    }

    #[test]
    fn all_fields_are_named() {
        let container = json!({
            "name": "web", "args": ["--port", 8080], "env": [{"name": "PORT", "value": 8080}, {"name": "DEBUG", "value": true}],
            "ports": [{"containerPort": "8080"}], "stdin": "yes", "resources": [],
        });
        let object = json!({
            "metadata": {"labels": {"a.b/version": 1.1, "ok": "1"}, "annotations": "none"},
            "spec": {"selector": {}, "template": {"spec": {"containers": [container], "volumes": {}}}},
        });
        let expected = [
            "metadata.annotations: must be an object, not \"none\"",
            "metadata.labels.a.b/version: must be a string, not 1.1; quote it: \"1.1\"",
            "spec.template.spec.containers[0].args[1]: must be a string, not 8080; quote it: \"8080\"",
            "spec.template.spec.containers[0].env[0].value: must be a string, not 8080; quote it: \"8080\"",
            "spec.template.spec.containers[0].env[1].value: must be a string, not true; quote it: \"true\"",
            "spec.template.spec.containers[0].ports[0].containerPort: must be a whole number, not \"8080\"",
            "spec.template.spec.containers[0].resources: must be an object, not a list",
            "spec.template.spec.containers[0].stdin: must be true or false, not \"yes\"",
            "spec.template.spec.volumes: must be a list, not an object",
        ];
        let mut problems = problems::<Deployment>(&object);
        problems.sort();
        assert_eq!(problems, expected);
        assert_eq!(super::problems::<Deployment>(&json!({"spec": [1]})), ["spec: must be an object, not a list"]);
    }

    /// `cpu: 1` is what most people write, and an empty value is what a template without a value leaves.
    #[test]
    fn what_the_api_server_takes_is_taken() {
        let resources = json!({"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": 0.5}});
        let volume = json!({"name": "tmp", "emptyDir": {"sizeLimit": 1000}});
        let container =
            json!({"name": "web", "resources": resources, "args": null, "env": [{"name": "A", "value": null}]});
        let object = json!({
            "metadata": {"labels": {"a": null}},
            "spec": {"selector": {}, "template": {"spec": {"containers": [container], "volumes": [volume]}}},
        });
        assert_eq!(problems::<Deployment>(&object), Vec::<String>::new());
        read::<Deployment>(&object).expect("the API server takes it");
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Value", "value": 5}}});
        let spec =
            json!({"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": [metric]});
        read::<HorizontalPodAutoscaler>(&json!({"spec": spec})).expect("the API server takes it");
    }
}
