//! `approve` and `reject`: a manual verdict on a run, by the merge patch that `kubectl patch` could send as well.

use kube::api::Patch;
use serde_json::{Value, json};

use super::{
    Error,
    client::{self, Fetched, RunState},
    clock,
    cluster_flags::ClusterFlags,
    connection::{self, Connection},
    output, retry_on_conflict,
};
use crate::{
    api::{ItemKind, KanaryDeployment, ManualStatus, Phase},
    objects::Object,
};

/// Approve a canary: record the manual verdict `valid`.
///
/// It counts for every manual item that has no status of its own.
#[derive(clap::Args, Debug)]
pub struct Approve {
    /// Name of the KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
    /// Reason to record in the status and in the event.
    #[arg(long)]
    pub reason: Option<String>,
}

/// Reject a canary: record the manual verdict `invalid`.
///
/// The run fails at once, whatever its other items say.
#[derive(clap::Args, Debug)]
pub struct Reject {
    /// Name of the KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
    /// Reason to record in the status and in the event.
    #[arg(long)]
    pub reason: Option<String>,
}

/// Runs `approve`.
///
/// # Errors
/// The run is over, or has no manual item.
pub fn approve(flags: &ClusterFlags, Approve { name, reason }: &Approve) -> Result<(), Error> {
    record(flags, name, ManualStatus::Valid, reason.as_deref())
}

/// Runs `reject`.
///
/// # Errors
/// The run is over.
pub fn reject(flags: &ClusterFlags, Reject { name, reason }: &Reject) -> Result<(), Error> {
    record(flags, name, ManualStatus::Invalid, reason.as_deref())
}

fn record(flags: &ClusterFlags, name: &str, verdict: ManualStatus, reason: Option<&str>) -> Result<(), Error> {
    connection::block_on(async {
        let connection = connection::connect(flags).await?;
        output::print(&format!("{}\n", send(&connection, client::bare(name), verdict, reason).await?))
    })
}

/// Records a verdict; what was done, in a line.
///
/// # Errors
/// The verdict would have no effect, or one that is not meant.
pub async fn send(
    connection: &Connection,
    name: &str,
    verdict: ManualStatus,
    reason: Option<&str>,
) -> Result<String, Error> {
    let patch = |fetched: &Fetched| match objection(fetched, verdict) {
        Some(why) => Err(Error::Failed(why)),
        None => Ok(Patch::Merge(patch(fetched.version(), verdict, reason))),
    };
    let fetched = retry_on_conflict::patch(connection, name, patch).await?;
    let result = result(fetched.kanary.as_ref().ok(), verdict);
    Ok(format!("kanarydeployment.kanary.k8s.io/{} {result}", fetched.name()))
}

fn objection(fetched: &Fetched, verdict: ManualStatus) -> Option<String> {
    match (&fetched.kanary, verdict) {
        (Ok(kanary), _) => refusal(kanary, verdict),
        (Err(why), ManualStatus::Valid) => Some(why.clone()),
        // A canary can be stopped even if it cannot be decoded.
        (Err(_), ManualStatus::Invalid) => None,
    }
}

/// What was recorded, and when it takes effect.
#[must_use]
pub fn result(kanary: Option<&KanaryDeployment>, verdict: ManualStatus) -> String {
    match (verdict, kanary.filter(|kanary| is_yet_to_start(kanary))) {
        (ManualStatus::Valid, _) => "approved".into(),
        (ManualStatus::Invalid, None) => "rejected".into(),
        (ManualStatus::Invalid, Some(kanary)) => {
            let schedule = kanary.spec.schedule.map(|at| format!(" ({})", clock::moment(at))).unwrap_or_default();
            format!("rejected; takes effect when the run starts{schedule}")
        }
    }
}

fn is_yet_to_start(kanary: &KanaryDeployment) -> bool {
    match client::run_state(kanary) {
        RunState::Unseen | RunState::Outdated(_) | RunState::UnderWay(Phase::Scheduled) => true,
        RunState::UnderWay(_) | RunState::Over(_) => false,
    }
}

/// The verdict, guarded by the version of the run that it is about.
#[must_use]
pub fn patch(version: &str, verdict: ManualStatus, reason: Option<&str>) -> Value {
    json!({
        "metadata": {"resourceVersion": version},
        "spec": {"validation": {"manual": {"status": verdict, "reason": reason}}},
    })
}

/// Why the verdict would have no effect, or one that is not meant.
#[must_use]
pub fn refusal(kanary: &KanaryDeployment, verdict: ManualStatus) -> Option<String> {
    let name = kanary.name();
    match (client::run_state(kanary), verdict) {
        (RunState::Over(phase), _) => Some(format!(
            "the run of {name} is over: {}; try the same template again with: kubectl kanary retry {name}",
            phase.as_str()
        )),
        (RunState::UnderWay(phase @ (Phase::Promoting | Phase::Failing)), _) => {
            Some(format!("{name} already has a verdict: it is {}", phase.as_str()))
        }
        (RunState::Outdated(_), ManualStatus::Valid) => {
            Some(format!("the controller has not processed this template of {name} yet; try again"))
        }
        (RunState::UnderWay(_) | RunState::Unseen, ManualStatus::Valid) => {
            rejected(kanary).or_else(|| nothing_to_approve(kanary))
        }
        (RunState::UnderWay(_) | RunState::Unseen | RunState::Outdated(_), ManualStatus::Invalid) => None,
    }
}

/// A rejection stands until it is withdrawn; an approval does not overrule it.
fn rejected(kanary: &KanaryDeployment) -> Option<String> {
    let manual = kanary.spec.validation.manual.as_ref()?;
    if manual.status != Some(ManualStatus::Invalid) {
        return None;
    }
    let (name, namespace) = (kanary.name(), kanary.namespace());
    let reason = manual.reason.as_deref().unwrap_or("no reason given");
    let nothing = json!({"spec": {"validation": {"manual": {"status": null, "reason": null}}}});
    Some(format!(
        "{name} was rejected: {reason}; withdraw that with: kubectl patch kd {name} -n {namespace} --type=merge -p '{nothing}'"
    ))
}

fn nothing_to_approve(kanary: &KanaryDeployment) -> Option<String> {
    let is_undecided = |check: ItemKind<'_>| matches!(check, ItemKind::Manual(manual) if manual.status.is_none());
    let checks = kanary.spec.validation.named_items();
    if checks.iter().any(|(_, item)| is_undecided(item.kind())) {
        return None;
    }
    let names: Vec<&str> = checks.iter().map(|(name, _)| name.as_str()).collect();
    Some(format!("{} has no manual item to approve; it is evaluated by {}", kanary.name(), names.join(", ")))
}
