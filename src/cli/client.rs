//! Reads `KanaryDeployment`s: whole, as the API server has them, and decoded, as the verbs need them.

use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, ListParams},
};

use super::{Error, connection::Connection, manifest::typed};
use crate::api::{KanaryDeployment, Phase};

/// The kind in messages.
pub const KIND: &str = "KanaryDeployment";

/// One, whole and decoded.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// All that the API server has, without `managedFields`.
    pub whole: DynamicObject,
    /// What this build decodes of it, or why it cannot: a newer version may have written it.
    pub kanary: Result<KanaryDeployment, String>,
}

impl Fetched {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.whole.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.whole.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The version that guards a write.
    #[must_use]
    pub fn version(&self) -> &str {
        self.whole.metadata.resource_version.as_deref().unwrap_or_default()
    }

    /// The decoded resource, for verbs that need it.
    ///
    /// # Errors
    /// It cannot be decoded.
    pub fn readable(&self) -> Result<&KanaryDeployment, Error> {
        self.kanary.as_ref().map_err(|why| Error::Failed(why.clone()))
    }
}

/// How the status relates to the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// No controller has processed the requested run; if there was another run, it is over.
    Unseen,
    /// The status is that of another template, whose run is under way.
    Outdated(Phase),
    /// The requested run is under way.
    UnderWay(Phase),
    /// The requested run is over.
    Over(Phase),
}

/// Tells a run from the one before: a changed template begins a new one at once, a changed `runID` once the last is over.
#[must_use]
pub fn run_state(kanary: &KanaryDeployment) -> RunState {
    let Some((status, phase)) = kanary.status.as_ref().and_then(|status| Some((status, status.phase?))) else {
        return RunState::Unseen;
    };
    let is_same_template = status.template_hash.as_deref() == Some(kanary.spec.template.hash());
    match (phase.is_over(), is_same_template) {
        (true, true) if status.run_id == kanary.spec.run_id => RunState::Over(phase),
        (true, _) => RunState::Unseen,
        (false, true) => RunState::UnderWay(phase),
        (false, false) => RunState::Outdated(phase),
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
/// It does not exist, or cannot be read.
pub async fn get(connection: &Connection, name: &str) -> Result<Fetched, Error> {
    let name = bare(name);
    let doing = format!("get {KIND} {}/{name}", connection.namespace);
    api(connection, false).get(name).await.map(decode).map_err(|error| connection.failed(&doing, &error))
}

/// All that the labels select.
///
/// # Errors
/// They cannot be read.
pub async fn list(connection: &Connection, all: bool, labels: Option<&str>) -> Result<Vec<Fetched>, Error> {
    let params = ListParams { label_selector: labels.map(str::to_owned), ..ListParams::default() };
    let doing = format!("list {}", KanaryDeployment::plural(&()));
    let list = api(connection, all).list(&params).await.map_err(|error| connection.failed(&doing, &error))?;
    Ok(list.items.into_iter().map(decode).collect())
}

/// Decodes what the API server sent.
#[must_use]
pub fn decode(mut whole: DynamicObject) -> Fetched {
    whole.metadata.managed_fields = None;
    let name = whole.metadata.name.as_deref().unwrap_or_default();
    let object = serde_json::to_value(&whole).map_err(|error| error.to_string());
    let kanary = object.and_then(|object| typed::read(&object));
    let kanary = kanary.map_err(|why| format!("{KIND} {name} cannot be decoded by this version: {why}"));
    Fetched { whole, kanary }
}

/// A name without the kind before it.
#[must_use]
pub fn bare(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, name)| name)
}
