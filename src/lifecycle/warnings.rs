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
    let in_production = if joins { [waits_for_gate(seen), is_uneven(seen)] } else { [None, None] };
    let hazards =
        [runs_beside(seen), labels_are_read(seen, facts), scheduled_apart(seen, facts), base_is_managed(seen)];
    let all = [unselected].into_iter().chain(counted).chain([others, undeclared, excluded]);
    let all = all.chain(in_production).chain(hazards);
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

/// The base must not run twice, or both use what only one may.
fn runs_beside(seen: &Observed) -> Option<Notice> {
    let template = &seen.kanary.spec.template;
    let shared = |names: BTreeSet<String>, what: &str, then: &str| {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| format!("canary and base {what}: {names}; {then}"))
    };
    let notes = [
        shared(
            hazards::shared_claims(template),
            "mount the same PersistentVolumeClaim for writing",
            "one that is ReadWriteOnce may keep the canary from starting, and data that both write may be damaged",
        ),
        shared(
            hazards::shared_devices(template),
            "use the same ResourceClaim",
            "a device that is not shared keeps the canary from starting; use a resourceClaimTemplateName",
        ),
        shared(
            hazards::shared_folders(template),
            "mount the same hostPath for writing",
            "data that both write on one node may be damaged",
        ),
    ];
    let mut notes: Vec<String> = notes.into_iter().flatten().collect();
    if notes.is_empty() && hazards::forbids_two(template) {
        notes.push(
            "spec.template: strategy Recreate says that old and new pods never run at the same time, but a canary runs \
             beside its base"
                .to_owned(),
        );
    }
    (!notes.is_empty()).then(|| warning(Reason::SharesWithBase, notes.join("; ")))
}

/// A load balancer's controller sets the condition of pods that the Service selects; a canary pod is selected once it is ready.
fn waits_for_gate(seen: &Observed) -> Option<Notice> {
    let gates = hazards::readiness_gates(&seen.kanary.spec.template);
    if gates.is_empty() {
        return None;
    }
    let service = seen.kanary.spec.service_name.as_deref().unwrap_or_default();
    let note = format!(
        "spec.template has the readiness gate {}; if it opens only for pods that Service {service} selects, the canary never \
         gets ready, because its pods join the Service once they are ready; use source: kanary-service, or remove the gate",
        gates.join(", ")
    );
    Some(warning(Reason::ReadinessGated, note))
}

/// The canary's share of the requests is meant to be that of its pods.
fn is_uneven(seen: &Observed) -> Option<Notice> {
    let service = seen.service()?;
    let fields = service.spec.uneven();
    if fields.is_empty() {
        return None;
    }
    let note = format!(
        "Service {} has {}, so canary pods do not get the share of requests that they have of the pods, and maybe none",
        service.name(),
        fields.join(", ")
    );
    Some(warning(Reason::UnevenTraffic, note))
}

fn scheduled_apart(seen: &Observed, facts: &Facts) -> Option<Notice> {
    let full = seen.kanary.spec.template.pod_labels();
    let mut bare = full.clone();
    bare.retain(|key, _| !facts.withheld.keys.contains(key));
    let fields = hazards::schedules_by(&seen.kanary.spec.template, &full, &bare);
    if fields.is_empty() {
        return None;
    }
    let keys = facts.withheld.keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let note = format!(
        "{} of spec.template do not count canary pods, which are scheduled without the labels {keys}; select by another label if \
         they should",
        fields.into_iter().collect::<Vec<_>>().join(", ")
    );
    Some(warning(Reason::ScheduledApart, note))
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
