//! `approve` and `reject`: a person's word on a run, by the merge patch that `kubectl patch` could send as well.

use kube::api::Patch;
use serde_json::{Value, json};

use super::{
    Cluster, Error, clock, cluster, guarded,
    kanaries::{self, Run},
    output,
};
use crate::{
    api::{Check, KanaryDeployment, ManualStatus, Phase},
    objects::Object,
};

/// Say that the canary is good. It answers every manual validation that has no status of its own.
#[derive(clap::Args, Debug)]
pub struct Approve {
    /// The KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
    /// Why; it goes to the status and the event.
    #[arg(long)]
    pub reason: Option<String>,
}

/// Say that the canary is bad: the run fails at once, whatever its validations say.
#[derive(clap::Args, Debug)]
pub struct Reject {
    /// The KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
    /// Why; it goes to the status and the event.
    #[arg(long)]
    pub reason: Option<String>,
}

/// Runs `approve`.
///
/// # Errors
/// The run is over, or waits for no person.
pub fn approve(cluster: &Cluster, Approve { name, reason }: &Approve) -> Result<(), Error> {
    say(cluster, name, ManualStatus::Valid, reason.as_deref())
}

/// Runs `reject`.
///
/// # Errors
/// The run is over.
pub fn reject(cluster: &Cluster, Reject { name, reason }: &Reject) -> Result<(), Error> {
    say(cluster, name, ManualStatus::Invalid, reason.as_deref())
}

fn say(cluster: &Cluster, name: &str, word: ManualStatus, reason: Option<&str>) -> Result<(), Error> {
    cluster::block_on(async {
        let connection = cluster::connect(cluster).await?;
        let found = guarded::patch(&connection, kanaries::bare(name), |found| {
            let why = match (&found.kanary, word) {
                (Ok(kanary), _) => refusal(kanary, word),
                (Err(why), ManualStatus::Valid) => Some(why.clone()),
                // To stop a canary one need not understand it.
                (Err(_), ManualStatus::Invalid) => None,
            };
            let patch = Patch::Merge(patch(found.version(), word, reason));
            why.map_or(Ok(patch), |why| Err(Error::Wrong(why)))
        });
        let found = found.await?;
        let done = done(found.kanary.as_ref().ok(), word);
        output::print(&format!("kanarydeployment.kanary.k8s.io/{} {done}\n", found.name()))
    })
}

/// What came of the word.
#[must_use]
pub fn done(kanary: Option<&KanaryDeployment>, word: ManualStatus) -> String {
    let waits = |kanary: &&KanaryDeployment| match kanaries::run(kanary) {
        Run::Unseen | Run::Outdated(_) | Run::UnderWay(Phase::Scheduled) => true,
        Run::UnderWay(_) | Run::Over(_) => false,
    };
    match (word, kanary.filter(waits)) {
        (ManualStatus::Valid, _) => "approved".into(),
        (ManualStatus::Invalid, None) => "rejected".into(),
        (ManualStatus::Invalid, Some(kanary)) => {
            let schedule = kanary.spec.schedule.map(|at| format!(" ({})", clock::moment(at))).unwrap_or_default();
            format!("rejected; that takes effect when the run begins{schedule}")
        }
    }
}

/// The word, guarded: it is about the run as it was seen.
#[must_use]
pub fn patch(version: &str, word: ManualStatus, reason: Option<&str>) -> Value {
    json!({
        "metadata": {"resourceVersion": version},
        "spec": {"validation": {"manual": {"status": word, "reason": reason}}},
    })
}

/// Why the word would change nothing, or what it should not.
#[must_use]
pub fn refusal(kanary: &KanaryDeployment, word: ManualStatus) -> Option<String> {
    let name = kanary.name();
    match (kanaries::run(kanary), word) {
        (Run::Over(phase), _) => Some(format!(
            "the run of {name} is over: {phase:?}; try the same template again with: kubectl kanary retry {name}"
        )),
        (Run::UnderWay(phase @ (Phase::Promoting | Phase::Failing)), _) => {
            Some(format!("the verdict on {name} has fallen already: it is {phase:?}"))
        }
        (Run::Outdated(_), ManualStatus::Valid) => {
            Some(format!("the controller has not seen this template of {name} yet; try again"))
        }
        (Run::UnderWay(_) | Run::Unseen, ManualStatus::Valid) => rejected(kanary).or_else(|| awaits_nobody(kanary)),
        (Run::UnderWay(_) | Run::Unseen | Run::Outdated(_), ManualStatus::Invalid) => None,
    }
}

/// A rejection stands until somebody takes it back; no other word does that by the way.
fn rejected(kanary: &KanaryDeployment) -> Option<String> {
    let manual =
        kanary.spec.validation.manual.as_ref().filter(|manual| manual.status == Some(ManualStatus::Invalid))?;
    let (name, namespace) = (kanary.name(), kanary.namespace());
    let reason = manual.reason.as_deref().unwrap_or("no reason given");
    let nothing = json!({"spec": {"validation": {"manual": {"status": null, "reason": null}}}});
    Some(format!(
        "{name} was rejected: {reason}; take that back with: kubectl patch kd {name} -n {namespace} --type=merge -p '{nothing}'"
    ))
}

fn awaits_nobody(kanary: &KanaryDeployment) -> Option<String> {
    let is_manual = |check: Check<'_>| matches!(check, Check::Manual(manual) if manual.status.is_none());
    let checks = kanary.spec.validation.checks();
    let kinds: Vec<&str> = checks.iter().map(|(name, _)| name.as_str()).collect();
    let waits = checks.iter().any(|(_, item)| is_manual(item.check()));
    (!waits).then(|| format!("{} waits for no person: it is judged by {}", kanary.name(), kinds.join(", ")))
}
