//! Is the mirror on, as far as objects show; and which client removed it.

use super::{effect, entry::MirrorRoute, targets::Mirror};
use crate::{
    api::{ConditionStatus, Confirm, Phase, Provider, Reason, names},
    traffic::{kanary_service, routes, status::TrafficStatus},
    validation::promql::mirror_check,
};

/// The status of the mirror, if nothing is in its way.
pub fn status(mirror: &Mirror) -> TrafficStatus {
    reverted(mirror).or_else(|| pending(mirror)).or_else(|| not_accepted(mirror)).unwrap_or_else(|| confirmed(mirror))
}

/// Another client removed the mirror from a route that contained it when the status was last written.
fn reverted(mirror: &Mirror) -> Option<TrafficStatus> {
    let (seen, recorded) = (mirror.seen, &mirror.seen.canary_status()?.routes);
    let is_lost = |route: &MirrorRoute| recorded.contains(&route.object.id()) && !route.has_entry();
    let (route, _) = mirror.targets().find(|(route, _)| is_lost(route))?;
    let client = match route.object.last_manager() {
        Some(manager) => format!("the field manager {manager}"),
        None => "another client".into(),
    };
    let then = match seen.status().phase {
        Some(Phase::Promoting) => "it stays out, because the verdict is reached",
        Some(_) | None => "it is put back",
    };
    let message = format!("{client} removed the mirror from {}; {then}", mirror.title(route));
    Some(TrafficStatus::new(ConditionStatus::False, Reason::MirrorReverted, message))
}

fn pending(mirror: &Mirror) -> Option<TrafficStatus> {
    let (seen, kanary) = (mirror.seen, &mirror.seen.kanary);
    let message = if !kanary_service::can_receive(seen) {
        format!("waiting for a ready pod behind Service {}", names::kanary_service(kanary))
    } else if mirror.needs_own_route && seen.own_virtual_services().next().is_none() {
        format!("creating VirtualService {}", names::virtual_service(kanary))
    } else {
        let (route, rule) = mirror.targets().find(|(_, rule)| !rule.list.is_current())?;
        format!("adding the mirror to {}", mirror.rule_title(route, rule))
    };
    Some(TrafficStatus::new(ConditionStatus::False, Reason::Pending, message))
}

fn not_accepted(mirror: &Mirror) -> Option<TrafficStatus> {
    let refusal = |route: &MirrorRoute| routes::accepted(mirror.seen, route.object).err();
    let (route, why) = mirror.targets().find_map(|(route, _)| Some((route, refusal(route)?)))?;
    let message = format!("{}: {why}", mirror.title(route));
    Some(TrafficStatus::new(ConditionStatus::False, Reason::NotAccepted, message))
}

fn confirmed(mirror: &Mirror) -> TrafficStatus {
    let (percentage, service) = (mirror.settings.percentage, mirror.service());
    let except = uncopied_ports(mirror);
    let share = format!("{percentage} % of the requests to Service {service} are mirrored to the canary{except}");
    let on = |reason, message| TrafficStatus::new(ConditionStatus::True, reason, message);
    match (mirror.settings.confirm, mirror.settings.provider) {
        (Confirm::Accepted, Provider::Istio) => on(
            Reason::AcceptedUnverified,
            format!("{share}; unverified, because Istio does not report whether it applies a VirtualService"),
        ),
        (Confirm::Accepted, Provider::GatewayApi) => on(Reason::Accepted, share + &unresolved(mirror)),
        (Confirm::Requests, _) => match unconfirmed(mirror) {
            None => on(Reason::CopiesSeen, share),
            Some(why) => TrafficStatus::new(ConditionStatus::Unknown, Reason::NoCopiesSeen, why),
        },
    }
}

/// `, except at port tcp-admin (81)`, if there are such ports.
fn uncopied_ports(mirror: &Mirror) -> String {
    match &effect::uncopied_ports(mirror)[..] {
        [] => String::new(),
        ports => format!(", except at port {}, which Istio does not route as HTTP", ports.join(" and ")),
    }
}

/// What parents report of backends that are not ours.
fn unresolved(mirror: &Mirror) -> String {
    let note = |route: &MirrorRoute| {
        Some(format!("; {}, {}", mirror.title(route), routes::accepted(mirror.seen, route.object).ok()??))
    };
    mirror.targets().find_map(|(route, _)| note(route)).unwrap_or_default()
}

/// Why it is not known that mirrored requests arrive. Once they did, a quiet hour is not a reason to doubt it.
fn unconfirmed(mirror: &Mirror) -> Option<String> {
    let (seen, status) = (mirror.seen, mirror.seen.status());
    if matches!(status.phase, Some(Phase::Validating | Phase::Promoting)) {
        return None;
    }
    let arrived = mirror_check::counted(seen, status).map(|copies| copies.arrived);
    match arrived.or_else(|| mirror_check::obstacle(seen).map(Err)) {
        Some(Ok(true)) => None,
        None | Some(Ok(false)) => Some("waiting for the first mirrored request to arrive at the canary".into()),
        Some(Err(why)) => Some(format!("it is not known whether mirrored requests arrive at the canary: {why}")),
    }
}

/// A warning that names the rules of which writes are mirrored too, unless the user has acknowledged it.
pub fn copies_writes(mirror: &Mirror) -> Option<String> {
    if mirror.settings.acknowledge_writes {
        return None;
    }
    let rules = mirror.targets().filter(|(_, rule)| rule.desired.as_ref().is_some_and(|desired| !desired.reads_only));
    let titles: Vec<String> = rules.map(|(route, rule)| mirror.rule_title(route, rule)).collect();
    let verb = match titles.len() {
        0 => return None,
        1 => "is",
        _ => "are",
    };
    Some(format!(
        "mirrored requests include writes: {} {verb} not limited to GET, HEAD and OPTIONS; \
         if the canary may receive them, set spec.traffic.mirror.acknowledgeWrites: true",
        titles.join("; ")
    ))
}
