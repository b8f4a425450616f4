//! A controller that serves one namespace, with the permissions that the chart gives it there.

mod support;

use std::{process::ExitCode, time::Duration};

use k8s_openapi::api::{
    core::v1::Namespace,
    rbac::v1::{ClusterRoleBinding, RoleBinding},
};
use kanary_e2e::{
    Context, Error, Setup, TestNamespace, cases,
    controller::NAMESPACE,
    dynamic, harness,
    manifests::{self, parse, repository},
    tool::Tool,
};
use kube::{
    Api, ResourceExt,
    api::DeleteParams,
    runtime::wait::{await_condition, conditions::is_deleted},
};
use serde_json::{Value, json};
use support::{mesh::*, *};
use tokio::process::Command;

const BINDING: &str = "kanary-canaries";
const FINALIZER: &str = "kanary.k8s.io/mirror";
const PATIENCE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let cases = cases![a_namespace_is_deleted_while_a_mirror_is_on: lab_only];
    harness::main(Setup::installed().with_helm().with_mesh(), cases)
}

/// A deleted namespace loses its RoleBindings in no particular order with the rest.
async fn a_namespace_is_deleted_while_a_mirror_is_on(ns: TestNamespace) -> Result<(), Error> {
    permit_in_this_namespace_only(&ns).await?;
    let arguments = [format!("--namespace={}", ns.name())];
    let controller = ns.lab()?.controller(&arguments).await?;
    ns.apply(virtual_service(json!({}))).await?;
    let mirror = json!({"traffic": {"source": "mirror"}});
    validating(&ns, mirror.clone()).await?;
    until_binding(&ns, true).await?;
    change(&ns, json!({"traffic": {"source": "none"}})).await?;
    until_binding(&ns, false).await?;
    change(&ns, mirror).await?;
    until_binding(&ns, true).await?;
    let has_mirror = |route: &Value| route["spec"]["http"][0]["mirrors"][0]["destination"]["host"] == CANARY;
    ns.until_dynamic(dynamic::virtual_service(WEB), "has the mirror", has_mirror).await?;
    let namespaces: Api<Namespace> = Api::all(ns.client());
    let namespace = namespaces.get(ns.name()).await.context(|| "read the namespace".into())?;
    namespaces.delete(ns.name(), &DeleteParams::default()).await.context(|| "delete the namespace".into())?;
    let uid = namespace.uid().unwrap_or_default();
    let gone = await_condition(namespaces, ns.name(), is_deleted(&uid));
    let gone = tokio::time::timeout(PATIENCE, gone).await.context(|| "wait until the namespace is gone".into())?;
    gone.map(drop).context(|| "wait until the namespace is gone".into())?;
    controller.stop().await
}

/// What the chart installs for one namespace takes the place of the shipped binding for all.
async fn permit_in_this_namespace_only(ns: &TestNamespace) -> Result<(), Error> {
    let lab = ns.lab()?;
    let value = format!("namespace={}", ns.name());
    let mut helm = Command::new(lab.artifacts().tools.path(Tool::Helm)?);
    helm.args(["template", "kanary", "charts/kanary", "--namespace", NAMESPACE, "--set", &value]);
    let output = helm.current_dir(repository()).output().await.context(|| "run helm".into())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let is_rbac = |object: &Value| object["apiVersion"] == "rbac.authorization.k8s.io/v1";
    for object in parse(&String::from_utf8_lossy(&output.stdout))?.iter().filter(|object| is_rbac(object)) {
        manifests::apply(&ns.client(), object).await?;
    }
    let bindings: Api<ClusterRoleBinding> = Api::all(ns.client());
    bindings.delete("kanary", &DeleteParams::default()).await.map(drop).context(|| "delete the shipped binding".into())
}

async fn until_binding(ns: &TestNamespace, is_held: bool) -> Result<RoleBinding, Error> {
    ns.until(BINDING, "has the finalizer while it must", |binding: &RoleBinding| {
        binding.finalizers().iter().any(|name| name == FINALIZER) == is_held
    })
    .await
}
