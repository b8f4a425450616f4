//! The API of KanaryDeployments, as JSON: the lab does not depend on the types of what it tests.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
};

/// The KanaryDeployments of a namespace.
pub fn kanaries(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "kanary.k8s.io".into(),
        version: "v1alpha1".into(),
        api_version: "kanary.k8s.io/v1alpha1".into(),
        kind: "KanaryDeployment".into(),
        plural: "kanarydeployments".into(),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}
