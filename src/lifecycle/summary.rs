//! The columns of `kubectl get`.

use jiff::Timestamp;

use crate::{
    api::{ConditionType, KanaryDeploymentStatus, Phase, Report},
    decision::Observed,
    scale,
};

/// From the verdict on `Succeeded` or `Failed`, before that the phase.
pub(super) fn report(seen: &Observed, status: &KanaryDeploymentStatus, phase: Phase) -> Report {
    let status = if status.is_true(ConditionType::Failed) {
        Phase::Failed
    } else if status.is_true(ConditionType::Succeeded) {
        Phase::Succeeded
    } else {
        phase
    };
    let spec = &seen.kanary.spec;
    let scale = match &spec.scale.hpa {
        Some(hpa) => format!("hpa {}-{}", hpa.min_replicas.unwrap_or(1), hpa.max_replicas),
        None => format!("static {}", scale::static_replicas(&seen.kanary)),
    };
    let mut kinds: Vec<&str> = spec.validation.named_items().iter().map(|(_, item)| item.kind().as_str()).collect();
    kinds.dedup();
    Report {
        status: status.as_str().into(),
        scale,
        traffic: spec.traffic.source.as_str().into(),
        validation: kinds.join(","),
    }
}

/// A time as messages give it, in seconds.
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
