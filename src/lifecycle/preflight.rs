//! Checks of a resource beyond what the CRD's rules can see. While one of them fails, nothing is created.

use super::{children, neighbours};
use crate::{
    api::{Explanation, Reason, names},
    canary::Withheld,
    decision::Observed,
    objects::{Object, Unreadable},
    traffic::{self, Traffic},
    validation::promql,
};

/// One check: what a user must change, if anything.
type Check = fn(&Observed, &Withheld, &Traffic) -> Option<Explanation>;

/// In this order: the first that fails is reported.
const CHECKS: [Check; 12] = [
    // Nothing is decided on what is there and cannot be read.
    |seen, _, _| seen.unreadable.first().map(Unreadable::explain),
    // The canary runs beside its KanaryDeployment, so a template of another namespace is a mistake.
    |seen, _, _| foreign_namespace(seen),
    // The canary Deployment must not replace the base.
    |seen, _, _| base_is_the_canary(seen),
    // A base that another KanaryDeployment made is removed with its run.
    |seen, _, _| base_is_another_canary(seen),
    // Pods of the base that are labelled as canary pods would be taken for these.
    |seen, _, _| base_is_marked(seen),
    // Users expect an update, and not the end of production.
    |seen, _, _| scales_to_zero(seen),
    // A typing error must not make production pods of an unproven template.
    |seen, _, _| neighbours::production_elsewhere(seen),
    // The canary would be all of production.
    |seen, _, _| base_has_no_pods(seen),
    // Nothing that exists already is taken over.
    |seen, _, traffic| name_is_taken(seen, traffic),
    // A query that cannot be sent, or that decides nothing, is a mistake that no result would show.
    |seen, _, _| promql::lint(seen).map(|why| why.prefixed("spec.validation.items: ")),
    // What would be promoted must not take production's pods from a Service, or from a subset that a mesh sends requests to.
    |seen, _, _| traffic::loss(seen),
    // A pod that is selected whatever its labels would be in production from its first moment.
    |_, withheld, _| selector_too_wide(withheld),
];

/// What the user must change, if anything.
#[must_use]
pub(super) fn find(seen: &Observed, withheld: &Withheld, traffic: &Traffic) -> Option<Explanation> {
    CHECKS.iter().find_map(|check| check(seen, withheld, traffic))
}

fn foreign_namespace(seen: &Observed) -> Option<Explanation> {
    let other = seen.kanary.spec.template.namespace()?;
    if other == seen.kanary.namespace() {
        return None;
    }
    let fix = "the canary runs in the namespace of its KanaryDeployment; remove the field";
    let message = format!("spec.template.metadata.namespace is {other}, but {fix}");
    Some(Explanation::new(Reason::ForeignNamespace, message))
}

fn base_is_the_canary(seen: &Observed) -> Option<Explanation> {
    if names::base(&seen.kanary) != names::canary(&seen.kanary) {
        return None;
    }
    let message = "spec.deploymentName: the base has the name of the canary; rename this KanaryDeployment";
    Some(Explanation::new(Reason::NameTaken, message))
}

fn base_is_another_canary(seen: &Observed) -> Option<Explanation> {
    let base = seen.base.as_deref()?;
    let other = base.kanary_owners().next()?;
    let message = format!(
        "spec.deploymentName: Deployment {} is the canary of KanaryDeployment {other}; name the Deployment in production",
        base.name()
    );
    Some(Explanation::new(Reason::NameTaken, message))
}

fn base_is_marked(seen: &Observed) -> Option<Explanation> {
    let base = seen.live_base().filter(|base| base.spec.template.labels.contains_key(names::CANARY_LABEL))?;
    let message = format!(
        "Deployment {} (spec.deploymentName) gives its pods the label {}, by which canary pods are known; remove it from the \
         Deployment's template",
        base.name(),
        names::CANARY_LABEL
    );
    Some(Explanation::new(Reason::NameTaken, message))
}

fn scales_to_zero(seen: &Observed) -> Option<Explanation> {
    let base = seen.live_base().filter(|base| base.spec.replicas > 0)?;
    let is_zero = seen.kanary.spec.template.spec().get("replicas").and_then(serde_json::Value::as_i64) == Some(0);
    let message = || {
        format!(
            "spec.template.spec.replicas is 0, so the promotion would take all {} pods of Deployment {} away; remove the field, so \
             that the number stays",
            base.spec.replicas,
            base.name()
        )
    };
    is_zero.then(|| Explanation::new(Reason::PromotionRefused, message()))
}

/// An autoscaler or a person may scale it to zero while there are no requests; the first one would meet the canary.
fn base_has_no_pods(seen: &Observed) -> Option<Explanation> {
    let base = seen.live_base().filter(|base| base.spec.replicas == 0)?;
    if !seen.kanary.spec.traffic.source.joins_production() {
        return None;
    }
    let message = format!(
        "spec.traffic.source: Deployment {name} is scaled to 0, so the canary would get all requests of production; scale {name} \
         up, or use source: kanary-service",
        name = base.name()
    );
    Some(Explanation::new(Reason::BaseScaledToZero, message))
}

fn name_is_taken(seen: &Observed, traffic: &Traffic) -> Option<Explanation> {
    let taken = children::taken(seen, traffic)?;
    let message = format!(
        "{} {} exists and is not owned by this KanaryDeployment; delete it, or choose another name",
        taken.kind.as_str(),
        taken.name
    );
    Some(Explanation::new(Reason::NameTaken, message))
}

fn selector_too_wide(withheld: &Withheld) -> Option<Explanation> {
    let claim = withheld.unavoidable.as_ref()?;
    let message = format!("{claim} selects the canary's pods whatever labels they have; make it require a label");
    Some(Explanation::new(Reason::SelectorTooWide, message))
}
