//! The defaults that the API server writes into a Deployment. They mean the same if omitted, so `generate` and the diff of a
//! promotion omit them.
//!
//! Not here: the pull policy of an image (`pull_policy`). Omitted, it means something else for another tag.

use serde_json::{Value, json};

/// Removes them from the spec of a Deployment.
pub fn strip(spec: &mut Value) {
    drop_if(spec, "progressDeadlineSeconds", &json!(600));
    drop_if(spec, "revisionHistoryLimit", &json!(10));
    let usual = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
    drop_if(spec, "strategy", &usual);
    inside(spec, &["template", "metadata"], |metadata| drop_if(metadata, "creationTimestamp", &Value::Null));
    inside(spec, &["template", "spec"], pod);
}

fn pod(spec: &mut Value) {
    let usual = [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
    ];
    usual.iter().for_each(|(field, value)| drop_if(spec, field, value));
    // The old name of serviceAccountName; the API server writes both.
    let account = spec["serviceAccountName"].clone();
    drop_if(spec, "serviceAccount", &account);
    for list in ["initContainers", "containers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", volume);
}

fn container(container: &mut Value) {
    let usual = [
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
        ("resources", json!({})),
        ("securityContext", json!({})),
    ];
    usual.iter().for_each(|(field, value)| drop_if(container, field, value));
    each(container, "ports", |port| drop_if(port, "protocol", &json!("TCP")));
    each(container, "env", |env| inside(env, &["valueFrom", "fieldRef"], |of| drop_if(of, "apiVersion", &json!("v1"))));
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        inside(container, &[name], probe);
    }
}

fn probe(probe: &mut Value) {
    let usual = [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)];
    usual.iter().for_each(|(field, value)| drop_if(probe, field, &json!(value)));
    inside(probe, &["httpGet"], |get| drop_if(get, "scheme", &json!("HTTP")));
}

fn volume(volume: &mut Value) {
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        inside(volume, &[source], |source| drop_if(source, "defaultMode", &json!(420)));
    }
}

fn drop_if(object: &mut Value, field: &str, usual: &Value) {
    if let Some(fields) = object.as_object_mut().filter(|fields| fields.get(field) == Some(usual)) {
        fields.remove(field);
    }
}

fn inside(object: &mut Value, path: &[&str], change: impl FnOnce(&mut Value)) {
    let found = path.iter().try_fold(object, |object, field| object.get_mut(*field));
    if let Some(found) = found {
        change(found);
    }
}

fn each(object: &mut Value, list: &str, change: impl Fn(&mut Value)) {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::strip;

    #[test]
    fn other_values_stay() {
        let sidecar = json!({"name": "s", "image": "s:1", "restartPolicy": "Always", "imagePullPolicy": "Always"});
        let mut spec = json!({"template": {"spec": {"initContainers": [sidecar], "containers": []}}});
        let before = spec.clone();
        strip(&mut spec);
        assert_eq!(spec, before);
    }
}
