//! Do the ports of a Service reach the canary's pods?
//!
//! Answered as the EndpointSlice controller does it: a named `targetPort` is looked up among the ports that the containers
//! of each pod declare, injected sidecars included, and a pod without it is not listed for that port.

use crate::{
    canary,
    decision::Observed,
    objects::{Availability, DeclaredPort, Object, Pod, Service, TargetPort},
};

/// The port by which requests of this Service would not reach a canary pod: one that reaches the base, or every one.
/// Nothing before there are pods, because injected sidecars declare ports, too.
pub fn unreachable(seen: &Observed, service: &Service) -> Option<String> {
    let base = seen.live_base().map(|base| &base.spec.template.ports);
    let targets: Vec<_> = service.spec.targets().collect();
    pods_under_test(seen).find_map(|pod| {
        let missing: Vec<Target> = targets.iter().copied().filter(|target| !reaches(&pod.ports.0, *target)).collect();
        let reaches_nothing = missing.len() == targets.len();
        let is_lost = |target: &Target| reaches_nothing || base.is_none_or(|ports| reaches(ports, *target));
        let (TargetPort::Named(name), _) = missing.into_iter().find(is_lost)? else { return None };
        Some(format!(
            "sends requests to port {name:?} (targetPort), which no container of pod {} declares; name a container port so in \
             spec.template, or change the Service first",
            pod.name()
        ))
    })
}

/// A numbered target port that `before` declares and `after`, which declares others, does not.
pub fn undeclared(service: &Service, before: &[DeclaredPort], after: &[DeclaredPort]) -> Option<i64> {
    let declares = |ports: &[DeclaredPort], number: i64, protocol: &str| {
        ports.iter().any(|port| port.number == number && port.protocol == protocol)
    };
    service.spec.targets().find_map(|(target, protocol)| {
        let TargetPort::Number(number) = target else { return None };
        let is_lost = declares(before, number, protocol) && !after.is_empty() && !declares(after, number, protocol);
        is_lost.then_some(number)
    })
}

/// Where a port of a Service sends requests to, and by which protocol.
type Target<'a> = (TargetPort<'a>, &'a str);

/// A number is reached whether it is declared or not.
fn reaches(ports: &[DeclaredPort], (target, protocol): Target) -> bool {
    match target {
        TargetPort::Number(_) => true,
        TargetPort::Named(name) => ports.iter().any(|port| port.name == name && port.protocol == protocol),
    }
}

/// The pods that have the template of this run.
fn pods_under_test(seen: &Observed) -> impl Iterator<Item = &Pod> {
    let available = seen.own_canary().is_some_and(|canary| canary.availability() == Availability::Full);
    seen.live_pods().filter(move |pod| canary::is_under_test(seen, pod, available))
}
