//! Who reaches the canary's pods: the production Service, a Service of their own, both, nobody; or copies of
//! production's requests.

mod kanary_service;
pub mod mirror;
mod production;
mod status;

use jiff::Timestamp;
pub use production::{is_leaving, was_in_production};
pub use status::TrafficStatus;

use crate::{
    api::{Explanation, KanaryDeploymentStatus, Phase, Reason, Source, names},
    canary::Withheld,
    decision::{Action, Lookup, Observed},
    objects::{Labels, Object, Service, selects},
    promql::Query,
};

/// The traffic of one moment: what is in its way, and whether it reaches the canary. A new source is a new arm here, and
/// nowhere else in the core.
pub struct Traffic<'a> {
    seen: &'a Observed,
    withheld: Withheld,
    obstacle: Option<Explanation>,
    status: TrafficStatus,
}

/// How much of the traffic is put in place. What the source does not ask for is always removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that the source asks for. Is the canary `available`?
    All {
        /// Then pods that were there before the run are of its template, too.
        available: bool,
    },
    /// Pods that are ready join, but no route or Service is added.
    NoMore {
        /// As above.
        available: bool,
    },
    /// While the base is rolled out, pods join as before; routes and Services are removed where they are not asked for.
    Less {
        /// As above.
        available: bool,
    },
    /// Pods may be of the run before: none joins.
    NoneJoins,
}

impl<'a> Traffic<'a> {
    /// What the observation shows.
    #[must_use]
    pub fn of(seen: &'a Observed, withheld: &Withheld) -> Self {
        let obstacle = obstacle(seen, withheld);
        let status = status::of(seen, obstacle.as_ref());
        Self { seen, withheld: withheld.clone(), obstacle, status }
    }

    /// What is in the way of the source that is asked for. Nothing is created while there is something.
    #[must_use]
    pub fn obstacle(&self) -> Option<&Explanation> {
        self.obstacle.as_ref()
    }

    /// Does the traffic that is asked for reach the canary, as far as objects show?
    #[must_use]
    pub fn status(&self) -> &TrafficStatus {
        &self.status
    }

    /// Puts the traffic in place, and removes what the source does not ask for. Pods first, because whatever is refused
    /// must not keep them where they should not be.
    #[must_use]
    pub fn ensure(&self, extent: Extent) -> Vec<Action> {
        let seen = self.seen;
        let mut actions = self.move_pods(extent);
        match extent {
            Extent::All { .. } => {
                actions.extend(kanary_service::upkeep(seen));
                actions.extend(mirror::upkeep(seen, true));
            }
            Extent::NoMore { .. } | Extent::NoneJoins => actions.extend(mirror::upkeep(seen, false)),
            Extent::Less { .. } => {
                if !self.needs_routes() {
                    actions.extend(mirror::upkeep(seen, false));
                }
                actions.extend(kanary_service::remove_strays(seen));
            }
        }
        actions
    }

    fn move_pods(&self, extent: Extent) -> Vec<Action> {
        let labels = self.production_labels();
        let (seen, withheld) = (self.seen, &self.withheld);
        match extent {
            Extent::All { available } | Extent::NoMore { available } | Extent::Less { available } => {
                production::move_pods(seen, withheld, labels.as_ref(), available)
            }
            Extent::NoneJoins => production::move_out_pods(seen, withheld, labels.as_ref()),
        }
    }

    /// The labels that put a pod into production, if the canary's pods belong there.
    fn production_labels(&self) -> Option<Labels> {
        let joins = self.seen.kanary.spec.traffic.source.joins_production() && self.obstacle.is_none();
        let service = self.seen.service().filter(|_| joins)?;
        Some(service.spec.selector.clone())
    }

    /// Takes the canary out of production: its pods leave, and no route sends requests or copies to it.
    #[must_use]
    pub fn withdraw(&self) -> Vec<Action> {
        let mut actions = production::move_pods(self.seen, &self.withheld, None, false);
        actions.extend(self.clear_routes());
        actions
    }

    /// Takes the entries of this canary out of routes of the user's.
    #[must_use]
    pub fn clear_routes(&self) -> Vec<Action> {
        mirror::clear(self.seen)
    }

    /// Once it is certain that no route of the user's has an entry of this canary: releases the finalizer.
    #[must_use]
    pub fn release(&self) -> Vec<Action> {
        mirror::leave(self.seen)
    }

    /// When Prometheus is to be queried for whether requests arrive, if that is what is awaited.
    #[must_use]
    pub fn requeue_at(&self, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
        let awaits = status.phase == Some(Phase::Starting) && self.status.why.reason == Reason::NoCopiesSeen;
        if awaits { mirror::count_at(self.seen, status) } else { None }
    }

    /// That query.
    #[must_use]
    pub fn query(&self, status: &KanaryDeploymentStatus) -> Option<Query> {
        mirror::count_query(self.seen, status)
    }

    /// Does the source write into routes?
    #[must_use]
    pub fn needs_routes(&self) -> bool {
        match self.seen.kanary.spec.traffic.source {
            Source::Mirror => true,
            Source::None | Source::Service | Source::KanaryService | Source::Both => false,
        }
    }

    /// What must be read before the finalizer is released.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        mirror::lookup(self.seen)
    }

    /// Is there neither an entry of this canary in a route, nor a route of its own, nor the finalizer?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        mirror::is_gone(self.seen)
    }

    /// What keeps the finalizer, if a user must change something.
    #[must_use]
    pub fn blocked(&self) -> Option<Explanation> {
        mirror::unsettled(self.seen)
    }

    /// The routes that have an entry of this canary, as the status names them.
    #[must_use]
    pub fn routes(&self) -> Vec<String> {
        mirror::carried_by(self.seen)
    }

    /// What to warn of, if copies include requests that change something.
    #[must_use]
    pub fn copies_writes(&self) -> Option<String> {
        mirror::copies_writes(self.seen)
    }
}

/// Is another client's object in the place of a route that this canary needs?
#[must_use]
pub fn is_route_taken(seen: &Observed) -> bool {
    mirror::taken(seen)
}

/// Deletes the routes that the controller made for this canary.
#[must_use]
pub fn remove_own_routes(seen: &Observed) -> Vec<Action> {
    mirror::remove_own(seen)
}

/// What is in the way of the source that is asked for.
#[must_use]
pub fn obstacle(seen: &Observed, withheld: &Withheld) -> Option<Explanation> {
    match seen.kanary.spec.traffic.source {
        Source::None => None,
        Source::Mirror => unusable(seen).or_else(|| mirror::obstacle(seen)),
        Source::Service | Source::KanaryService | Source::Both => unusable(seen).or_else(|| ambiguous(seen, withheld)),
    }
}

/// Labels that say whose a pod is: with another value its ReplicaSet, or its canary, would lose it and make another.
const OF_ONE_OWNER: [&str; 2] = [names::CANARY_LABEL, "pod-template-hash"];

fn unusable(seen: &Observed) -> Option<Explanation> {
    let name = seen.kanary.spec.service_name.clone().unwrap_or_default();
    let Some(Service { spec, .. }) = seen.service() else {
        return Some(Explanation::new(
            Reason::ServiceNotFound,
            format!("waiting for Service {name} (spec.serviceName) to exist"),
        ));
    };
    let refuse = |why: &str| {
        Some(Explanation::new(Reason::ServiceUnsupported, format!("Service {name} (spec.serviceName) {why}")))
    };
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
fn ambiguous(seen: &Observed, withheld: &Withheld) -> Option<Explanation> {
    let both_scaled = seen.kanary.spec.scale.hpa.is_some() && seen.kanary.spec.traffic.source.joins_production();
    let autoscaler = seen.base_autoscaler().filter(|_| both_scaled && counts_canary(seen, withheld))?;
    Some(Explanation::new(
        Reason::AmbiguousHPA,
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
