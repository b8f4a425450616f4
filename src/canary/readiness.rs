//! Is the canary available, and if not, which pod is in which trouble?

use crate::{
    api::{Explanation, Reason, names},
    decision::Observed,
    objects::{Availability, Deployment, Object, Pod},
};

/// How the canary stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Readiness {
    /// There is no canary Deployment of ours.
    Absent,
    /// Every replica is updated and available, and there is one at least.
    Ready,
    /// Not yet, or no longer: `ImagePullBackOff`, `ReplicaFailure`, `Progressing`, …, and a sentence that names the pod.
    NotReady(Explanation),
}

/// Looks at the canary Deployment, which ought to be the one that is asked for, and its pods.
#[must_use]
pub fn readiness(seen: &Observed, desired_hash: &str) -> Readiness {
    let Some(canary) = seen.own_canary() else { return Readiness::Absent };
    let is_current = super::is_current(seen, canary, desired_hash);
    let ready_pod = seen.live_pods().any(|pod| pod.status.ready);
    match canary.availability() {
        Availability::Full if is_current && ready_pod && !canary.is_terminating() => Readiness::Ready,
        Availability::Full => not_ready(Reason::Progressing, "the canary Deployment is being updated".into()),
        Availability::Partial { available, wanted } => unavailable(seen, canary, available, wanted),
    }
}

fn unavailable(seen: &Observed, canary: &Deployment, available: i32, wanted: i32) -> Readiness {
    let count = format!("{available} of {wanted} canary pods available");
    let mut troubled: Vec<&Pod> = seen.live_pods().filter(|pod| pod.status.waiting.is_some()).collect();
    troubled.sort_by_key(|pod| pod.name());
    // The reason only: the kubelet's message counts seconds.
    if let Some((pod, trouble)) = troubled.first().and_then(|pod| Some((pod, pod.status.waiting.as_ref()?))) {
        let reason = if trouble.reason.is_empty() { Reason::Waiting } else { Reason::from(trouble.reason.as_str()) };
        return not_ready(reason, format!("{count}; pod {}: {}", pod.name(), trouble.reason));
    }
    match canary.replica_failure() {
        Some(failure) => not_ready(Reason::ReplicaFailure, format!("{count}; {failure}")),
        None => not_ready(Reason::Progressing, count),
    }
}

/// The first pod that is not ready though nothing is known to be wrong with it, such as one whose probe fails. As long as
/// a canary starts that is what all its pods are like; in the end somebody has to look at it.
#[must_use]
pub fn unready_pod(seen: &Observed) -> Option<String> {
    let pod = seen.live_pods().filter(|pod| !pod.status.ready).min_by_key(|pod| pod.name())?;
    Some(format!("pod {}: {}", pod.name(), pod.status.unready.as_deref().unwrap_or("not ready")))
}

fn not_ready(reason: Reason, message: String) -> Readiness {
    Readiness::NotReady(Explanation { reason, message })
}

/// The message while there is no canary Deployment.
#[must_use]
pub fn creating(seen: &Observed) -> String {
    format!("creating canary Deployment {}", names::canary(&seen.kanary))
}
