//! Controllers of a namespace's own: they serve its namespace alone and have their lease there, so that they can be
//! killed while other tests go on.

use kanary_e2e::{Error, TestNamespace, controller::NAMESPACE};
use serde_json::json;

/// Arguments of a controller for this namespace alone; a restart under the same name need not wait for the lease.
pub fn alone(ns: &TestNamespace, identity: &str) -> [String; 3] {
    let namespace = ns.name();
    [format!("--namespace={namespace}"), format!("--lease-namespace={namespace}"), format!("--identity={identity}")]
}

/// Lets the controller's account have a lease here: the shipped role gives it one in its own namespace only.
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
