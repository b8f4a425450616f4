//! `generate`: a `KanaryDeployment` from a Deployment, ready to apply.

mod options;
mod queries;
mod template;

use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
pub use options::Options;
use serde_json::{Value, json};

use super::{
    Error, client,
    cluster_flags::ClusterFlags,
    connection::{self, Connection},
    manifest::{files, rules, typed},
    output::{self, Format},
};

/// Print a KanaryDeployment made from a Deployment.
///
/// Change its image, then apply it.
#[derive(clap::Args, Debug)]
pub struct Generate {
    /// Name of the Deployment. Optional with -f.
    #[arg(value_name = "DEPLOYMENT", required_unless_present = "filename")]
    pub deployment: Option<String>,
    /// Read the Deployment from a file instead of the cluster; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub filename: Option<PathBuf>,
    /// The properties of the `KanaryDeployment`.
    #[command(flatten)]
    pub options: Options,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub output: Format,
}

/// Runs the verb.
///
/// # Errors
/// No such Deployment; options that make no valid `KanaryDeployment`.
pub fn run(flags: &ClusterFlags, arguments: &Generate) -> Result<(), Error> {
    let (deployment, namespace) = match &arguments.filename {
        Some(file) => (from_file(file, arguments.deployment.as_deref())?, flags.namespace.clone()),
        None => from_cluster(flags, arguments.deployment.as_deref().unwrap_or_default())?,
    };
    let kanary = generate(&deployment, namespace.as_deref(), &arguments.options)?;
    if let Some(warning) = arguments.options.warning() {
        eprintln!("warning: {warning}");
    }
    output::print_as(arguments.output, &kanary)
}

/// The `KanaryDeployment`; the API server accepts it.
///
/// # Errors
/// [`Error::Usage`] for options that make no valid one.
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
        Err(refusals) => {
            Err(Error::Usage(refusals.iter().map(|refusal| by_option(refusal)).collect::<Vec<_>>().join("\n       ")))
        }
    }
}

/// The name is an option here, not a field.
fn by_option(refusal: &str) -> String {
    refusal.strip_prefix("metadata.name: ").map_or_else(|| refusal.to_owned(), |why| format!("--name: {why}"))
}

fn from_file(file: &PathBuf, name: Option<&str>) -> Result<Value, Error> {
    let documents = files::read(std::slice::from_ref(file))?;
    let mut deployments = documents.into_iter().filter(|document| document.kind() == "Deployment");
    let found = deployments.find(|document| name.is_none_or(|name| document.name() == name));
    let missing = || match name {
        Some(name) => format!("{}: found no Deployment {name}", file.display()),
        None => format!("{}: found no Deployment", file.display()),
    };
    let document = found.ok_or_else(|| Error::Failed(missing()))?;
    // The types are checked; fields that this version does not know are kept.
    let wrong = |why| Error::Failed(format!("{}: Deployment {}: {why}", document.file, document.name()));
    typed::read::<Deployment>(&document.object).map_err(wrong)?;
    Ok(document.object)
}

/// The Deployment as the API server has it: a type would drop the fields that it does not know.
fn from_cluster(flags: &ClusterFlags, name: &str) -> Result<(Value, Option<String>), Error> {
    let name = client::bare(name);
    connection::block_on(async {
        let connection = connection::connect(flags).await?;
        let doing = format!("get Deployment {}/{name}", connection.namespace);
        let deployment = get(&connection, name).await.map_err(|error| connection.failed(&doing, &error))?;
        Ok((deployment, Some(connection.namespace)))
    })
}

async fn get(Connection { client, namespace, .. }: &Connection, name: &str) -> Result<Value, kube::Error> {
    let url = Api::<Deployment>::namespaced(client.clone(), namespace).resource_url().to_owned();
    let request = http::Request::get(format!("{url}/{name}")).body(Vec::new());
    client.request::<Value>(request.map_err(kube::Error::HttpError)?).await
}
