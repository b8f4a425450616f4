//! `approve` and `reject`: a person's word on a run, by the merge patch that `kubectl patch` could send as well.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{
    Cluster, Error,
    cluster::{self, said},
    kanaries::{self, KIND},
    output,
};
use crate::{
    api::{Check, KanaryDeployment, Phase, Word},
    seen::Seen,
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
    say(cluster, name, Word::Valid, reason.as_deref())
}

/// Runs `reject`.
///
/// # Errors
/// The run is over.
pub fn reject(cluster: &Cluster, Reject { name, reason }: &Reject) -> Result<(), Error> {
    say(cluster, name, Word::Invalid, reason.as_deref())
}

fn say(cluster: &Cluster, name: &str, word: Word, reason: Option<&str>) -> Result<(), Error> {
    cluster::block_on(async {
        let connection = cluster::connect(cluster).await?;
        let found = kanaries::get(&connection, name).await?;
        let kanary = found.readable()?;
        refusal(kanary, word).map_or(Ok(()), |why| Err(Error::Wrong(why)))?;
        let name = kanary.name();
        let doing = format!("patch {KIND} {}/{name}", connection.namespace);
        let patch = Patch::Merge(patch(kanary, word, reason));
        let api = kanaries::api(&connection, false);
        api.patch(name, &PatchParams::default(), &patch).await.map_err(|error| said(&doing, &error))?;
        output::print(&format!("kanarydeployment.kanary.k8s.io/{name} {}\n", done(word)))
    })
}

fn done(word: Word) -> &'static str {
    match word {
        Word::Valid => "approved",
        Word::Invalid => "rejected",
    }
}

/// The word, guarded: it is about the run as it was seen.
#[must_use]
pub fn patch(kanary: &KanaryDeployment, word: Word, reason: Option<&str>) -> Value {
    json!({
        "metadata": {"resourceVersion": kanary.version()},
        "spec": {"validation": {"manual": {"status": word, "reason": reason}}},
    })
}

/// Why the word would change nothing.
#[must_use]
pub fn refusal(kanary: &KanaryDeployment, word: Word) -> Option<String> {
    let name = kanary.name();
    let is_manual = |check: Check<'_>| matches!(check, Check::Manual(manual) if manual.status.is_none());
    let phase = kanary.status.as_ref().and_then(|status| status.phase);
    match phase {
        Some(phase @ (Phase::Succeeded | Phase::Failed)) => Some(format!(
            "the run of {name} is over: {phase:?}; try the same template again with: kubectl kanary retry {name}"
        )),
        Some(phase @ (Phase::Promoting | Phase::Failing)) => {
            Some(format!("the verdict on {name} has fallen already: it is {phase:?}"))
        }
        Some(Phase::Scheduled | Phase::Starting | Phase::Validating) | None => {
            let checks = kanary.spec.validation.checks();
            let waits = checks.iter().any(|(_, item)| is_manual(item.check()));
            (word == Word::Valid && !waits).then(|| {
                let kinds: Vec<&str> = checks.iter().map(|(name, _)| name.as_str()).collect();
                format!("{name} waits for no person: it is judged by {}", kinds.join(", "))
            })
        }
    }
}
