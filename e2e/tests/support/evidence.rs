//! Trials that are judged by a Prometheus.

use kanary_e2e::{Error, Scene};
use serde_json::{Value, json};

use super::{TRIAL, condition, text};

/// Waits until the clock stands still, and says why.
pub async fn until_held(scene: &Scene, why: &str) -> Result<Value, Error> {
    let met = |kd: &Value| {
        condition(kd, "Running")["reason"] == "Held" && text(condition(kd, "Running"), "/message").contains(why)
    };
    scene.until_kd(TRIAL, &format!("the clock stands still: {why}"), met).await
}

/// Lets the controller read this Secret of the scene, as a person would who grants it.
pub async fn may_read_secret(scene: &Scene, name: &str) -> Result<(), Error> {
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
    scene.apply(role).await?;
    scene.apply(binding).await.map(drop)
}
