//! Requests through Services: what is wrong with the production Service, and whether the canary's pods are selected.

use super::{kanary_service, ports, production, promotion, status::TrafficStatus, subsets};
use crate::{
    api::{ConditionStatus, Explanation, Reason, Source, names},
    canary::{self, Withheld},
    decision::Observed,
    objects::{Object, Service, selects},
};

/// Labels that identify the owner of a pod: with another value its ReplicaSet, or its canary, would lose it and create
/// another.
const OF_ONE_OWNER: [&str; 2] = [names::CANARY_LABEL, "pod-template-hash"];

/// One check of the production Service: what is wrong with it, and the fix.
type Check = fn(&Service, Source) -> Option<String>;

/// In this order: the first that fails is reported.
const CHECKS: [Check; 4] = [external_name, no_selector, selects_by_owner, no_ports];

/// Why the production Service cannot be used with this source.
pub fn unusable(seen: &Observed) -> Option<Explanation> {
    let source = seen.kanary.spec.traffic.source;
    let name = seen.kanary.spec.service_name.as_deref().unwrap_or_default();
    let Some(service) = seen.service() else {
        let message = format!("waiting for Service {name} (spec.serviceName) to exist");
        return Some(Explanation::new(Reason::ServiceNotFound, message));
    };
    let because = |reason, why| Explanation::new(reason, format!("Service {name} (spec.serviceName) {why}"));
    let unsupported =
        CHECKS.iter().find_map(|check| check(service, source)).or_else(|| promotion::unrelated(seen, service));
    unsupported
        .map(|why| because(Reason::ServiceUnsupported, why))
        .or_else(|| ports::unreachable(seen, service).map(|why| because(Reason::PortNotFound, why)))
}

fn external_name(service: &Service, _: Source) -> Option<String> {
    if service.spec.type_.as_deref() != Some("ExternalName") {
        return None;
    }
    Some("is of type ExternalName and has no pods; name a Service with a selector".into())
}

fn no_selector(service: &Service, _: Source) -> Option<String> {
    if !service.spec.selector.is_empty() {
        return None;
    }
    Some("has no selector, so no pod can join it; name a Service with a selector".into())
}

fn selects_by_owner(service: &Service, source: Source) -> Option<String> {
    let key = service.spec.selector.keys().find(|key| OF_ONE_OWNER.contains(&key.as_str()))?;
    if !source.joins_production() {
        return None;
    }
    Some(format!(
        "selects pods by {key}, which belongs to one owner, so canary pods cannot join; select by an application label"
    ))
}

fn no_ports(service: &Service, source: Source) -> Option<String> {
    if !source.has_kanary_service() || !service.spec.ports.is_empty() {
        return None;
    }
    Some("has no ports, so the kanary service cannot be created; add a port, or use source: service".into())
}

/// Kubernetes stops scaling two Deployments whose autoscalers count the same pods.
pub fn ambiguous(seen: &Observed, withheld: &Withheld) -> Option<Explanation> {
    let (scale, traffic) = (&seen.kanary.spec.scale, &seen.kanary.spec.traffic);
    if scale.hpa.is_none() || !traffic.source.joins_production() || !counts_canary(seen, withheld) {
        return None;
    }
    let message = format!(
        "spec.scale.hpa: canary pods in production match the selector of Deployment {}, which HorizontalPodAutoscaler {} \
         scales, so Kubernetes would stop scaling both; use spec.scale.static, or source: kanary-service",
        names::base(&seen.kanary),
        seen.base_autoscaler()?.name(),
    );
    Some(Explanation::new(Reason::AmbiguousHPA, message))
}

/// Does the base's selector match a canary pod in production?
#[must_use]
pub fn counts_canary(seen: &Observed, withheld: &Withheld) -> bool {
    let Some((service, base)) = seen.service().zip(seen.base.as_deref()) else { return false };
    let mut labels = canary::pod_labels(&seen.kanary, withheld);
    labels.extend(service.spec.selector.clone());
    selects(&base.spec.selector, &labels)
}

/// Do the Services that the source requests select the canary's pods?
pub fn status(seen: &Observed, withheld: &Withheld) -> TrafficStatus {
    let source = seen.kanary.spec.traffic.source;
    let is_on = (!source.joins_production() || production::all_in(seen))
        && (!source.has_kanary_service() || kanary_service::can_receive(seen));
    let services = names_of(seen, source);
    let names = services.join(" and ");
    let (noun, verb) = if services.len() == 1 { ("Service", "sends") } else { ("Services", "send") };
    if is_on {
        let but = subsets::excluding(seen, withheld).map_or_else(String::new, |why| format!("; but {why}"));
        let message = format!("{noun} {names} {verb} requests to the canary{but}{}", strangers(seen));
        TrafficStatus::new(ConditionStatus::True, Reason::On, message)
    } else {
        let message = format!("waiting for {noun} {names} to select the canary's pods");
        TrafficStatus::new(ConditionStatus::False, Reason::Pending, message)
    }
}

/// Pods that carry the canary's label and are none of its own: they are kept out of production.
fn strangers(seen: &Observed) -> String {
    let pod = seen.live_pods().filter(|pod| !canary::is_own(seen, pod)).map(Object::name).min();
    pod.map_or_else(String::new, |pod| {
        format!(
            "; pod {pod} has its label, but is not of its ReplicaSet, and does not count: remove the label {}",
            names::CANARY_LABEL
        )
    })
}

fn names_of(seen: &Observed, source: Source) -> Vec<String> {
    let production = if source.joins_production() { seen.kanary.spec.service_name.clone() } else { None };
    let own = if source.has_kanary_service() { Some(names::kanary_service(&seen.kanary)) } else { None };
    production.into_iter().chain(own).collect()
}
