//! Reads `KanaryDeployment`s: whole, as the API server has them, and typed, as the verbs look at them.

use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, ListParams},
};

use super::{Error, cluster::Connection, cluster::said};
use crate::api::{KanaryDeployment, Phase};

/// How they are called in messages.
pub const KIND: &str = "KanaryDeployment";

/// One, as it is and as it is read.
#[derive(Clone, Debug)]
pub struct Found {
    /// All that the API server has, less the bookkeeping that nobody reads.
    pub whole: DynamicObject,
    /// What this build understands of it, or why it does not: a newer version may have written it.
    pub kanary: Result<KanaryDeployment, String>,
}

impl Found {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.whole.metadata.name.as_deref().unwrap_or_default()
    }

    /// Where it is.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.whole.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// What guards a write.
    #[must_use]
    pub fn version(&self) -> &str {
        self.whole.metadata.resource_version.as_deref().unwrap_or_default()
    }

    /// For what cannot be done without understanding it.
    ///
    /// # Errors
    /// It is not understood.
    pub fn readable(&self) -> Result<&KanaryDeployment, Error> {
        self.kanary.as_ref().map_err(|why| Error::Wrong(why.clone()))
    }
}

/// How the status stands to the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// No controller has seen what is asked for; if there was another run, it is over.
    Unseen,
    /// The status tells of another template, whose run is under way.
    Outdated(Phase),
    /// What is asked for is under way.
    UnderWay(Phase),
    /// What is asked for was done.
    Over(Phase),
}

/// Tells a run from the one before: a changed template begins a new one at once, a changed `runID` once the last is over.
#[must_use]
pub fn run(kanary: &KanaryDeployment) -> Run {
    let Some((status, phase)) = kanary.status.as_ref().and_then(|status| Some((status, status.phase?))) else {
        return Run::Unseen;
    };
    let is_same_template = status.template_hash.as_deref() == Some(kanary.spec.template.hash());
    match (phase.is_over(), is_same_template) {
        (true, true) if status.run_id == kanary.spec.run_id => Run::Over(phase),
        (true, _) => Run::Unseen,
        (false, true) => Run::UnderWay(phase),
        (false, false) => Run::Outdated(phase),
    }
}

/// The API for whole objects, of one namespace or of all.
#[must_use]
pub fn api(connection: &Connection, all: bool) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<KanaryDeployment>(&());
    match all {
        true => Api::all_with(connection.client.clone(), &resource),
        false => Api::namespaced_with(connection.client.clone(), &connection.namespace, &resource),
    }
}

/// One by name; `kd/web` is `web`.
///
/// # Errors
/// There is none, or the API server does not show it.
pub async fn get(connection: &Connection, name: &str) -> Result<Found, Error> {
    let name = bare(name);
    let doing = format!("get {KIND} {}/{name}", connection.namespace);
    api(connection, false).get(name).await.map(understand).map_err(|error| said(&doing, &error))
}

/// All that the labels select.
///
/// # Errors
/// They cannot be read.
pub async fn list(connection: &Connection, all: bool, labels: Option<&str>) -> Result<Vec<Found>, Error> {
    let params = ListParams { label_selector: labels.map(str::to_owned), ..ListParams::default() };
    let doing = format!("list {}", KanaryDeployment::plural(&()));
    let list = api(connection, all).list(&params).await.map_err(|error| said(&doing, &error))?;
    Ok(list.items.into_iter().map(understand).collect())
}

/// Reads what the API server sent.
#[must_use]
pub fn understand(mut whole: DynamicObject) -> Found {
    whole.metadata.managed_fields = None;
    let name = whole.metadata.name.as_deref().unwrap_or_default();
    let kanary = serde_json::to_value(&whole).and_then(serde_json::from_value);
    let kanary = kanary.map_err(|error| format!("{KIND} {name} cannot be read by this version: {error}"));
    Found { whole, kanary }
}

/// A name without the kind before it.
#[must_use]
pub fn bare(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, name)| name)
}
