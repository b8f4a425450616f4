//! `generate`: a `KanaryDeployment` from a Deployment, ready to apply.

mod options;
mod queries;
mod template;

use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
pub use options::Options;
use serde_json::{Value, json};

use super::{
    Error, client,
    cluster_flags::ClusterFlags,
    connection::{self, Connection},
    manifest::{
        files::{self, Document},
        rules, typed,
    },
    output::{self, Format},
    terminal,
};

/// Print a KanaryDeployment made from a Deployment.
///
/// Change its image, then apply it.
#[derive(clap::Args, Debug)]
pub struct Generate {
    /// Name of the Deployment. Optional with -f.
    #[arg(value_name = "DEPLOYMENT", required_unless_present = "filename")]
    pub deployment: Option<String>,
    /// Read the Deployment from a file or folder instead of the cluster; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub filename: Option<PathBuf>,
    /// Search folders recursively.
    #[arg(short = 'R', long, requires = "filename")]
    pub recursive: bool,
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
        Some(file) => (from_file(file, arguments, flags.namespace.as_deref())?, flags.namespace.clone()),
        None => from_cluster(flags, arguments.deployment.as_deref().unwrap_or_default())?,
    };
    let kanary = generate(&deployment, namespace.as_deref(), &arguments.options)?;
    if let Some(warning) = arguments.options.warning() {
        terminal::complain(&format!("warning: {warning}"));
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
            let name = options.name.as_deref();
            let explain = |refusal: &String| by_option(refusal, name.unwrap_or(base), name.is_some());
            Err(Error::Usage(refusals.iter().map(explain).collect::<Vec<_>>().join("\n       ")))
        }
    }
}

/// The name is an option here, not a field. One that is not fit for a canary may be fit for its Deployment.
fn by_option(refusal: &str, name: &str, is_given: bool) -> String {
    let Some(why) = refusal.strip_prefix("metadata.name: ") else { return refusal.to_owned() };
    match fitting(name) {
        Some(fitting) if !is_given => {
            format!(
                "the name of the Deployment, {name}, cannot be that of the KanaryDeployment: it {why}; pass --name, for example --name {fitting}"
            )
        }
        Some(_) | None => format!("--name: {why}"),
    }
}

/// A name for a `KanaryDeployment` that begins like this one.
fn fitting(name: &str) -> Option<String> {
    const MOST: usize = 56;
    let dashed: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let cut: String = dashed.trim_matches('-').chars().take(MOST).collect();
    Some(cut.trim_end_matches('-').to_owned()).filter(|name| !name.is_empty())
}

fn from_file(file: &Path, arguments: &Generate, namespace: Option<&str>) -> Result<Value, Error> {
    let name = arguments.deployment.as_deref().map(client::bare);
    let documents = files::read(&[file.to_owned()], arguments.recursive)?;
    let deployments = documents.into_iter().filter(|document| document.kind() == "Deployment");
    let is_meant = |document: &Document| name.is_none_or(|name| document.name() == name);
    let found: Vec<Document> = deployments.filter(is_meant).collect();
    let document = match &found[..] {
        [only] => only,
        [] => return Err(Error::Failed(format!("{}: found no Deployment{}", file.display(), of_name(name)))),
        several => {
            let mut here = several.iter().filter(|document| namespace.is_some() && document.namespace() == namespace);
            let one = here.next().filter(|_| name.is_some());
            one.filter(|_| here.next().is_none()).ok_or_else(|| ambiguous(file, several))?
        }
    };
    // The types are checked; fields that this version does not know are kept.
    match &typed::problems::<Deployment>(&document.object)[..] {
        [] => Ok(document.object.clone()),
        wrong => {
            let why = wrong.join("\n       ");
            Err(Error::Failed(format!("{}: Deployment {}: {why}", document.file, document.name())))
        }
    }
}

fn of_name(name: Option<&str>) -> String {
    name.map(|name| format!(" {name}")).unwrap_or_default()
}

/// Which of them is meant is asked, not guessed.
fn ambiguous(file: &Path, found: &[Document]) -> Error {
    let id = |document: &Document| {
        document.namespace().map_or(String::new(), |namespace| format!("{namespace}/")) + document.name()
    };
    let ids: Vec<String> = found.iter().map(id).collect();
    let is_same_name = found.windows(2).all(|pair| pair[0].name() == pair[1].name());
    let fix = match (is_same_name, found.first()) {
        (true, _) if ids.iter().all(|other| Some(other) == ids.first()) => "leave one in the file".to_owned(),
        (true, _) => "choose one with -n NAMESPACE".to_owned(),
        (false, first) => {
            let name = first.map(Document::name).unwrap_or_default();
            format!("name one of them: kubectl kanary generate {name} -f {}", file.display())
        }
    };
    Error::Usage(format!("{}: found {} Deployments ({}); {fix}", file.display(), found.len(), ids.join(", ")))
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
