//! Which pods are under test: those of this run, and not those of the previous run.

use crate::{
    api::{KanaryDeploymentStatus, Phase},
    objects::{Object, Pod},
};

/// Is the pod under test in this run? After a restart pods of the previous template stay until those of the new one are
/// ready, and then take their time to terminate. A template may also leave the pods as they are: then the canary is
/// `available`, that is, all its pods but those that terminate have its template.
#[must_use]
pub fn is_under_test(pod: &Pod, status: &KanaryDeploymentStatus, available: bool) -> bool {
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    // The API server keeps seconds.
    let is_older = created.zip(status.started_at).is_some_and(|(pod, run)| pod.as_second() < run.as_second());
    let is_settled = available || status.phase == Some(Phase::Validating);
    !is_older || (is_settled && !pod.is_terminating())
}
