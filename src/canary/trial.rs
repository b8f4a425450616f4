//! Which pods are under test: those of this run, and not those of the previous run.

use crate::{
    api::{Phase, names},
    decision::Observed,
    objects::{Object, Pod},
};

/// Is the pod under test in this run? After a restart pods of the previous template stay until those of the new one are
/// ready, and then take their time to terminate. A template may also leave the pods as they are: then the canary is
/// `available`, that is, all its pods but those that terminate have its template.
#[must_use]
pub fn is_under_test(seen: &Observed, pod: &Pod, available: bool) -> bool {
    let status = seen.status();
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    // The API server keeps seconds.
    let is_older = created.zip(status.started_at).is_some_and(|(pod, run)| pod.as_second() < run.as_second());
    let is_settled = available || status.phase == Some(Phase::Validating);
    is_own(seen, pod) && (!is_older || (is_settled && !pod.is_terminating()))
}

/// Did the canary Deployment make the pod? Anybody who may create pods may give one our label, a pod whose
/// `pod-template-hash` was changed has been released by its ReplicaSet, and the Deployment of the canary's name may be another
/// client's.
#[must_use]
pub fn is_own(seen: &Observed, pod: &Pod) -> bool {
    if seen.canary.is_some() && seen.own_canary().is_none() {
        return false;
    }
    let canary = names::canary(&seen.kanary);
    let set = pod.label("pod-template-hash").map(|hash| format!("{canary}-{hash}"));
    let mut owners = pod.metadata.owner_references.iter().flatten().filter(|owner| owner.controller == Some(true));
    owners.any(|owner| match owner.kind.as_str() {
        "ReplicaSet" => set.as_deref() == Some(&owner.name),
        _ => seen.own_canary().is_some_and(|canary| canary.uid() == owner.uid),
    })
}

/// Did another controller make the pod, with our label from the beginning? Then it is another client's, whatever it has to do
/// with production.
#[must_use]
pub fn is_anothers(seen: &Observed, pod: &Pod) -> bool {
    pod.has_controller() && !is_own(seen, pod)
}
