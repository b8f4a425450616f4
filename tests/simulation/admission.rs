//! What the API server does to an object on the way in: defaults, validation, and a user's webhooks.

use serde_json::{Value, json};

use crate::server::{Kind, Refused, refuse};

/// The cluster's own rules; a person may change them at any time.
#[derive(Clone, Default, PartialEq)]
pub struct Admission {
    /// A mutating webhook adds a container to every pod template.
    pub sidecar: bool,
    /// A validating webhook refuses every change of a pod template of this Deployment.
    pub frozen: Option<String>,
    /// A quota refuses new objects of this kind.
    pub forbidden: Option<Kind>,
}

impl Admission {
    pub fn admit(&self, kind: Kind, before: Option<&Value>, object: &mut Value) -> Result<(), Refused> {
        if before.is_none() && self.forbidden == Some(kind) {
            return refuse(403, format!("Forbidden: exceeded quota for {kind:?}"));
        }
        match kind {
            Kind::Deployment => self.deployment(before, object),
            Kind::Service => service(object),
            Kind::Autoscaler => {
                set_default(&mut object["spec"], "minReplicas", json!(1));
                Ok(())
            }
            Kind::Kanary | Kind::Pod | Kind::Slice | Kind::Route => Ok(()),
        }
    }

    fn deployment(&self, before: Option<&Value>, object: &mut Value) -> Result<(), Refused> {
        let spec = &mut object["spec"];
        set_default(spec, "replicas", json!(1));
        set_default(spec, "strategy", json!({"type": "RollingUpdate"}));
        set_default(spec, "revisionHistoryLimit", json!(10));
        set_default(spec, "progressDeadlineSeconds", json!(600));
        if self.sidecar {
            add_sidecar(&mut spec["template"]);
        }
        pod_template(&mut spec["template"]);
        let labels = &spec["template"]["metadata"]["labels"];
        if !covers(&spec["selector"]["matchLabels"], labels) {
            return refuse(422, "Invalid: `selector` does not match template `labels`");
        }
        let Some(before) = before else { return Ok(()) };
        if before["spec"]["selector"] != spec["selector"] {
            return refuse(422, "Invalid: spec.selector: field is immutable");
        }
        let changed = before["spec"]["template"] != spec["template"];
        if changed && self.frozen.as_deref() == object["metadata"]["name"].as_str() {
            return refuse(403, "Forbidden: admission webhook denied the request");
        }
        Ok(())
    }
}

fn set_default(object: &mut Value, field: &str, value: Value) {
    let fields = object.as_object_mut().expect("it is an object");
    if fields.get(field).is_none_or(Value::is_null) {
        fields.insert(field.to_owned(), value);
    }
}

fn pod_template(template: &mut Value) {
    let spec = &mut template["spec"];
    set_default(spec, "restartPolicy", json!("Always"));
    set_default(spec, "dnsPolicy", json!("ClusterFirst"));
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        set_default(container, "imagePullPolicy", json!("IfNotPresent"));
    }
}

fn add_sidecar(template: &mut Value) {
    let containers = template["spec"]["containers"].as_array_mut().expect("a pod has containers");
    if containers.iter().all(|container| container["name"] != "sidecar") {
        containers.push(json!({"name": "sidecar", "image": "proxy:1"}));
    }
}

fn service(object: &mut Value) -> Result<(), Refused> {
    let spec = &mut object["spec"];
    set_default(spec, "type", json!("ClusterIP"));
    set_default(spec, "sessionAffinity", json!("None"));
    if spec["type"] != "ExternalName" {
        set_default(spec, "clusterIP", json!("10.0.0.1"));
        set_default(spec, "ipFamilies", json!(["IPv4"]));
        set_default(spec, "ipFamilyPolicy", json!("SingleStack"));
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        set_default(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        set_default(port, "targetPort", number);
    }
    Ok(())
}

/// Does a map of labels, as a Service has it, select these labels?
pub fn covers(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().filter(|wanted| !wanted.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}
