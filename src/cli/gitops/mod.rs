//! `gitops-ignore`: ignore rules for Argo CD and Flux, so that they do not revert a promotion.
//!
//! The rules are derived from the patch that the core would send, so they name what Kanary writes and nothing else.

mod fields;
mod print;

use std::{path::PathBuf, sync::Arc};

pub use fields::{Rule, Scene, rules_of};
use kube::{Api, Resource, api::ListParams, core::NamespaceResourceScope};
pub use print::{Tool, text};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Error, client,
    cluster_flags::ClusterFlags,
    connection::{self, Connection},
    manifest::{files, rules},
    output, terminal,
};
use crate::{
    api::{KanaryDeployment, Provider},
    decision::Routes,
    objects::{Listed, Object},
};

/// The default cluster domain; another one shows only in fully qualified names in routes.
const DOMAIN: &str = "cluster.local";

/// Print ignore rules for Argo CD and Flux, so that they do not revert a promotion.
#[derive(clap::Args, Debug)]
pub struct GitopsIgnore {
    /// Name of the KanaryDeployment. Default: all of the namespace.
    #[arg(value_name = "NAME", add = super::completion::names(), conflicts_with = "filename")]
    pub name: Option<String>,
    /// Read KanaryDeployments and routes from files instead of the cluster.
    #[arg(short, long, num_args = 1.., value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// Search folders recursively.
    #[arg(short = 'R', long, requires = "filename")]
    pub recursive: bool,
    /// Target tool. Default: both.
    #[arg(long = "for", value_enum)]
    pub tool: Option<Tool>,
}

/// Runs the verb.
///
/// # Errors
/// There is no KanaryDeployment, or none that writes anything.
pub fn run(flags: &ClusterFlags, arguments: &GitopsIgnore) -> Result<(), Error> {
    let scenes = match arguments.filename.is_empty() {
        false => from_files(arguments, flags.namespace.as_deref())?,
        true => connection::block_on(from_cluster(flags, arguments.name.as_deref()))?,
    };
    let rules = fields::merged(scenes.iter().flat_map(rules_of).collect());
    for scene in scenes.iter().filter(|scene| lacks_routes(scene)) {
        terminal::complain(&format!(
            "warning: {} mirrors requests, but no route to its Service was found",
            scene.kanary.name()
        ));
    }
    if rules.is_empty() {
        return Err(Error::Failed("found no KanaryDeployment that would write anything".into()));
    }
    output::print(&text(&rules, arguments.tool)?)
}

fn from_files(arguments: &GitopsIgnore, namespace: Option<&str>) -> Result<Vec<Scene>, Error> {
    let documents = files::read(&arguments.filename, arguments.recursive)?;
    let kanaries = documents.iter().filter(|document| document.kind() == client::KIND);
    let scene = |document: &files::Document| {
        let wrong = |wrong: Vec<String>| Error::Failed(format!("{}: {}", document.file, wrong.join("; ")));
        // An object without a namespace is in that of the resource, as in a plan.
        let home = document.namespace().or(namespace);
        let kanary = rules::admit(&placed(document, home)).map_err(wrong)?;
        let routes = Routes {
            domain: DOMAIN.into(),
            virtual_services: Listed::All(routes_in(&documents, home, "VirtualService")),
            http_routes: Listed::All(routes_in(&documents, home, "HTTPRoute")),
            is_fresh: true,
        };
        Ok(Scene { kanary, routes })
    };
    kanaries.map(scene).collect()
}

fn placed(document: &files::Document, home: Option<&str>) -> Value {
    let mut object = document.object.clone();
    if let Some(home) = home.filter(|_| document.namespace().is_none()) {
        object["metadata"]["namespace"] = home.into();
    }
    object
}

fn routes_in<K: Object + DeserializeOwned>(
    documents: &[files::Document],
    home: Option<&str>,
    kind: &str,
) -> Vec<Arc<K>> {
    let of_kind = documents.iter().filter(|document| document.kind() == kind);
    of_kind.filter_map(|document| K::deserialize(placed(document, home)).ok().map(Arc::new)).collect()
}

async fn from_cluster(flags: &ClusterFlags, name: Option<&str>) -> Result<Vec<Scene>, Error> {
    let connection = connection::connect(flags).await?;
    let kanaries: Vec<KanaryDeployment> = match name {
        Some(name) => vec![client::get(&connection, name).await?.readable()?.clone()],
        None => {
            let found = client::list(&connection, false, None).await?;
            let readable = found.into_iter().filter_map(|found| {
                found.kanary.inspect_err(|why| terminal::complain(&format!("warning: no rules for it: {why}"))).ok()
            });
            readable.collect()
        }
    };
    let traffics = kanaries.iter().map(|kanary| &kanary.spec.traffic);
    let mirrors = traffics.filter(|traffic| traffic.source.writes_routes());
    let providers: Vec<Provider> = mirrors.map(|traffic| traffic.mirror().provider).collect();
    let routes = read_routes(&connection, &providers).await?;
    Ok(kanaries.into_iter().map(|kanary| Scene { kanary, routes: routes.clone() }).collect())
}

/// The routes of these providers. Others contain no mirror, and the user may not be allowed to list them.
async fn read_routes(connection: &Connection, providers: &[Provider]) -> Result<Routes, Error> {
    let mut routes = Routes { domain: DOMAIN.into(), is_fresh: true, ..Routes::default() };
    if providers.contains(&Provider::Istio) {
        routes.virtual_services = Listed::All(list(connection, "list VirtualServices").await?);
    }
    if providers.contains(&Provider::GatewayApi) {
        routes.http_routes = Listed::All(list(connection, "list HTTPRoutes").await?);
    }
    Ok(routes)
}

/// Those of the namespace; none if the kind is not installed.
async fn list<K>(connection: &Connection, doing: &str) -> Result<Vec<Arc<K>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(connection.client.clone(), &connection.namespace);
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items.into_iter().map(Arc::new).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(connection.failed(doing, &error)),
    }
}

fn lacks_routes(scene: &Scene) -> bool {
    let writes_routes = scene.kanary.spec.traffic.source.writes_routes();
    writes_routes && rules_of(scene).iter().all(|rule| rule.expressions.is_empty())
}
