//! What the Services of production select and reach: of the base as it is, and of what would be promoted.
//!
//! Not here: whether a Service can be used at all (`services`), and which labels a canary pod has (`production`).

use std::borrow::Cow;

use super::{ports, subsets};
use crate::{
    api::{Explanation, Reason},
    decision::Observed,
    objects::{Labels, Object, PodTemplate, Service, map_selects, of_pod_spec},
};

/// Why the production Service and the base do not belong together. A canary of another application must not answer its
/// requests, and no canary pod gets a label that pods of its template would not have.
pub fn unrelated(seen: &Observed, service: &Service) -> Option<String> {
    let selector = &service.spec.selector;
    if let Some(base) = seen.live_base() {
        let labels = &base.spec.template.labels;
        if !map_selects(selector, labels) {
            let (missing, name) = (missing(selector, labels), base.name());
            return Some(format!(
                "does not select the pods of Deployment {name}, which do not have {missing}; name the Service that sends \
                 production's requests to {name}, or correct spec.deploymentName"
            ));
        }
    }
    let must_select = seen.kanary.spec.traffic.source.joins_production() || seen.live_base().is_none();
    let labels = promoted_labels(seen);
    if !must_select || map_selects(selector, &labels) {
        return None;
    }
    let missing = missing(selector, &labels);
    Some(format!(
        "does not select the pods of spec.template, which do not have {missing}; add it to the template's pod labels"
    ))
}

/// Which Service, or which subset of its pods in a mesh, a promotion would leave without pods, or without a port.
#[must_use]
pub fn loss(seen: &Observed) -> Option<Explanation> {
    let is_refused = seen.fitting_dry_run().is_some_and(|dry_run| dry_run.outcome.is_err());
    if seen.kanary.spec.validation.no_update || is_refused {
        return None;
    }
    let base = seen.live_base()?;
    let labels = promoted_labels(seen);
    services_of_base(seen, &base.spec.template).find_map(|service| {
        let (name, selector) = (service.name(), &service.spec.selector);
        if !map_selects(selector, &labels) {
            let missing = missing(selector, &labels);
            let message = format!(
                "spec.template: its pods do not have {missing}, by which Service {name} selects the pods of Deployment {}, so \
                 after a promotion the Service would have none of them; add it to the template's pod labels, or change the \
                 selector first",
                base.name()
            );
            return Some(Explanation::new(Reason::ServiceLosesPods, message));
        }
        let port = ports::unreachable(seen, service);
        port.map(|why| Explanation::new(Reason::PortNotFound, format!("Service {name} {why}")))
            .or_else(|| subsets::loss(seen, service, &base.spec.template.labels, &labels))
    })
}

/// Whether the labels of the template are not enough to say that no Service, and no subset, loses pods: only a dry run shows
/// what admission webhooks add to it.
#[must_use]
pub fn needs_dry_run(seen: &Observed) -> bool {
    let is_by_label = |reason: &Reason| matches!(reason, Reason::ServiceLosesPods | Reason::SubsetLosesPods);
    seen.fitting_dry_run().is_none() && loss(seen).is_some_and(|why| is_by_label(&why.reason))
}

/// What a dry run shows of the base after a promotion.
fn dry_run(seen: &Observed) -> Option<&PodTemplate> {
    seen.fitting_dry_run()?.outcome.as_ref().ok()
}

/// The labels of the base's pods after a promotion, as far as they are known.
fn promoted_labels(seen: &Observed) -> Cow<'_, Labels> {
    dry_run(seen)
        .map_or_else(|| Cow::Owned(seen.kanary.spec.template.pod_labels()), |promoted| Cow::Borrowed(&promoted.labels))
}

/// The Services of other clients that select the pods of the base.
fn services_of_base<'a>(seen: &'a Observed, base: &PodTemplate) -> impl Iterator<Item = &'a Service> {
    let services = seen.services.iter().map(AsRef::as_ref).filter(|service| !seen.is_ours(*service));
    services.filter(|service| map_selects(&service.spec.selector, &base.labels))
}

/// The labels of the selector that these labels do not have, as `key=value`.
fn missing(selector: &Labels, labels: &Labels) -> String {
    let lacks = selector.iter().filter(|(key, value)| labels.get(*key) != Some(value));
    let pairs: Vec<String> = lacks.map(|(key, value)| format!("{key}={value}")).collect();
    let noun = if pairs.len() == 1 { "the label" } else { "the labels" };
    format!("{noun} {}", pairs.join(", "))
}

/// Which numbered port of a Service the base declares and the template does not. It may be served all the same, because
/// nothing requires a container to declare its ports; so it is a warning only.
#[must_use]
pub fn undeclared_port(seen: &Observed) -> Option<String> {
    let base = &seen.live_base()?.spec.template;
    let written = || of_pod_spec(&seen.kanary.spec.template.pod_template()["spec"]);
    let promoted = dry_run(seen).map_or_else(written, |promoted| promoted.ports.clone());
    services_of_base(seen, base).find_map(|service| {
        let number = ports::undeclared(service, &base.ports, &promoted)?;
        Some(format!(
            "Service {} sends requests to port {number}, which the base declares and spec.template does not; check that its \
             containers still serve it",
            service.name()
        ))
    })
}
