//! What makes a resource impossible to serve as it is, beyond what the CRD's rules can see. Nothing is created meanwhile.

use super::children;
use crate::{api::names, canary::Withheld, decision::Observed, objects::Object, validation::promql};

/// Something that the user must change before the run can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word.
    pub reason: &'static str,
    /// One sentence that says what to do.
    pub message: String,
}

/// What the user must change, if anything.
#[must_use]
pub(super) fn find(seen: &Observed, withheld: &Withheld) -> Option<Refusal> {
    let refuse = |reason, message| Some(Refusal { reason, message });
    let template = &seen.kanary.spec.template;
    if let Some(other) = template.namespace().filter(|namespace| *namespace != seen.kanary.namespace()) {
        return refuse(
            "ForeignNamespace",
            format!(
                "spec.template.metadata.namespace: is {other}, but the canary runs beside its KanaryDeployment; leave it out"
            ),
        );
    }
    if names::base(&seen.kanary) == names::canary(&seen.kanary) {
        return refuse(
            "NameTaken",
            "spec.deploymentName: the base has the canary's own name; rename this KanaryDeployment".into(),
        );
    }
    if let Some((base, other)) = seen.base.as_deref().and_then(|base| Some((base, base.kanary_owners().next()?))) {
        return refuse(
            "NameTaken",
            format!(
                "spec.deploymentName: Deployment {} is the canary of KanaryDeployment {other}; name the one in production",
                base.name()
            ),
        );
    }
    if let Some(taken) = children::taken(seen) {
        return refuse(
            "NameTaken",
            format!(
                "{} {} exists and was not made by this KanaryDeployment; remove it, or choose another name",
                taken.kind.as_str(),
                taken.name
            ),
        );
    }
    if let Some(objection) = promql::objection(seen) {
        return refuse(objection.reason, format!("spec.validation.items: {}", objection.message));
    }
    let claim = withheld.unavoidable.as_ref()?;
    refuse(
        "SelectorTooWide",
        format!("{claim} selects the canary's pods whatever labels they have; make it ask for a label"),
    )
}
