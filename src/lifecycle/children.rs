//! The canary's objects together: whose names they need, what keeps them as they should be, how all are removed.

use crate::{
    api::names,
    canary::{self, Withheld},
    decision::{Action, Kind, Observed, Target, owned},
    scale,
    traffic::{self, Traffic},
};

/// An object that is not ours but has the name that a child needs.
#[must_use]
pub fn taken(seen: &Observed, traffic: &Traffic) -> Option<Target> {
    let target = |kind, name: &str| Some(Target { kind, name: name.to_owned() });
    let kanary = &seen.kanary;
    if seen.canary.is_some() && seen.own_canary().is_none() {
        return target(Kind::Deployment, &names::canary(kanary));
    }
    if kanary.spec.scale.hpa.is_some() && seen.autoscaler().is_some() && seen.own_autoscaler().is_none() {
        return target(Kind::HorizontalPodAutoscaler, &names::canary(kanary));
    }
    if traffic.is_route_taken() {
        return target(Kind::VirtualService, &names::virtual_service(kanary));
    }
    let service = names::kanary_service(kanary);
    let wanted = kanary.spec.traffic.source.has_kanary_service();
    let foreign = seen.service_named(&service).is_some_and(|service| !seen.is_ours(service));
    if wanted && foreign { target(Kind::Service, &service) } else { None }
}

/// Creates what is missing and corrects what differs. What the API server may refuse comes first: the Deployment, and
/// with it the first pod, last.
#[must_use]
pub fn ensure(seen: &Observed, withheld: &Withheld, desired_hash: &str) -> Vec<Action> {
    let canary = canary::ensure(seen, withheld, desired_hash);
    scale::ensure_autoscaler(seen).into_iter().chain(canary).collect()
}

/// Removes everything of the canary: first what sends it copies and what writes to the Deployment, then the Deployment,
/// then the Services.
#[must_use]
pub fn remove_all(seen: &Observed) -> Vec<Action> {
    let autoscaler = seen.own_autoscaler().and_then(|hpa| owned::delete(Kind::HorizontalPodAutoscaler, hpa));
    let canary = seen.own_canary().and_then(|canary| owned::delete(Kind::Deployment, canary));
    let services = seen.own_services().filter_map(|service| owned::delete(Kind::Service, service));
    let routes = traffic::remove_own_routes(seen);
    routes.into_iter().chain(autoscaler).chain(canary).chain(services).collect()
}

/// Removes what could send requests to the canary, or change the number of its pods.
#[must_use]
pub fn remove_all_but_pods(seen: &Observed) -> Vec<Action> {
    remove_all(seen).into_iter().filter(|action| action.target().kind != Kind::Deployment).collect()
}

/// Is there nothing left of what the controller made, but a base?
#[must_use]
pub fn none_left(seen: &Observed, traffic: &Traffic) -> bool {
    seen.own_canary().is_none()
        && seen.own_autoscaler().is_none()
        && seen.own_services().next().is_none()
        && seen.pods.iter().all(|pod| canary::is_anothers(seen, pod))
        && traffic.is_gone()
}
