//! Is the canary available, and if not, what does which pod wait for?

use super::{Withheld, policy::policy_hint};
use crate::{
    api::{Explanation, Reason, names},
    decision::Observed,
    objects::{Availability, Deployment, Object},
};

/// Whether the canary is available.
#[derive(Clone, Debug, PartialEq)]
pub enum Readiness {
    /// There is no canary Deployment of ours.
    Absent,
    /// Every replica is updated and available, and there is one at least.
    Ready,
    /// It is not available: `ImagePullBackOff`, `ReplicaFailure`, `Progressing`, …, and a message that names the pod.
    NotReady(Explanation),
}

/// Decides by the canary Deployment, which must be the desired one, and its pods.
#[must_use]
pub fn readiness(seen: &Observed, withheld: &Withheld, desired_hash: &str) -> Readiness {
    let Some(canary) = seen.own_canary() else { return Readiness::Absent };
    let is_current = super::is_current(seen, canary, desired_hash);
    let ready_pod = seen.live_pods().any(|pod| pod.status.ready && super::is_own(seen, pod));
    match canary.availability() {
        Availability::Full if is_current && ready_pod && !canary.is_terminating() => Readiness::Ready,
        Availability::Full => not_ready(Reason::Progressing, "the canary Deployment is being updated".into()),
        Availability::Partial { available, wanted } => unavailable(seen, withheld, canary, available, wanted),
    }
}

fn unavailable(seen: &Observed, withheld: &Withheld, canary: &Deployment, available: i32, wanted: i32) -> Readiness {
    let count = format!("{available} of {wanted} canary pods available");
    let waiting = seen.live_pods().filter_map(|pod| Some((pod, pod.status.waiting.as_ref()?)));
    if let Some((pod, why)) = waiting.min_by_key(|(pod, _)| pod.name()) {
        // What is no word is in the message.
        let reason = Reason::of_others(&why.reason).unwrap_or(Reason::Waiting);
        let words = match &pod.status.crash {
            // The kubelet's message counts the seconds until the next restart.
            Some(crash) => format!("{}: {}", why.reason, crash.words()),
            None => why.words(),
        };
        return not_ready(reason, format!("{count}; pod {}: {words}", pod.name()));
    }
    match canary.replica_failure() {
        Some(failure) => {
            let hint = policy_hint(withheld, failure).unwrap_or_default();
            not_ready(Reason::ReplicaFailure, format!("{count}; {failure}{hint}"))
        }
        None => not_ready(Reason::Progressing, count),
    }
}

/// The first pod that is not ready, for a reason that is not known to be an error, such as a probe that fails. While a
/// canary starts, all its pods are like that; once its time is up, a user has to inspect one.
#[must_use]
pub fn unready_pod(seen: &Observed) -> Option<String> {
    let pod = seen.live_pods().filter(|pod| !pod.status.ready).min_by_key(|pod| pod.name())?;
    let unready = pod.status.unready.as_deref().unwrap_or("not ready");
    let crash = pod.status.crash.as_ref().map_or_else(String::new, |crash| format!("; {}", crash.words()));
    Some(format!("pod {}: {unready}{crash}", pod.name()))
}

/// How often the container that failed was started again: it counts, so only the last message of a run names it.
#[must_use]
pub fn restarts(seen: &Observed) -> Option<i64> {
    seen.live_pods()
        .filter_map(|pod| pod.status.crash.as_ref())
        .map(|crash| crash.restarts)
        .max()
        .filter(|count| *count > 0)
}

fn not_ready(reason: Reason, message: String) -> Readiness {
    Readiness::NotReady(Explanation { reason, message })
}

/// The message while there is no canary Deployment.
#[must_use]
pub fn creating(seen: &Observed) -> String {
    if seen.is_blind() {
        return "a watch is broken, so nothing is created; see the controller log".into();
    }
    format!("creating canary Deployment {}", names::canary(&seen.kanary))
}
