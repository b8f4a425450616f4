//! `retry`: another run of the same template. The manual verdicts on the last one are removed.

use jiff::Timestamp;
use kube::api::Patch;
use serde_json::{Value, json};

use super::{
    Error,
    client::{self, Fetched, RunState},
    clock,
    cluster_flags::ClusterFlags,
    connection, output, retry_on_conflict,
};
use crate::{api::KanaryDeployment, objects::Object};

/// Run the same template again after the previous run has ended.
///
/// Clears the previous manual verdict.
#[derive(clap::Args, Debug)]
pub struct Retry {
    /// Name of the KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
}

/// Runs the verb.
///
/// # Errors
/// The run is not over.
pub fn run(flags: &ClusterFlags, Retry { name }: &Retry) -> Result<(), Error> {
    connection::block_on(async {
        let connection = connection::connect(flags).await?;
        let now = Timestamp::now();
        let fetched = retry_on_conflict::patch(&connection, client::bare(name), |fetched| patch(fetched, now)).await?;
        let (name, id) = (fetched.name(), run_id(fetched.readable()?, now));
        output::print(&format!("kanarydeployment.kanary.k8s.io/{name} runs again (runID {id})\n"))
    })
}

fn patch(fetched: &Fetched, now: Timestamp) -> Result<Patch<Value>, Error> {
    let kanary = fetched.readable()?;
    if let Some(why) = refusal(kanary) {
        return Err(Error::Failed(why));
    }
    let operations = operations(kanary, &fetched.whole.data, &run_id(kanary, now));
    let operations = serde_json::from_value(json!(operations));
    operations.map(Patch::Json).map_err(|error| Error::Failed(error.to_string()))
}

/// Why it cannot run again.
#[must_use]
pub fn refusal(kanary: &KanaryDeployment) -> Option<String> {
    let name = kanary.name();
    let now = match client::run_state(kanary) {
        RunState::Over(_) => return None,
        RunState::Unseen => "has not started".to_owned(),
        RunState::UnderWay(phase) | RunState::Outdated(phase) => format!("is {}", phase.as_str()),
    };
    Some(format!("the run of {name} is not over: it {now}; end it with: kubectl kanary reject {name}"))
}

/// The time of the retry; two within one second differ as well.
#[must_use]
pub fn run_id(kanary: &KanaryDeployment, now: Timestamp) -> String {
    let id = clock::moment(now);
    if kanary.spec.run_id.as_deref() == Some(&id) { format!("{id}-again") } else { id }
}

/// Sets the new id, and removes every manual verdict, because it was about the last run.
#[must_use]
pub fn operations(kanary: &KanaryDeployment, whole: &Value, id: &str) -> Vec<Value> {
    let mut operations = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": kanary.version()}),
        json!({"op": "add", "path": "/spec/runID", "value": id}),
    ];
    let count = kanary.spec.validation.items.len();
    let items = (0..count).map(|index| format!("/spec/validation/items/{index}/manual"));
    let places = std::iter::once("/spec/validation/manual".to_owned()).chain(items);
    let fields = ["status", "reason", "run", "templateHash", "by", "at"];
    let verdicts = places
        .flat_map(|place| fields.map(|field| format!("{place}/{field}")))
        .filter(|path| whole.pointer(path).is_some());
    operations.extend(verdicts.map(|path| json!({"op": "remove", "path": path})));
    operations
}
