//! `generate`: a `KanaryDeployment` made from a Deployment, ready to apply.

mod options;
mod queries;
mod template;

use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
pub use options::Options;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Cluster, Error,
    cluster::{self, Connection},
    output::{self, Format},
    plan::{files, rules},
};

/// Print a KanaryDeployment made from a Deployment: change its image, and apply it.
#[derive(clap::Args, Debug)]
pub struct Generate {
    /// The Deployment. With -f it may be left out.
    #[arg(value_name = "DEPLOYMENT", required_unless_present = "filename")]
    pub deployment: Option<String>,
    /// Take the Deployment from a file, not from the cluster; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub filename: Option<PathBuf>,
    /// What the `KanaryDeployment` is to be like.
    #[command(flatten)]
    pub options: Options,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub output: Format,
}

/// Runs the verb.
///
/// # Errors
/// No such Deployment; options that make no `KanaryDeployment`.
pub fn run(cluster: &Cluster, arguments: &Generate) -> Result<(), Error> {
    let (deployment, namespace) = match &arguments.filename {
        Some(file) => (from_file(file, arguments.deployment.as_deref())?, cluster.namespace.clone()),
        None => from_cluster(cluster, arguments.deployment.as_deref().unwrap_or_default())?,
    };
    let kanary = generate(&deployment, namespace.as_deref(), &arguments.options)?;
    if let Some(warning) = arguments.options.warning() {
        eprintln!("warning: {warning}");
    }
    output::print_as(arguments.output, &kanary)
}

/// The `KanaryDeployment`; it is one that the API server takes.
///
/// # Errors
/// [`Error::Usage`] for options that make none.
pub fn generate(deployment: &Value, namespace: Option<&str>, options: &Options) -> Result<Value, Error> {
    let base = deployment.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let mut metadata = json!({"name": options.name.as_deref().unwrap_or(base)});
    let of_file = deployment.pointer("/metadata/namespace").and_then(Value::as_str);
    if let Some(namespace) = namespace.or(of_file) {
        metadata["namespace"] = namespace.into();
    }
    let mut spec = options.spec()?;
    spec["deploymentName"] = base.into();
    spec["template"] = template::of(deployment);
    let kanary = json!({
        "apiVersion": "kanary.k8s.io/v1alpha1",
        "kind": "KanaryDeployment",
        "metadata": metadata,
        "spec": spec,
    });
    match rules::admit(&kanary) {
        Ok(_) => Ok(kanary),
        Err(wrong) => Err(Error::Usage(wrong.join("\n       "))),
    }
}

fn from_file(file: &PathBuf, name: Option<&str>) -> Result<Value, Error> {
    let documents = files::read(std::slice::from_ref(file))?;
    let mut deployments = documents.into_iter().filter(|document| document.kind() == "Deployment");
    let found = deployments.find(|document| name.is_none_or(|name| document.name() == name));
    let missing = || match name {
        Some(name) => format!("{}: there is no Deployment {name} in it", file.display()),
        None => format!("{}: there is no Deployment in it", file.display()),
    };
    let document = found.ok_or_else(|| Error::Wrong(missing()))?;
    // A file may hold anything; what it holds beyond the type is kept all the same.
    let wrong = |why| Error::Wrong(format!("{}: Deployment {}: {why}", document.file, document.name()));
    Deployment::deserialize(&document.object).map_err(wrong)?;
    Ok(document.object)
}

/// The Deployment as the API server has it: a type would drop what it does not know.
fn from_cluster(cluster: &Cluster, name: &str) -> Result<(Value, Option<String>), Error> {
    let name = name.split_once('/').map_or(name, |(_, name)| name);
    cluster::block_on(async {
        let Connection { client, namespace } = cluster::connect(cluster).await?;
        let url = Api::<Deployment>::namespaced(client.clone(), &namespace).resource_url().to_owned();
        let failed = |error: kube::Error| cluster::said(&format!("get Deployment {namespace}/{name}"), &error);
        let request = http::Request::get(format!("{url}/{name}")).body(Vec::new());
        let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
        let deployment = client.request::<Value>(request).await.map_err(failed)?;
        Ok((deployment, Some(namespace)))
    })
}
