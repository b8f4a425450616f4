//! The events of what happens within a phase, and the warnings about other objects that a canary affects.

use std::collections::BTreeMap;

use super::{base, facts::Facts};
use crate::{
    api::{Condition, ConditionType, KanaryDeploymentStatus, Reason},
    decision::{Notice, Observed},
    objects::Object,
    traffic,
    validation::promql,
};

/// The conditions that are worth an event once they have this reason, and whether it is a warning.
const NEWS: [(ConditionType, Reason); 6] = [
    (ConditionType::DeploymentUpdated, Reason::Reverted),
    (ConditionType::DeploymentUpdated, Reason::BasePaused),
    (ConditionType::DeploymentUpdated, Reason::BaseRolloutStalled),
    (ConditionType::Running, Reason::AwaitingEvidence),
    (ConditionType::Running, Reason::Paused),
    (ConditionType::Traffic, Reason::MirrorReverted),
];

/// What happened within a phase and deserves an event.
pub(super) fn within(
    seen: &Observed,
    before: &[Condition],
    status: &KanaryDeploymentStatus,
    facts: &Facts,
) -> Vec<Notice> {
    let news = NEWS.iter().filter_map(|(type_, reason)| news(before, status, *type_, reason));
    let is_pinned_before = base::is_pinned(seen.status()) && seen.status().run == status.run;
    let is_first_pin = base::is_pinned(status) && !is_pinned_before;
    promoted(before, status)
        .into_iter()
        .chain(news)
        .chain(copies_writes(seen, before, status, facts))
        .chain(base_created(seen, status))
        .chain(problem(before, status))
        .chain(if is_first_pin { warnings(seen, facts) } else { Vec::new() })
        .collect()
}

fn has(conditions: &[Condition], type_: ConditionType, reason: &Reason) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.reason == *reason)
}

fn news(
    before: &[Condition],
    status: &KanaryDeploymentStatus,
    type_: ConditionType,
    reason: &Reason,
) -> Option<Notice> {
    let now = status.condition(type_)?;
    if now.reason != *reason || has(before, type_, reason) {
        return None;
    }
    Some(Notice { warning: true, reason: reason.clone(), note: now.message.clone() })
}

/// What keeps the run from going on, once for each reason.
fn problem(before: &[Condition], status: &KanaryDeploymentStatus) -> Option<Notice> {
    let problem = status.problem()?;
    // The verdict of a failed run has an event of its own.
    let verdict = status.condition(ConditionType::Failed);
    let is_verdict = |failed: &Condition| (&failed.reason, &failed.message) == (&problem.reason, &problem.message);
    if verdict.is_some_and(is_verdict) || has(before, problem.type_, &problem.reason) {
        return None;
    }
    Some(Notice { warning: true, reason: problem.reason.clone(), note: problem.message.clone() })
}

/// Recorded once, when the base has the template; how its rollout goes on is in the status.
fn promoted(before: &[Condition], status: &KanaryDeploymentStatus) -> Option<Notice> {
    let type_ = ConditionType::DeploymentUpdated;
    let now = status.condition(type_)?;
    let is_news = matches!(now.reason, Reason::RollingOut | Reason::Promoted);
    let was_reported = [Reason::RollingOut, Reason::Promoted, Reason::BaseRolloutStalled];
    if !is_news || was_reported.iter().any(|reason| has(before, type_, reason)) {
        return None;
    }
    Some(Notice { warning: false, reason: Reason::Promoted, note: now.message.clone() })
}

/// Recorded once, when the base is first seen.
fn base_created(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Notice> {
    let created = |status: &KanaryDeploymentStatus| status.base.clone().filter(|base| base.created);
    let base = created(status)?;
    if created(seen.status()).is_some_and(|before| before.name == base.name) {
        return None;
    }
    let note = format!("Deployment {} did not exist and was created from spec.template", base.name);
    Some(Notice { warning: false, reason: Reason::BaseCreated, note })
}

/// Recorded once, when the first route contains the mirror.
fn copies_writes(
    seen: &Observed,
    before: &[Condition],
    status: &KanaryDeploymentStatus,
    facts: &Facts,
) -> Option<Notice> {
    let has_routes =
        |status: &KanaryDeploymentStatus| status.canary.as_ref().is_some_and(|canary| !canary.routes.is_empty());
    let begins = has_routes(status) && !has_routes(seen.status());
    if !begins || has(before, ConditionType::Traffic, &Reason::MirrorReverted) {
        return None;
    }
    let note = facts.traffic.copies_writes()?;
    Some(Notice { warning: true, reason: Reason::MirrorCopiesWrites, note })
}

/// Which other objects a canary affects: what counts its pods as the base's, and what no longer selects them; and queries
/// that only the server can check.
fn warnings(seen: &Observed, facts: &Facts) -> Vec<Notice> {
    let mut labels = seen.kanary.spec.template.pod_labels();
    let unselected = labels_withheld(seen, facts, &labels);
    labels.retain(|key, _| !facts.withheld.keys.contains(key));
    labels.extend(seen.service().map(|service| service.spec.selector.clone()).unwrap_or_default());
    let joins = seen.kanary.spec.traffic.source.joins_production() && traffic::counts_canary(seen, &facts.withheld);
    let counted =
        if joins { [counted_by_autoscaler(seen, facts), counted_by_budget(seen, &labels)] } else { [None, None] };
    let undeclared = traffic::undeclared_port(seen).map(|note| warning(Reason::PortUndeclared, note));
    let queries = promql::remarks(seen).into_iter().map(|remark| warning(remark.reason, remark.message));
    let counted = counted.into_iter().flatten();
    unselected.into_iter().chain(counted).chain(undeclared).chain(queries).collect()
}

fn warning(reason: Reason, note: String) -> Notice {
    Notice { warning: true, reason, note }
}

const BUDGET: &str = "PodDisruptionBudget";

fn labels_withheld(seen: &Observed, facts: &Facts, full: &BTreeMap<String, String>) -> Option<Notice> {
    let mut bare = full.clone();
    bare.retain(|key, _| !facts.withheld.keys.contains(key));
    let others = seen.pod_selectors.iter().filter(|other| other.kind() != BUDGET);
    let lost: Vec<String> = others
        .filter(|other| other.selects(full) && !other.selects(&bare))
        .map(|other| format!("{} {}", other.kind(), other.name()))
        .collect();
    if lost.is_empty() {
        return None;
    }
    let withheld = facts.withheld.keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let note =
        format!("canary pods do not have the labels {withheld}, so these do not select them: {}", lost.join(", "));
    Some(warning(Reason::LabelsWithheld, note))
}

fn counted_by_autoscaler(seen: &Observed, facts: &Facts) -> Option<Notice> {
    if facts.traffic.obstacle().is_some() {
        return None;
    }
    let name = seen.base_autoscaler()?.name();
    let note =
        format!("while canary pods are in production, HorizontalPodAutoscaler {name} counts them as pods of the base");
    Some(warning(Reason::BaseHPACountsCanary, note))
}

fn counted_by_budget(seen: &Observed, in_production: &BTreeMap<String, String>) -> Option<Notice> {
    let mut budgets = seen.pod_selectors.iter().filter(|other| other.kind() == BUDGET);
    let name = budgets.find(|budget| budget.selects(in_production))?.name();
    let note = format!("while canary pods are in production, PodDisruptionBudget {name} counts them");
    Some(warning(Reason::PDBCountsCanary, note))
}
