//! Does the traffic that is asked for reach the canary, as far as objects show?

use super::{kanary_service, mirror, production};
use crate::{
    api::{ConditionStatus, Explanation, Reason, Source, names},
    decision::Observed,
};

/// The status of the traffic, as the condition `Traffic` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficStatus {
    /// Yes, no, or it is not known.
    pub truth: ConditionStatus,
    /// Why.
    pub why: Explanation,
}

impl TrafficStatus {
    pub(super) fn new(truth: ConditionStatus, reason: Reason, message: impl Into<String>) -> Self {
        Self { truth, why: Explanation::new(reason, message) }
    }

    /// Does it certainly reach it?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.truth == ConditionStatus::True
    }
}

/// Not while there is an obstacle.
pub(super) fn of(seen: &Observed, obstacle: Option<&Explanation>) -> TrafficStatus {
    if let Some(why) = obstacle {
        return TrafficStatus { truth: ConditionStatus::False, why: why.clone() };
    }
    let source = seen.kanary.spec.traffic.source;
    match source {
        Source::None => TrafficStatus::new(
            ConditionStatus::True,
            Reason::NotRequested,
            "spec.traffic.source is none: the canary receives no requests",
        ),
        Source::Mirror => mirror::standing(seen),
        Source::Service | Source::KanaryService | Source::Both => of_services(seen, source),
    }
}

fn of_services(seen: &Observed, source: Source) -> TrafficStatus {
    let is_on = (!source.joins_production() || production::all_in(seen))
        && (!source.has_kanary_service() || kanary_service::is_current(seen));
    let services = services(seen, source);
    let (one, names) = (services.len() == 1, services.join(" and "));
    let (noun, verb) = if one { ("Service", "sends") } else { ("Services", "send") };
    if is_on {
        let message = format!("{noun} {names} {verb} requests to the canary");
        TrafficStatus::new(ConditionStatus::True, Reason::On, message)
    } else {
        let message = format!("waiting for {noun} {names} to select the canary's pods");
        TrafficStatus::new(ConditionStatus::False, Reason::Pending, message)
    }
}

/// The names of the Services that select the canary's pods.
fn services(seen: &Observed, source: Source) -> Vec<String> {
    let production = if source.joins_production() { seen.kanary.spec.service_name.clone() } else { None };
    let own = source.has_kanary_service().then(|| names::kanary_service(&seen.kanary));
    production.into_iter().chain(own).collect()
}
