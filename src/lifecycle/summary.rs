//! The columns of `kubectl get`.

use jiff::Timestamp;

use crate::{
    api::{ConditionType, DefaultStatus, Item, KanaryDeploymentStatus, ManualStatus, Phase, Report},
    decision::Observed,
    scale,
    validation::given::{self, Given},
};

/// The columns of a status whose conditions are up to now.
pub(super) fn report(seen: &Observed, status: &KanaryDeploymentStatus, phase: Phase) -> Report {
    let spec = &seen.kanary.spec;
    let scale = match &spec.scale.hpa {
        Some(hpa) => format!("hpa {}-{}", hpa.min_replicas.unwrap_or(1), hpa.max_replicas),
        None => format!("static {}", scale::static_replicas(&seen.kanary)),
    };
    let mut kinds: Vec<&str> = spec.validation.named_items().iter().map(|(_, item)| item.kind().as_str()).collect();
    kinds.dedup();
    Report {
        status: word(seen, status, phase),
        scale,
        traffic: spec.traffic.source.as_str().into(),
        validation: kinds.join(","),
    }
}

/// From a verdict of failure on `Failed`; else the phase, and what it waits for unless that is the ordinary course. A
/// success is one once production has the template.
fn word(seen: &Observed, status: &KanaryDeploymentStatus, phase: Phase) -> String {
    if status.is_true(ConditionType::Failed) {
        return Phase::Failed.as_str().into();
    }
    let stalled = status.condition(ConditionType::Stalled).filter(|_| status.is_true(ConditionType::Stalled));
    if let Some(stalled) = stalled.filter(|_| !phase.is_over()) {
        return format!("Blocked: {}", stalled.reason);
    }
    let types: &[ConditionType] = match phase {
        Phase::Starting => &[ConditionType::CanaryReady, ConditionType::Traffic],
        Phase::Validating if awaits_only_approval(seen, status) && status.held_since.is_none() => {
            return "Waiting for approval".into();
        }
        Phase::Validating => &[ConditionType::Running],
        Phase::Promoting => &[ConditionType::DeploymentUpdated],
        Phase::Scheduled | Phase::Failing | Phase::Succeeded | Phase::Failed => &[],
    };
    let reasons = types.iter().filter_map(|type_| Some(&status.condition(*type_)?.reason));
    let waits = reasons.into_iter().find(|reason| !reason.is_ordinary());
    waits.map_or_else(|| phase.as_str().into(), |reason| format!("{}: {reason}", phase.as_str()))
}

/// Is a manual verdict, for which there is no deadline, all that is missing?
pub(super) fn awaits_only_approval(seen: &Observed, status: &KanaryDeploymentStatus) -> bool {
    let validation = &seen.kanary.spec.validation;
    let default = validation.manual.as_ref().and_then(|manual| manual.status_after_deadline);
    let counts = |given: Option<Given<'_>>| given.is_some_and(|given| given.counts(status));
    let has_no_deadline = |name: &str, item: &Item| {
        let own = item.manual.as_ref().filter(|manual| !counts(given::on_item(name, manual)));
        own.is_some_and(|manual| manual.status_after_deadline.or(default).unwrap_or_default() == DefaultStatus::None)
    };
    let items = validation.named_items();
    !counts(given::on_run(&seen.kanary).filter(|given| given.verdict == ManualStatus::Valid))
        && items.iter().all(|(_, item)| item.manual.is_some())
        && items.iter().any(|(name, item)| has_no_deadline(name, item))
}

/// A time as messages give it, in seconds.
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
