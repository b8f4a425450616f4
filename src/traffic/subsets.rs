//! What subsets of a mesh do to a run: requests that a promotion would leave without pods, and requests that never reach a
//! canary in production.
//!
//! Which routes and subsets there are is the business of `routes::subsets`.

use super::routes::subsets::{self, ToSubset};
use crate::{
    api::{Explanation, Reason},
    canary::{self, Withheld},
    decision::Observed,
    objects::{Labels, Object, Service},
};

/// Which subset of this Service's pods the base is in, is sent requests, and would lose all pods of the base by a promotion.
/// A base that is outside has nothing to lose.
pub fn loss(seen: &Observed, service: &Service, base: &Labels, promoted: &Labels) -> Option<Explanation> {
    let is_lost = |to: &ToSubset| to.contains(base) && !to.contains(promoted);
    let to = subsets::to_subsets(seen, service.name()).into_iter().find(is_lost)?;
    let home = seen.kanary.namespace();
    let message = format!(
        "spec.template: its pods do not have {}, by which {} selects the pods of Deployment {}; {} sends requests for Service \
         {} there, so after a promotion they would find none of them; keep the label in the template, or first change the \
         subset or the route",
        to.missing(promoted),
        to.title(home),
        seen.live_base()?.name(),
        to.route_title(home),
        service.name(),
    );
    Some(Explanation::new(Reason::SubsetLosesPods, message))
}

/// Which route of production sends no request to canary pods that are in production, because of their labels. Only clients
/// of the mesh take it, and other routes may lead to the canary: so this is said, and nothing is refused.
pub fn excluding(seen: &Observed, withheld: &Withheld) -> Option<String> {
    if !seen.kanary.spec.traffic.source.joins_production() {
        return None;
    }
    let service = seen.service()?;
    let labels = in_production(seen, withheld, service);
    let closed = subsets::closed_rules(seen, service.name());
    let excludes = |rule: &Vec<ToSubset>| !rule.iter().any(|to| to.contains(&labels));
    let rule = closed.into_iter().find(excludes)?;
    let (to, home) = (rule.first()?, seen.kanary.namespace());
    Some(format!(
        "{} sends no requests to the canary: {} requires {}, which its pods do not have",
        to.route_title(home),
        to.title(home),
        to.missing(&labels)
    ))
}

/// The labels of a canary pod in production: of the template, of the Service's selector, and what a webhook added to it.
fn in_production(seen: &Observed, withheld: &Withheld, service: &Service) -> Labels {
    let pod = seen.live_pods().find(|pod| canary::is_own(seen, pod));
    let mut labels = pod.map(Object::labels).unwrap_or_default();
    labels.extend(canary::pod_labels(&seen.kanary, withheld));
    labels.extend(service.spec.selector.clone());
    labels
}
