//! A base that does not exist: is production there already, under another name? Then nothing is created, because the pods of an
//! unproven template would get production's requests at once.
//!
//! Only Deployments are compared; what else may have made the pods of a Service is not observed.

use crate::{
    api::{Explanation, Reason, names},
    decision::Observed,
    objects::{Deployment, Object, map_selects, selects},
};

/// Why the base is not created from the template. `spec.createBase` says that it is meant.
pub(super) fn production_elsewhere(seen: &Observed) -> Option<Explanation> {
    let would_create = seen.base.is_none() && seen.status().base.is_none();
    if !would_create || seen.kanary.spec.create_base {
        return None;
    }
    let name = names::base(&seen.kanary);
    let (likely, because) =
        seen.neighbours.iter().find_map(|other| Some((other.name(), belongs(seen, other)?))).or_else(|| {
            let similar = seen.neighbours.iter().map(|other| other.name()).find(|other| is_similar(&name, other))?;
            Some((similar, "has almost the same name".to_owned()))
        })?;
    let fix = "set spec.createBase: true to create it all the same, or delete this KanaryDeployment and create one that names";
    let message = format!(
        "Deployment {name} (spec.deploymentName) does not exist, and Deployment {likely} {because}; {fix} {likely}"
    );
    Some(Explanation::new(Reason::BaseNotFound, message))
}

/// Does this Deployment have production's pods?
fn belongs(seen: &Observed, other: &Deployment) -> Option<String> {
    if let Some(service) =
        seen.service().filter(|service| map_selects(&service.spec.selector, &other.spec.template.labels))
    {
        return Some(format!("has the pods of Service {} (spec.serviceName)", service.name()));
    }
    let labels = seen.kanary.spec.template.pod_labels();
    selects(&other.spec.selector, &labels).then(|| "selects the pods of spec.template".to_owned())
}

/// Do the names differ by a letter or two? Of short names by one.
fn is_similar(one: &str, other: &str) -> bool {
    let most = if one.len().min(other.len()) < 5 { 1 } else { 2 };
    strsim::damerau_levenshtein(one, other) <= most
}
