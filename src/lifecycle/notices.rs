//! The events of what happens within a phase, and the warnings about who is affected without being asked.

use super::{Facts, base};
use crate::{
    api::{Condition, ConditionStatus, ConditionType, KanaryDeploymentStatus},
    decision::{Notice, Observed},
    objects::Object,
    traffic,
};

/// What happened within a phase and deserves an event.
pub(super) fn within(
    seen: &Observed,
    before: &[Condition],
    status: &KanaryDeploymentStatus,
    facts: &Facts,
) -> Vec<Notice> {
    let was = |type_: ConditionType, reason: &str| before.iter().any(|c| c.type_ == type_ && c.reason == reason);
    let is =
        |type_: ConditionType, reason: &str| status.conditions.iter().find(|c| c.type_ == type_ && c.reason == reason);
    let news = |type_, reason: &str, warning| {
        let condition = is(type_, reason).filter(|_| !was(type_, reason))?;
        Some(Notice { warning, reason: reason.to_owned(), note: condition.message.clone() })
    };
    let errored =
        status.conditions.iter().find(|c| c.type_ == ConditionType::Errored && c.status == ConditionStatus::True);
    let error = errored.filter(|now| !was(ConditionType::Errored, &now.reason));
    let is_pinned_before = base::is_pinned(seen.status()) && seen.status().run == status.run;
    let first_pin = base::is_pinned(status) && !is_pinned_before;
    [
        promoted(before, status),
        news(ConditionType::DeploymentUpdated, "Reverted", true),
        news(ConditionType::DeploymentUpdated, "BasePaused", true),
        news(ConditionType::DeploymentUpdated, "BaseRolloutStalled", true),
        news(ConditionType::Running, "WaitsForEvidence", true),
        news(ConditionType::Running, "Held", true),
        news(ConditionType::Traffic, "MirrorReverted", true),
        copies_writes(seen, status).filter(|_| !was(ConditionType::Traffic, "MirrorReverted")),
        base_created(seen, status),
        error.map(|now| Notice { warning: true, reason: now.reason.clone(), note: now.message.clone() }),
    ]
    .into_iter()
    .flatten()
    .chain(if first_pin { pod_selectors(seen, facts) } else { Vec::new() })
    .collect()
}

/// Said once, when the base has the template; how its rollout goes on is in the status.
fn promoted(before: &[Condition], status: &KanaryDeploymentStatus) -> Option<Notice> {
    let says = |conditions: &[Condition], reasons: &[&str]| {
        let updated = conditions.iter().find(|c| c.type_ == ConditionType::DeploymentUpdated)?;
        reasons.contains(&updated.reason.as_str()).then(|| updated.message.clone())
    };
    let note = says(&status.conditions, &["RollingOut", "Promoted"])?;
    let is_said = says(before, &["RollingOut", "Promoted", "BaseRolloutStalled"]).is_some();
    (!is_said).then(|| Notice { warning: false, reason: "Promoted".into(), note })
}

/// Said once, when the base is first seen.
fn base_created(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Notice> {
    let created = |status: &KanaryDeploymentStatus| status.base.clone().filter(|base| base.created);
    let base = created(status).filter(|base| created(seen.status()).is_none_or(|before| before.name != base.name))?;
    let note = format!("Deployment {} did not exist and was created from spec.template", base.name);
    Some(Notice { warning: false, reason: "BaseCreated".into(), note })
}

/// Said once, when the first route carries the mirror.
fn copies_writes(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Notice> {
    let carried =
        |status: &KanaryDeploymentStatus| status.canary.as_ref().is_some_and(|canary| !canary.routes.is_empty());
    let begins = carried(status) && !carried(seen.status());
    let note = traffic::mirror::copies_writes(seen).filter(|_| begins)?;
    Some(Notice { warning: true, reason: "MirrorCopiesWrites".into(), note })
}

/// Who is affected without being asked: what counts canary pods as the base's, and what no longer selects them.
fn pod_selectors(seen: &Observed, facts: &Facts) -> Vec<Notice> {
    let warn = |reason: &str, note| Notice { warning: true, reason: reason.into(), note };
    let full = seen.kanary.spec.template.pod_labels();
    let mut bare = full.clone();
    bare.retain(|key, _| !facts.withheld.keys.contains(key));
    let lost: Vec<String> = seen
        .pod_selectors
        .iter()
        .filter(|other| other.kind() != "PodDisruptionBudget" && other.selects(&full) && !other.selects(&bare))
        .map(|other| format!("{} {}", other.kind(), other.name()))
        .collect();
    let withheld: Vec<&str> = facts.withheld.keys.iter().map(String::as_str).collect();
    let unselected = (!lost.is_empty()).then(|| {
        warn(
            "LabelsWithheld",
            format!(
                "canary pods do not carry {}, so these do not select them: {}",
                withheld.join(", "),
                lost.join(", ")
            ),
        )
    });
    let joins = seen.kanary.spec.traffic.source.joins_production() && traffic::counts_canary(seen, &facts.withheld);
    let counted = seen.base_autoscaler().filter(|_| joins && facts.obstacle.is_none()).map(|hpa| {
        warn(
            "BaseHPACountsCanary",
            format!(
                "while canary pods are in production, HorizontalPodAutoscaler {} counts them among those of the base",
                hpa.name()
            ),
        )
    });
    let mut in_production = bare;
    in_production.extend(seen.service().map(|service| service.spec.selector.clone()).unwrap_or_default());
    let budgets = seen
        .pod_selectors
        .iter()
        .filter(|other| joins && other.kind() == "PodDisruptionBudget" && other.selects(&in_production));
    let budget = budgets
        .map(|budget| {
            warn(
                "PDBCountsCanary",
                format!("while canary pods are in production, PodDisruptionBudget {} counts them", budget.name()),
            )
        })
        .next();
    unselected.into_iter().chain(counted).chain(budget).collect()
}
