//! `approve` and `reject`: a manual verdict on a run, by the merge patch that `kubectl patch` could send as well.
//!
//! It names the run and the template that were looked at, so it counts for no other.

mod author;
mod refusal;
mod shown;
mod upcoming;

use jiff::Timestamp;
use kube::api::Patch;
pub use refusal::refusal;
use serde_json::{Value, json};
pub use shown::{Base, shown};
use upcoming::upcoming;

use super::{
    Error,
    client::{self, Fetched, RunState},
    clock,
    cluster_flags::ClusterFlags,
    connection::{self, Connection},
    output, retry_on_conflict,
};
use crate::api::{KanaryDeployment, ManualStatus, Phase};

/// Approve a canary: record the manual verdict `valid` for the present run and its template.
///
/// It counts for every manual item that has no status of its own, in this run only.
#[derive(clap::Args, Debug)]
pub struct Approve {
    /// Name of the KanaryDeployment.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub name: String,
    /// Reason to record in the status and in the event.
    #[arg(long)]
    pub reason: Option<String>,
    /// Approve the run before its canary can be looked at: it is scheduled, starting, or not available.
    #[arg(long)]
    pub ahead: bool,
}

/// Reject a canary: record the manual verdict `invalid` for the present run and its template.
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

/// A manual verdict, and who gives it.
#[derive(Clone, Debug)]
pub struct ManualVerdict<'a> {
    /// What it is.
    pub status: ManualStatus,
    /// Why.
    pub reason: Option<&'a str>,
    /// The user.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The run that a verdict is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Its number.
    pub run: Option<i64>,
    /// The hash of its template.
    pub template_hash: Option<String>,
}

/// Runs `approve`.
///
/// # Errors
/// The run is over, has no manual item, or cannot be looked at yet.
pub fn approve(flags: &ClusterFlags, Approve { name, reason, ahead }: &Approve) -> Result<(), Error> {
    record(flags, name, ManualStatus::Valid, reason.as_deref(), *ahead)
}

/// Runs `reject`.
///
/// # Errors
/// The run is over.
pub fn reject(flags: &ClusterFlags, Reject { name, reason }: &Reject) -> Result<(), Error> {
    record(flags, name, ManualStatus::Invalid, reason.as_deref(), true)
}

fn record(
    flags: &ClusterFlags,
    name: &str,
    status: ManualStatus,
    reason: Option<&str>,
    ahead: bool,
) -> Result<(), Error> {
    connection::block_on(async {
        let connection = connection::connect(flags).await?;
        output::print(&format!("{}\n", send(&connection, client::bare(name), status, reason, ahead).await?))
    })
}

/// Records a verdict; what was done, and for an approval what it is about. `ahead`: the canary need not be there.
///
/// # Errors
/// The verdict would have no effect, or one that is not meant.
pub async fn send(
    connection: &Connection,
    name: &str,
    status: ManualStatus,
    reason: Option<&str>,
    ahead: bool,
) -> Result<String, Error> {
    let is_approval = status == ManualStatus::Valid;
    let base = if is_approval {
        shown::base(connection, &client::get(connection, name).await?).await
    } else {
        shown::Base::Unread
    };
    let verdict = ManualVerdict { status, reason, by: author::of(connection).await, at: Timestamp::now() };
    let patch = |fetched: &Fetched| match objection(fetched, status, ahead).or_else(|| base.objection(ahead)) {
        Some(why) => Err(Error::Failed(why)),
        None => Ok(Patch::Merge(patch(fetched.version(), &verdict, &binding(fetched)))),
    };
    let fetched = retry_on_conflict::patch(connection, name, patch).await?;
    let kanary = fetched.kanary.as_ref().ok();
    let shown = kanary.filter(|_| is_approval).map(|kanary| shown(kanary, &base)).unwrap_or_default();
    Ok(format!("kanarydeployment.kanary.k8s.io/{} {}{shown}", fetched.name(), result(kanary, status)))
}

fn objection(fetched: &Fetched, verdict: ManualStatus, ahead: bool) -> Option<String> {
    match (&fetched.kanary, verdict) {
        (Ok(kanary), _) => refusal(kanary, verdict, ahead),
        (Err(why), ManualStatus::Valid) => Some(why.clone()),
        // A canary can be stopped even if it cannot be decoded.
        (Err(_), ManualStatus::Invalid) => None,
    }
}

fn binding(fetched: &Fetched) -> Binding {
    let Ok(kanary) = &fetched.kanary else {
        let status = &fetched.whole.data["status"];
        return Binding {
            run: status["run"].as_i64(),
            template_hash: status["templateHash"].as_str().map(str::to_owned),
        };
    };
    let status = upcoming(kanary);
    Binding { run: status.run, template_hash: status.template_hash }
}

/// What was recorded, and when it takes effect.
#[must_use]
pub fn result(kanary: Option<&KanaryDeployment>, verdict: ManualStatus) -> String {
    let run = kanary.and_then(|kanary| upcoming(kanary).run).map(|run| format!(" for run {run}")).unwrap_or_default();
    match (verdict, kanary.filter(|kanary| is_yet_to_start(kanary))) {
        (ManualStatus::Valid, _) => format!("approved{run}"),
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
pub fn patch(version: &str, verdict: &ManualVerdict<'_>, binding: &Binding) -> Value {
    json!({
        "metadata": {"resourceVersion": version},
        "spec": {"validation": {"manual": {
            "status": verdict.status,
            "reason": verdict.reason,
            "run": binding.run,
            "templateHash": binding.template_hash,
            "by": verdict.by,
            "at": clock::moment(verdict.at),
        }}},
    })
}
