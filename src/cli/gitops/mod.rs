//! `gitops-ignore`: what Argo CD and Flux must leave alone, so that a promotion is not taken back.
//!
//! The rules are read off the very patch that the core would send, so they name what Kanary writes and nothing else.

mod fields;
mod print;

use std::{path::PathBuf, sync::Arc};

use clap::ValueEnum;
pub use fields::{Rule, Scene, rules_of};
use kube::{Api, Resource, api::ListParams, core::NamespaceResourceScope};
pub use print::text;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Cluster, Error,
    cluster::{self, Connection},
    kanaries, output,
    plan::{files, rules},
};
use crate::{
    api::{KanaryDeployment, Provider, Source},
    decision::Routes,
    objects::{Listed, Object},
};

/// What most clusters call themselves; only whole names in routes show another one.
const DOMAIN: &str = "cluster.local";

/// Print what Argo CD or Flux must ignore, so that a promotion is not taken back.
#[derive(clap::Args, Debug)]
pub struct GitopsIgnore {
    /// The KanaryDeployment; all of the namespace if left out.
    #[arg(value_name = "NAME", add = super::completion::names(), conflicts_with = "filename")]
    pub name: Option<String>,
    /// Take them from files, not from the cluster.
    #[arg(short, long, num_args = 1.., value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// For whom.
    #[arg(long = "for", value_enum)]
    pub tool: Option<Tool>,
}

/// A GitOps tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Tool {
    Argocd,
    Flux,
}

/// Runs the verb.
///
/// # Errors
/// There is no KanaryDeployment.
pub fn run(cluster: &Cluster, arguments: &GitopsIgnore) -> Result<(), Error> {
    let scenes = match arguments.filename.is_empty() {
        false => from_files(&arguments.filename, cluster.namespace.as_deref())?,
        true => cluster::block_on(from_cluster(cluster, arguments.name.as_deref()))?,
    };
    let rules = fields::merged(scenes.iter().flat_map(rules_of).collect());
    for scene in scenes.iter().filter(|scene| mirrors_unseen(scene)) {
        eprintln!("warning: {} mirrors, but no route of its Service is seen", scene.kanary.name());
    }
    if rules.is_empty() {
        return Err(Error::Wrong("there is no KanaryDeployment that would write anything".into()));
    }
    output::print(&text(&rules, arguments.tool)?)
}

fn from_files(paths: &[PathBuf], namespace: Option<&str>) -> Result<Vec<Scene>, Error> {
    let documents = files::read(paths)?;
    let kanaries = documents.iter().filter(|document| document.kind() == kanaries::KIND);
    let scene = |document: &files::Document| {
        let wrong = |wrong: Vec<String>| Error::Wrong(format!("{}: {}", document.file, wrong.join("; ")));
        // What names no namespace is where the resource is, as in a plan.
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

async fn from_cluster(cluster: &Cluster, name: Option<&str>) -> Result<Vec<Scene>, Error> {
    let connection = cluster::connect(cluster).await?;
    let kanaries: Vec<KanaryDeployment> = match name {
        Some(name) => vec![kanaries::get(&connection, name).await?.readable()?.clone()],
        None => {
            let found = kanaries::list(&connection, false, None).await?;
            let readable = found.into_iter().filter_map(|found| {
                found.kanary.inspect_err(|why| eprintln!("warning: there are no rules for it: {why}")).ok()
            });
            readable.collect()
        }
    };
    let traffics = kanaries.iter().map(|kanary| &kanary.spec.traffic);
    let mirrors = traffics.filter(|traffic| traffic.source == Source::Mirror);
    let providers: Vec<Provider> = mirrors.map(|traffic| traffic.mirror().provider).collect();
    let routes = read_routes(&connection, &providers).await?;
    Ok(kanaries.into_iter().map(|kanary| Scene { kanary, routes: routes.clone() }).collect())
}

/// The routes of these providers. Others carry no mirror, and whoever asks may have no right to list them.
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

/// Those of the namespace; none where there is no such kind.
async fn list<K>(connection: &Connection, doing: &str) -> Result<Vec<Arc<K>>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(connection.client.clone(), &connection.namespace);
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items.into_iter().map(Arc::new).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(cluster::said(doing, &error)),
    }
}

fn mirrors_unseen(scene: &Scene) -> bool {
    let mirrors = scene.kanary.spec.traffic.source == Source::Mirror;
    mirrors && rules_of(scene).iter().all(|rule| rule.expressions.is_empty())
}
