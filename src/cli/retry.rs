//! `retry`: another run of the same template. What people said of the last one is taken back.

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{
    Cluster, Error, clock,
    cluster::{self, said},
    kanaries::{self, KIND},
    output,
};
use crate::{
    api::{KanaryDeployment, Phase},
    seen::Seen,
};

/// Run the same template again, once the last run is over.
#[derive(clap::Args, Debug)]
pub struct Retry {
    /// The KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
}

/// Runs the verb.
///
/// # Errors
/// The run is not over.
pub fn run(cluster: &Cluster, Retry { name }: &Retry) -> Result<(), Error> {
    cluster::block_on(async {
        let connection = cluster::connect(cluster).await?;
        let found = kanaries::get(&connection, name).await?;
        let (kanary, whole) = (found.readable()?, &found.whole);
        refusal(kanary).map_or(Ok(()), |why| Err(Error::Wrong(why)))?;
        let name = kanary.name();
        let id = run_id(kanary, Timestamp::now());
        let operations = operations(kanary, &whole.data, &id);
        let operations = serde_json::from_value(json!(operations)).map_err(|error| Error::Wrong(error.to_string()))?;
        let doing = format!("patch {KIND} {}/{name}", connection.namespace);
        let api = kanaries::api(&connection, false);
        let patch = Patch::<()>::Json(operations);
        api.patch(name, &PatchParams::default(), &patch).await.map_err(|error| said(&doing, &error))?;
        output::print(&format!("kanarydeployment.kanary.k8s.io/{name} runs again (runID {id})\n"))
    })
}

/// Why it cannot run again.
#[must_use]
pub fn refusal(kanary: &KanaryDeployment) -> Option<String> {
    let name = kanary.name();
    let phase = kanary.status.as_ref().and_then(|status| status.phase);
    let is_over = phase.is_some_and(Phase::is_over);
    let now = phase.map_or_else(|| "has not begun".to_owned(), |phase| format!("is {phase:?}"));
    (!is_over).then(|| format!("the run of {name} is not over: it {now}; end it with: kubectl kanary reject {name}"))
}

/// A moment says which try it was; two within a second differ all the same.
#[must_use]
pub fn run_id(kanary: &KanaryDeployment, now: Timestamp) -> String {
    let id = clock::moment(now);
    if kanary.spec.run_id.as_deref() == Some(&id) { format!("{id}-again") } else { id }
}

/// The new id; and each word of a person is removed, for it was about the last run.
#[must_use]
pub fn operations(kanary: &KanaryDeployment, whole: &Value, id: &str) -> Vec<Value> {
    let mut operations = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": kanary.version()}),
        json!({"op": "add", "path": "/spec/runID", "value": id}),
    ];
    let count = kanary.spec.validation.items.len();
    let items = (0..count).map(|index| format!("/spec/validation/items/{index}/manual/status"));
    let run = ["status", "reason"].map(|field| format!("/spec/validation/manual/{field}"));
    let said = run.into_iter().chain(items).filter(|path| whole.pointer(path).is_some());
    operations.extend(said.map(|path| json!({"op": "remove", "path": path})));
    operations
}
