//! Trials that are evaluated with a Prometheus.

use kanary_e2e::{Error, TestNamespace};
use serde_json::{Value, json};

use super::{TRIAL, condition, text};

/// Waits until validation is paused, with this reason.
pub async fn until_held(ns: &TestNamespace, why: &str) -> Result<Value, Error> {
    let met = |kanary: &Value| {
        condition(kanary, "Running")["reason"] == "Paused"
            && text(condition(kanary, "Running"), "/message").contains(why)
    };
    ns.until_kanary(TRIAL, &format!("validation is paused: {why}"), met).await
}

/// Lets the controller read this Secret of the namespace, as a user would grant it.
pub async fn may_read_secret(ns: &TestNamespace, name: &str) -> Result<(), Error> {
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "kanary", "namespace": "kanary-system"}],
    });
    ns.apply(role).await?;
    ns.apply(binding).await.map(drop)
}
