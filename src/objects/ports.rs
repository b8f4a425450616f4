//! Ports that the containers of a pod declare: what a Service's named `targetPort` is looked up in.
//!
//! Not here: what follows for a Service whose port is not found (`traffic::ports`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A port that a container declares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeclaredPort {
    /// What a Service may call it; empty if it has no name.
    pub name: String,
    /// `containerPort`.
    pub number: i64,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

/// Those of a pod's spec: of its containers, and of the init containers that run as long as these.
#[must_use]
pub fn of_pod_spec(spec: &Value) -> Vec<DeclaredPort> {
    let containers = |field: &str| spec.get(field).and_then(Value::as_array).into_iter().flatten();
    let is_sidecar = |container: &&Value| container.get("restartPolicy").and_then(Value::as_str) == Some("Always");
    let running = containers("containers").chain(containers("initContainers").filter(is_sidecar));
    running.filter_map(|container| container.get("ports")?.as_array()).flatten().map(declared).collect()
}

fn declared(port: &Value) -> DeclaredPort {
    let text = |field: &str| port.get(field).and_then(Value::as_str);
    DeclaredPort {
        name: text("name").unwrap_or_default().to_owned(),
        number: port.get("containerPort").and_then(Value::as_i64).unwrap_or_default(),
        protocol: text("protocol").unwrap_or("TCP").to_owned(),
    }
}

/// Those that a pod has, read of its `spec`, or of our own dump of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct PodPorts(pub Vec<DeclaredPort>);

impl From<Value> for PodPorts {
    fn from(spec: Value) -> Self {
        Self(if spec.is_array() { serde_json::from_value(spec).unwrap_or_default() } else { of_pod_spec(&spec) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_of_what_runs_are_read() {
        let spec = json!({
            "initContainers": [
                {"name": "migrate", "ports": [{"name": "once", "containerPort": 1}]},
                {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "proxied", "containerPort": 15001}]},
            ],
            "containers": [{"ports": [{"containerPort": 53, "protocol": "UDP"}]}, {"name": "bare"}, {"ports": null}],
        });
        let port =
            |name: &str, number, protocol: &str| DeclaredPort { name: name.into(), number, protocol: protocol.into() };
        assert_eq!(of_pod_spec(&spec), [port("", 53, "UDP"), port("proxied", 15001, "TCP")]);
        assert_eq!(of_pod_spec(&Value::Null), []);
    }
}
