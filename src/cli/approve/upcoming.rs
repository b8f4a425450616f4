//! The run that a verdict given now is for.

use crate::{
    api::{KanaryDeployment, KanaryDeploymentStatus},
    cli::client::{RunState, run_state},
    validation::given,
};

/// The status of the run that a verdict is for: the one under way, or the one that begins next.
pub fn upcoming(kanary: &KanaryDeployment) -> KanaryDeploymentStatus {
    let mut status = kanary.status.clone().unwrap_or_default();
    match run_state(kanary) {
        RunState::UnderWay(_) | RunState::Over(_) => {}
        RunState::Unseen | RunState::Outdated(_) => {
            status.run = Some(status.run.unwrap_or_default().saturating_add(1));
            status.template_hash = Some(kanary.spec.template.hash().to_owned());
        }
    }
    let first = status.run.unwrap_or(1);
    given::record(kanary, &mut status, first);
    status
}
