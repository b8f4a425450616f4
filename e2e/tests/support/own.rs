//! Controllers for one test: they serve its namespace only and have their Lease there, so that they can be killed while
//! other tests run.

use kanary_e2e::{Error, TestNamespace, controller::NAMESPACE};
use serde_json::json;

/// Arguments of a controller for this namespace alone; a restart under the same name need not wait for the Lease.
pub fn alone(ns: &TestNamespace, identity: &str) -> [String; 3] {
    let namespace = ns.name();
    [format!("--namespace={namespace}"), format!("--lease-namespace={namespace}"), format!("--identity={identity}")]
}

/// Lets the controller's ServiceAccount use a Lease here: the shipped role grants it one in its own namespace only.
pub async fn may_lead(ns: &TestNamespace) -> Result<(), Error> {
    let rbac = "rbac.authorization.k8s.io";
    let leases =
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]});
    let role = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": {"name": "leases"}, "rules": [leases],
    });
    let binding = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": "leases"},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "leases"},
        "subjects": [{"kind": "ServiceAccount", "name": "kanary", "namespace": NAMESPACE}],
    });
    ns.apply(role).await?;
    ns.apply(binding).await.map(drop)
}
