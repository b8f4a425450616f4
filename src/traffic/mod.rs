//! Who reaches the canary's pods: the production Service, a Service of their own, both, nobody; or copies of
//! production's requests.

mod kanary_service;
pub mod mirror;
mod production;

pub use kanary_service::{remove_strays as remove_stray_services, upkeep as upkeep_service};
pub use production::{joins, move_out_pods, move_pods, was_in_production};

use crate::{
    api::{ConditionStatus, Source, names},
    canary::Withheld,
    decision::Observed,
    objects::{Object, Service, selects},
};

/// Why traffic cannot be given to the canary, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// One word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

impl Obstacle {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Does it pass without anybody's help, or once something is made that may well be on its way?
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        matches!(self.reason, "ServiceNotFound" | "RoutesUnread")
    }
}

/// Does the traffic that is asked for reach the canary?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficStatus {
    /// Yes, no, or nobody knows.
    pub truth: ConditionStatus,
    /// One word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

impl TrafficStatus {
    fn new(truth: ConditionStatus, reason: &'static str, message: impl Into<String>) -> Self {
        Self { truth, reason, message: message.into() }
    }

    /// Does it certainly reach it?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.truth == ConditionStatus::True
    }
}

/// What stands in the way of the source that is asked for. Nothing is created while there is something.
#[must_use]
pub fn obstacle(seen: &Observed, withheld: &Withheld) -> Option<Obstacle> {
    let source = seen.kanary.spec.traffic.source;
    match source {
        Source::None => None,
        Source::Mirror => unusable(seen).or_else(|| mirror::obstacle(seen)),
        Source::Service | Source::KanaryService | Source::Both => unusable(seen).or_else(|| ambiguous(seen, withheld)),
    }
}

/// Labels that say whose a pod is: with another value its ReplicaSet, or its canary, would lose it and make another.
const OF_ONE_OWNER: [&str; 2] = [names::CANARY_LABEL, "pod-template-hash"];

fn unusable(seen: &Observed) -> Option<Obstacle> {
    let name = seen.kanary.spec.service_name.clone().unwrap_or_default();
    let Some(Service { spec, .. }) = seen.service() else {
        return Some(Obstacle::new(
            "ServiceNotFound",
            format!("waiting for Service {name} (spec.serviceName) to exist"),
        ));
    };
    let refuse =
        |why: &str| Some(Obstacle::new("ServiceUnsupported", format!("Service {name} (spec.serviceName) {why}")));
    if spec.type_.as_deref() == Some("ExternalName") {
        return refuse("is of type ExternalName and has no pods; name a Service with a selector");
    }
    if spec.selector.is_empty() {
        return refuse("has no selector, so no pod can join it; name a Service with a selector");
    }
    let source = seen.kanary.spec.traffic.source;
    if let Some(key) =
        spec.selector.keys().find(|key| source.joins_production() && OF_ONE_OWNER.contains(&key.as_str()))
    {
        return refuse(&format!(
            "selects by {key}, which says whose a pod is, so no other pod can join it; select by a label of the application"
        ));
    }
    if source.has_kanary_service() && spec.ports.is_empty() {
        return refuse("has no ports, so the kanary service can have none; give it ports or use source: service");
    }
    None
}

/// Kubernetes stops scaling two Deployments whose autoscalers count the same pods.
fn ambiguous(seen: &Observed, withheld: &Withheld) -> Option<Obstacle> {
    let both_scaled = seen.kanary.spec.scale.hpa.is_some() && seen.kanary.spec.traffic.source.joins_production();
    let autoscaler = seen.base_autoscaler().filter(|_| both_scaled && counts_canary(seen, withheld))?;
    Some(Obstacle::new(
        "AmbiguousHPA",
        format!(
            "in production, canary pods match the selector of Deployment {}, which HorizontalPodAutoscaler {} scales; \
             with spec.scale.hpa Kubernetes would stop scaling both: use spec.scale.static, or source: kanary-service",
            names::base(&seen.kanary),
            autoscaler.name(),
        ),
    ))
}

/// Would a canary pod in production be taken for one of the base?
#[must_use]
pub fn counts_canary(seen: &Observed, withheld: &Withheld) -> bool {
    let Some((service, base)) = seen.service().zip(seen.base.as_deref()) else { return false };
    let mut labels = crate::canary::pod_labels(&seen.kanary, withheld);
    labels.extend(service.spec.selector.clone());
    selects(&base.spec.selector, &labels)
}

/// Does the traffic that is asked for reach the canary, as far as objects show? Not while there is an [`obstacle`].
#[must_use]
pub fn standing(seen: &Observed, obstacle: Option<&Obstacle>) -> TrafficStatus {
    if let Some(Obstacle { reason, message }) = obstacle {
        return TrafficStatus::new(ConditionStatus::False, reason, message);
    }
    let source = seen.kanary.spec.traffic.source;
    match source {
        Source::None => TrafficStatus::new(
            ConditionStatus::True,
            "NoneAsked",
            "spec.traffic.source is none: nobody reaches the canary",
        ),
        Source::Mirror => mirror::standing(seen),
        Source::Service | Source::KanaryService | Source::Both => {
            let is_on = (!source.joins_production() || production::all_in(seen))
                && (!source.has_kanary_service() || kanary_service::is_current(seen));
            if is_on {
                TrafficStatus::new(ConditionStatus::True, "On", format!("{} reaches the canary", source.as_str()))
            } else {
                TrafficStatus::new(
                    ConditionStatus::False,
                    "NotYet",
                    format!("{} does not reach the canary yet", source.as_str()),
                )
            }
        }
    }
}
