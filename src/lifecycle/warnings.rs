//! What a run warns of once, when its base is pinned: other objects that the canary affects, and what of its template a
//! canary beside the base breaks, and queries that only the server can check.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use crate::{
    api::{Reason, names},
    canary::hazards,
    decision::{Notice, Observed},
    objects::{Object, map_selects},
    traffic,
    validation::promql,
};

/// All warnings of this run.
pub(super) fn warnings(seen: &Observed, facts: &Facts) -> Vec<Notice> {
    let mut labels = seen.kanary.spec.template.pod_labels();
    let unselected = labels_withheld(seen, facts, &labels);
    labels.retain(|key, _| !facts.withheld.keys.contains(key));
    labels.extend(seen.service().map(|service| service.spec.selector.clone()).unwrap_or_default());
    let joins = seen.kanary.spec.traffic.source.joins_production();
    let is_counted = joins && traffic::counts_canary(seen, &facts.withheld);
    let counted =
        if is_counted { [counted_by_autoscaler(seen, facts), counted_by_budget(seen, &labels)] } else { [None, None] };
    let others = if joins { joins_others(seen, &labels) } else { None };
    let undeclared = traffic::undeclared_port(seen).map(|note| warning(Reason::PortUndeclared, note));
    let excluded = traffic::excluding_subset(seen, &facts.withheld);
    let excluded = excluded.map(|note| warning(Reason::SubsetExcludesCanary, note));
    let hazards = [runs_beside(seen), labels_are_read(seen, facts), base_is_managed(seen)];
    let all = [unselected].into_iter().chain(counted).chain([others, undeclared, excluded]).chain(hazards);
    let queries = promql::remarks(seen).into_iter().map(|remark| warning(remark.reason, remark.message));
    all.flatten().chain(queries).collect()
}

/// Other Services that select by a part of the labels: they get the canary with the production Service.
fn joins_others(seen: &Observed, in_production: &BTreeMap<String, String>) -> Option<Notice> {
    let named = [seen.kanary.spec.service_name.clone(), Some(names::kanary_service(&seen.kanary))];
    let is_other = |name: &str| !named.iter().flatten().any(|known| known == name);
    let others = seen.services.iter().filter(|service| map_selects(&service.spec.selector, in_production));
    let names: BTreeSet<&str> = others.map(|service| service.name()).filter(|name| is_other(name)).collect();
    if names.is_empty() {
        return None;
    }
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let note = format!("while canary pods are in production, these Services select them, too: {names}");
    Some(warning(Reason::JoinsOtherServices, note))
}

/// The base must not run twice, or both write into one volume.
fn runs_beside(seen: &Observed) -> Option<Notice> {
    let template = &seen.kanary.spec.template;
    let claims = hazards::shared_claims(template).into_iter().collect::<Vec<_>>().join(", ");
    let recreate = hazards::forbids_two(template);
    let note = match (recreate, claims.is_empty()) {
        (false, true) => return None,
        (true, true) => {
            "spec.template: strategy Recreate says that old and new pods never run at the same time, but a canary \
                         runs beside its base"
                .to_owned()
        }
        (_, false) => format!(
            "canary and base mount the same PersistentVolumeClaim for writing: {claims}; one that is ReadWriteOnce may keep the \
             canary from starting, and data that both write may be damaged"
        ),
    };
    Some(warning(Reason::SharesWithBase, note))
}

fn labels_are_read(seen: &Observed, facts: &Facts) -> Option<Notice> {
    let read = hazards::labels_read(&seen.kanary.spec.template, &facts.withheld.keys);
    if read.is_empty() {
        return None;
    }
    let keys = read.into_iter().collect::<Vec<_>>().join(", ");
    let note = format!(
        "the pods of spec.template read the labels {keys} (fieldRef), which canary pods do not have until they are in production; \
         set a variable with the value instead"
    );
    Some(warning(Reason::WithheldLabelRead, note))
}

/// What made the base, or writes it, may write its own template again.
fn base_is_managed(seen: &Observed) -> Option<Notice> {
    let base = seen.live_base()?;
    let owners = base.metadata.owner_references.iter().flatten();
    let owner =
        owners.filter(|owner| owner.controller == Some(true)).map(|owner| format!("{} {}", owner.kind, owner.name));
    let tool = base.last_manager.as_deref().filter(|manager| TOOLS.contains(manager));
    let by = owner.into_iter().next().or_else(|| tool.map(|tool| format!("the field manager {tool}")))?;
    let note = format!(
        "Deployment {} is managed by {by}, which may take a promotion back; write the promoted template there, too, or see \
         kubectl kanary gitops-ignore",
        base.name()
    );
    Some(warning(Reason::BaseManaged, note))
}

/// Field managers of tools that write a Deployment again and again.
const TOOLS: [&str; 4] = ["helm", "argocd-controller", "kustomize-controller", "helm-controller"];

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
