//! The Helm chart: it installs what deploy/ does, and what its values add.

use std::{collections::BTreeMap, process::ExitCode};

use k8s_openapi::{
    api::apps::v1::Deployment, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kanary_e2e::{
    Context, Error, Setup, TestNamespace, cases, harness,
    manifests::{describe, parse, read, repository},
    tool::Tool,
};
use kube::Api;
use serde_json::{Value, json};
use tokio::process::Command;

fn main() -> ExitCode {
    let cases = cases![
        it_makes_what_deploy_makes: lab_only,
        its_values_are_heard: lab_only,
        a_mistyped_value_is_named: lab_only,
        it_installs_and_goes_and_leaves_the_crd: lab_only,
    ];
    harness::main(Setup::bare().with_helm(), cases)
}

/// What Helm prints; an error has its error output.
async fn helm(ns: &TestNamespace, arguments: &[&str]) -> Result<Result<String, String>, Error> {
    let lab = ns.lab()?;
    let mut command = Command::new(lab.artifacts().tools.path(Tool::Helm)?);
    let home = lab.dir().join("helm");
    command.args(arguments).current_dir(repository()).env("KUBECONFIG", lab.kubeconfig());
    command.env("HELM_CACHE_HOME", &home).env("HELM_CONFIG_HOME", &home).env("HELM_DATA_HOME", &home);
    let output = command.output().await.context(|| format!("helm {arguments:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

async fn good(ns: &TestNamespace, arguments: &[&str]) -> Result<String, Error> {
    helm(ns, arguments).await?.map_err(|stderr| Error::wrong(format!("helm {arguments:?}: {stderr}")))
}

/// The chart's objects by kind and name.
async fn rendered(ns: &TestNamespace, namespace: &str, values: &[&str]) -> Result<BTreeMap<String, Value>, Error> {
    let arguments = [&["template", "kanary", "charts/kanary", "--namespace", namespace], values].concat();
    Ok(named(parse(&good(ns, &arguments).await?)?))
}

fn named(objects: Vec<Value>) -> BTreeMap<String, Value> {
    objects.into_iter().map(|object| (describe(&object), object)).collect()
}

const CRD: &str = "CustomResourceDefinition kanarydeployments.kanary.k8s.io";

async fn it_makes_what_deploy_makes(ns: TestNamespace) -> Result<(), Error> {
    good(&ns, &["lint", "--strict", "charts/kanary"]).await?;
    let mut shipped = Vec::new();
    for file in ["crds/kanarydeployments.yaml", "deploy/rbac.yaml", "deploy/deployment.yaml"] {
        shipped.extend(read(&repository().join(file))?);
    }
    let mut shipped = named(shipped);
    shipped.entry(CRD.into()).or_default()["metadata"]["annotations"]["helm.sh/resource-policy"] = json!("keep");
    let deployment = shipped.entry("Deployment kanary-system/kanary".into()).or_default();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!("kanary:0.1.0");
    let rendered = rendered(&ns, "kanary-system", &[]).await?;
    assert_eq!(rendered.keys().collect::<Vec<_>>(), shipped.keys().collect::<Vec<_>>());
    for (name, object) in shipped {
        assert_eq!(rendered[&name], object, "{name}");
    }
    Ok(())
}

async fn its_values_are_heard(ns: TestNamespace) -> Result<(), Error> {
    let values = [
        "image.repository=registry.example/kanary",
        "image.tag=1.2.3",
        "image.pullPolicy=Always",
        "imagePullSecrets[0].name=pull",
        "replicas=2",
        "crds.install=false",
        "namespace=shop",
        "clusterDomain=corp.local",
        "prometheus.url=http://prometheus:9090",
        "prometheus.allow={prometheus,*.corp.local}",
        "mirrorCopiesQuery=vector(1) > bool 0",
        "extraArgs={--address=0.0.0.0:9090}",
        "resources.limits.memory=1Gi",
        "podAnnotations.team=web",
        "podLabels.team=web",
        "nodeSelector.disk=ssd",
        "priorityClassName=system-cluster-critical",
    ];
    let values: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
    let objects = rendered(&ns, "delivery", &values).await?;
    assert!(!objects.contains_key(CRD));
    let deployment = &objects["Deployment delivery/kanary"];
    let template = &deployment["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/kanary:1.2.3");
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["resources"], json!({"limits": {"memory": "1Gi"}}));
    let said = [
        "run",
        "--log-format=json",
        "--namespace=shop",
        "--cluster-domain=corp.local",
        "--prometheus-url=http://prometheus:9090",
        "--prometheus-allow=prometheus,*.corp.local",
        "--mirror-copies-query=vector(1) > bool 0",
        "--address=0.0.0.0:9090",
    ];
    assert_eq!(container["args"], json!(said));
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(template["metadata"]["annotations"], json!({"team": "web"}));
    assert_eq!(template["metadata"]["labels"], json!({"app.kubernetes.io/name": "kanary", "team": "web"}));
    assert_eq!(template["spec"]["nodeSelector"], json!({"disk": "ssd"}));
    assert_eq!(template["spec"]["priorityClassName"], "system-cluster-critical");
    assert_eq!(template["spec"]["imagePullSecrets"], json!([{"name": "pull"}]));
    // The account that the roles are bound to is the one that the pod runs as.
    let bindings = objects.iter().filter(|(name, _)| name.contains("Binding "));
    let bindings: Vec<_> =
        bindings.map(|(name, binding)| (name.as_str(), &binding["roleRef"]["name"], &binding["subjects"])).collect();
    let account = json!([{"kind": "ServiceAccount", "name": "kanary", "namespace": "delivery"}]);
    // In the one namespace that it serves, and in its own; of the cluster it reads only whether there is a mesh.
    let bound = [
        ("ClusterRoleBinding kanary-mesh", &json!("kanary-mesh"), &account),
        ("RoleBinding delivery/kanary", &json!("kanary"), &account),
        ("RoleBinding shop/kanary-canaries", &json!("kanary"), &account),
    ];
    assert_eq!(bindings, bound);
    let mesh = &objects["ClusterRole kanary-mesh"]["rules"];
    assert_eq!(mesh.as_array().map(Vec::len), Some(1));
    assert_eq!(mesh[0]["resources"], json!(["customresourcedefinitions"]));
    assert!(objects.contains_key("ServiceAccount delivery/kanary"));
    Ok(())
}

async fn a_mistyped_value_is_named(ns: TestNamespace) -> Result<(), Error> {
    for (value, named) in [
        ("prometheusUrl=http://prometheus:9090", "prometheusUrl"),
        ("prometheus.alow=prometheus", "alow"),
        ("replicas=two", "replicas"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
    ] {
        let said = helm(&ns, &["template", "kanary", "charts/kanary", "--set", value]).await?;
        assert!(said.as_ref().is_err_and(|said| said.contains(named)), "{value}: {said:?}");
    }
    Ok(())
}

/// `helm uninstall` removes everything but the CRD, because all canaries would be deleted with it.
async fn it_installs_and_goes_and_leaves_the_crd(ns: TestNamespace) -> Result<(), Error> {
    let namespace = ns.name();
    good(&ns, &["install", "kanary", "charts/kanary", "--namespace", namespace, "--wait", "--timeout=90s"]).await?;
    ns.until("kanary", "it is available", |deployment: &Deployment| {
        deployment.status.as_ref().and_then(|status| status.available_replicas) == Some(1)
    })
    .await?;
    good(&ns, &["uninstall", "kanary", "--namespace", namespace, "--wait", "--timeout=90s"]).await?;
    ns.until_gone::<Deployment>("kanary").await?;
    let crds: Api<CustomResourceDefinition> = Api::all(ns.client());
    crds.get("kanarydeployments.kanary.k8s.io").await.map(drop).context(|| "find the CRD".into())
}
