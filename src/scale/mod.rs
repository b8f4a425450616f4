//! How many canary pods: a static number, or a HorizontalPodAutoscaler of the canary's own.

mod hpa;

use std::sync::Arc;

pub use hpa::ensure as ensure_autoscaler;

use crate::{
    api::{KanaryDeployment, StaticScale},
    decision::Observed,
    objects::{Autoscaler, Deployment, Object},
};

/// The number of pods in `spec.scale.static`; default 1.
#[must_use]
pub fn static_replicas(kanary: &KanaryDeployment) -> i32 {
    kanary.spec.scale.static_.as_ref().map_or(1, |StaticScale { replicas }| *replicas)
}

/// Replicas of a canary that does not exist yet: an autoscaler starts from its minimum.
#[must_use]
pub fn initial_replicas(kanary: &KanaryDeployment) -> i32 {
    match &kanary.spec.scale.hpa {
        Some(hpa) => hpa.min_replicas.unwrap_or(1),
        None => static_replicas(kanary),
    }
}

/// Replicas that must be written; nothing while an autoscaler, ours or a user's, is requested or still there, because it
/// writes them.
#[must_use]
pub fn replicas(seen: &Observed, canary: &Deployment) -> Option<i32> {
    let scales_it = |hpa: &Arc<Autoscaler>| hpa.spec.deployment.as_deref() == Some(canary.name());
    let autoscaled = seen.kanary.spec.scale.hpa.is_some() || seen.autoscalers.iter().any(scales_it);
    let wanted = static_replicas(&seen.kanary);
    if autoscaled || canary.spec.replicas == wanted { None } else { Some(wanted) }
}
