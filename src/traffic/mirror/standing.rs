//! Is the mirror on, as far as objects show; and who took it away.

use jiff::Timestamp;

use super::{Mirror, can_receive, carrier::Carrier, own};
use crate::{
    api::{ConditionStatus, Confirm, KanaryDeploymentStatus, Phase, Provider, Reason, Source},
    decision::Observed,
    promql::Query,
    traffic::TrafficStatus,
    validation::promql::mirror_check,
};

/// Where the mirror stands, if nothing is in its way.
#[must_use]
pub fn standing(seen: &Observed) -> TrafficStatus {
    let mirror = Mirror::of(seen);
    if let Some(message) = reverted(seen) {
        return TrafficStatus::new(ConditionStatus::False, Reason::MirrorReverted, message);
    }
    let not_yet = |message: String| TrafficStatus::new(ConditionStatus::False, Reason::Pending, message);
    if !can_receive(seen) {
        return not_yet("the kanary service has no ready pod yet".into());
    }
    if own::is_wanted(&mirror) && seen.own_virtual_services().next().is_none() {
        return not_yet("the VirtualService does not exist yet".into());
    }
    if let Some((carrier, rule)) = mirror.aims().find(|(_, rule)| !rule.is_current()) {
        return not_yet(format!("{}, {}: does not carry the mirror yet", mirror.title(carrier), rule.title()));
    }
    let refusal = mirror.aims().find_map(|(carrier, _)| Some((carrier, carrier.accepted.as_ref().err()?)));
    if let Some((carrier, why)) = refusal {
        return TrafficStatus::new(
            ConditionStatus::False,
            Reason::NotAccepted,
            format!("{}: {why}", mirror.title(carrier)),
        );
    }
    confirmed(&mirror)
}

fn confirmed(mirror: &Mirror) -> TrafficStatus {
    let share = format!("{} % of production's requests are copied", mirror.settings.percentage);
    match (mirror.settings.confirm, mirror.settings.provider) {
        (Confirm::Accepted, Provider::Istio) => TrafficStatus::new(
            ConditionStatus::True,
            Reason::AcceptedUnverified,
            format!("{share}, as far as objects show: Istio does not report whether it follows them"),
        ),
        (Confirm::Accepted, Provider::GatewayApi) => TrafficStatus::new(ConditionStatus::True, Reason::Accepted, share),
        (Confirm::Requests, _) => match unseen(mirror.seen) {
            None => TrafficStatus::new(ConditionStatus::True, Reason::CopiesSeen, share),
            Some(why) => TrafficStatus::new(ConditionStatus::Unknown, Reason::NoCopiesSeen, why),
        },
    }
}

/// Why it is not known that copies arrive. Once they did, a quiet hour is no reason to doubt.
fn unseen(seen: &Observed) -> Option<String> {
    let status = seen.status();
    let begins = !matches!(status.phase, Some(Phase::Validating | Phase::Promoting));
    let arrived = mirror_check::counted(seen, status).map(|copies| copies.arrived);
    match arrived.or_else(|| mirror_check::obstacle(seen).map(Err)) {
        _ if !begins => None,
        Some(Ok(true)) => None,
        None | Some(Ok(false)) => Some("waiting for the first copy of a request to arrive at the canary".into()),
        Some(Err(why)) => Some(format!("it is not known whether copies arrive at the canary: {why}")),
    }
}

/// When Prometheus is to be queried for whether copies arrive, while that is awaited.
#[must_use]
pub fn count_at(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    mirror_check::due(seen, status)
}

/// That query.
#[must_use]
pub fn count_query(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Query> {
    mirror_check::query(seen, status)
}

/// What to say, if somebody took the mirror out of a route that carried it when the status was last told.
#[must_use]
pub fn reverted(seen: &Observed) -> Option<String> {
    let carried = seen.canary_status().map_or(&[][..], |canary| &canary.routes);
    if carried.is_empty() || seen.kanary.spec.traffic.source != Source::Mirror {
        return None;
    }
    let mirror = Mirror::of(seen);
    let lost = |carrier: &&Carrier| carried.contains(&carrier.id()) && !carrier.carries();
    let (carrier, _) = mirror.aims().find(|(carrier, _)| lost(carrier))?;
    let who = carrier.writer.map_or_else(|| "somebody".into(), |manager| format!("the field manager {manager}"));
    let is_judged = seen.status().phase != Some(Phase::Promoting);
    let then = if is_judged { "it is put back" } else { "the canary is proven, so it stays out" };
    Some(format!("{who} took the mirror out of {}; {then}", mirror.title(carrier)))
}

/// The routes of which requests that change something are copied too, unless the user knows.
#[must_use]
pub fn copies_writes(seen: &Observed) -> Option<String> {
    let mirror = Mirror::of(seen);
    let writes = |rule: &super::Rule| rule.wanted.as_ref().is_some_and(|wanted| !wanted.reads_only);
    let all: Vec<String> = mirror
        .aims()
        .filter(|(_, rule)| writes(rule) && !mirror.settings.acknowledge_writes)
        .map(|(carrier, rule)| format!("{}, {}", mirror.title(carrier), rule.title()))
        .collect();
    (!all.is_empty()).then(|| {
        format!(
            "copies include requests that change something: {} not limited to GET, HEAD and OPTIONS; \
             spec.traffic.mirror.acknowledgeWrites: true says that the canary may see them",
            all.join("; ") + if all.len() == 1 { " is" } else { " are" }
        )
    })
}
