//! A base that does not exist: is production there already, under another name? Then nothing is created, because the pods of an
//! unproven template would get production's requests at once.

use crate::{
    api::{Explanation, Reason, names},
    decision::Observed,
    objects::{Deployment, Object, map_selects, selects},
};

/// Why the base is not created from the template. `spec.createBase` says that it is meant.
pub(super) fn production_elsewhere(seen: &Observed) -> Option<Explanation> {
    if !would_create(seen) {
        return None;
    }
    let name = names::base(&seen.kanary);
    let create = "set spec.createBase: true to create it all the same, or delete this KanaryDeployment";
    let because = match likely(seen, &name) {
        Some((likely, because)) => {
            format!("Deployment {likely} {because}; {create} and create one that names {likely}")
        }
        None => format!("{}; {create}: Kanary updates Deployments only", listed(seen)?),
    };
    let message = format!("Deployment {name} (spec.deploymentName) does not exist, and {because}");
    Some(Explanation::new(Reason::BaseNotFound, message))
}

/// Before the base is created, must the pods of the production Service be known?
#[must_use]
pub fn needs_endpoints(seen: &Observed) -> bool {
    would_create(seen) && seen.service().is_some_and(|service| !service.spec.selector.is_empty())
}

fn would_create(seen: &Observed) -> bool {
    seen.base.is_none() && seen.status().base.is_none() && !seen.kanary.spec.create_base
}

/// The Deployment that is meant, as it seems, and why.
fn likely<'a>(seen: &'a Observed, name: &str) -> Option<(&'a str, String)> {
    let belonging = seen.neighbours.iter().find_map(|other| Some((other.name(), belongs(seen, other)?)));
    belonging.or_else(|| {
        let similar = seen.neighbours.iter().map(|other| other.name()).find(|other| is_similar(name, other))?;
        Some((similar, "has almost the same name".to_owned()))
    })
}

/// The pods of a StatefulSet, or of any other workload, that production has.
fn listed(seen: &Observed) -> Option<String> {
    let service = seen.service()?.name();
    let is_canary = |name: &&String| seen.pods.iter().any(|pod| pod.name() == name.as_str());
    let pod = seen.endpoints.iter().flatten().find(|name| !is_canary(name))?;
    Some(format!("Service {service} (spec.serviceName) has pods of another workload, such as {pod}"))
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
