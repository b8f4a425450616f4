//! `retry`: another run of the same template. What people said of the last one is taken back.

use jiff::Timestamp;
use kube::api::Patch;
use serde_json::{Value, json};

use super::{
    Cluster, Error, clock, cluster, guarded,
    kanaries::{self, Run},
    output,
};
use crate::{api::KanaryDeployment, objects::Object};

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
        let now = Timestamp::now();
        let found = guarded::patch(&connection, kanaries::bare(name), |found| {
            let kanary = found.readable()?;
            refusal(kanary).map_or(Ok(()), |why| Err(Error::Wrong(why)))?;
            let operations = operations(kanary, &found.whole.data, &run_id(kanary, now));
            let operations = serde_json::from_value(json!(operations));
            operations.map(Patch::Json).map_err(|error| Error::Wrong(error.to_string()))
        });
        let found = found.await?;
        let (name, id) = (found.name(), run_id(found.readable()?, now));
        output::print(&format!("kanarydeployment.kanary.k8s.io/{name} runs again (runID {id})\n"))
    })
}

/// Why it cannot run again.
#[must_use]
pub fn refusal(kanary: &KanaryDeployment) -> Option<String> {
    let name = kanary.name();
    let now = match kanaries::run(kanary) {
        Run::Over(_) => return None,
        Run::Unseen => "has not begun".to_owned(),
        Run::UnderWay(phase) | Run::Outdated(phase) => format!("is {phase:?}"),
    };
    Some(format!("the run of {name} is not over: it {now}; end it with: kubectl kanary reject {name}"))
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
