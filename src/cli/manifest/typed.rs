//! Reads an object as a type, and names the field if it is not one.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The object as a type.
///
/// # Errors
/// The path of the field that does not fit, and why.
pub fn read<K: DeserializeOwned>(object: &Value) -> Result<K, String> {
    serde_path_to_error::deserialize(object).map_err(|error| match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
    use serde_json::json;

    use super::*;
    use crate::api::KanaryDeployment;

    #[test]
    fn the_field_is_named() {
        let deployment = read::<Deployment>(&json!({"spec": {"replicas": "three"}})).expect_err("a wrong type");
        assert!(deployment.starts_with("spec.replicas: "), "{deployment}");
        let container = json!({"spec": {"selector": {}, "template": {"spec": {"containers": [{"name": 7}]}}}});
        let container = read::<Deployment>(&container).expect_err("a wrong type");
        assert!(container.starts_with("spec.template.spec.containers[0].name: "), "{container}");
        let service = read::<Service>(&json!({"spec": {"ports": 80}})).expect_err("a wrong type");
        assert!(service.starts_with("spec.ports: "), "{service}");
        let kanary = read::<KanaryDeployment>(&json!({"metadata": {}, "spec": {"scale": "much"}}));
        let kanary = kanary.expect_err("a wrong type");
        assert!(kanary.starts_with("spec.scale: "), "{kanary}");
    }
}
