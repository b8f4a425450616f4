//! Which requests reach the canary's pods: those of the production Service, of a Service of their own, of both, none, or
//! copies of production's requests.
//!
//! [`Traffic`] is what the rest of the core sees: verbs over the source. `services` and `mirror` are the sources, `routes` is
//! what a source needs that writes into routes of a mesh.

mod kanary_service;
mod mirror;
mod ports;
mod production;
mod promotion;
mod routes;
mod services;
mod status;
mod subsets;

use jiff::Timestamp;
use mirror::Mirror;
pub use mirror::remove_own_routes;
use production::Remaining;
pub use production::{is_leaving, was_in_production};
pub use promotion::{loss, needs_dry_run, undeclared_port};
pub use routes::{concerns as concerns_routes, named as named_routes, subsets as mesh_subsets};
pub use services::counts_canary;
pub use status::TrafficStatus;
pub use subsets::excluding as excluding_subset;

use crate::{
    api::{ConditionStatus, Explanation, KanaryDeploymentStatus, Phase, Reason, Source},
    canary::Withheld,
    decision::{Action, Lookup, Observed, Target},
    objects::Labels,
    promql::Query,
    validation::promql::mirror_check,
};

/// The traffic of one moment: what is in its way, and whether it reaches the canary. A new source is a new arm here, and
/// nowhere else in the core.
pub struct Traffic<'a> {
    seen: &'a Observed,
    withheld: Withheld,
    mirror: Mirror<'a>,
    obstacle: Option<Explanation>,
    status: TrafficStatus,
}

/// How much of the traffic is put in place. What the source does not request is always removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that the source requests.
    All {
        /// Is the canary available? Then pods that are older than the run have its template, too.
        available: bool,
    },
    /// Pods that are ready join, but no route or Service is added.
    NoMore {
        /// Is the canary available?
        available: bool,
    },
    /// While the base is rolled out, pods join as before; routes and Services are removed where they are not requested.
    Less {
        /// Is the canary available?
        available: bool,
    },
    /// Pods may belong to the previous run: none joins.
    NoneJoins,
}

impl<'a> Traffic<'a> {
    /// Reads the observation, once.
    #[must_use]
    pub fn of(seen: &'a Observed, withheld: &Withheld) -> Self {
        let mirror = Mirror::of(seen);
        let obstacle = obstacle(seen, withheld, &mirror);
        let status = status(seen, obstacle.as_ref(), withheld, &mirror);
        Self { seen, withheld: withheld.clone(), mirror, obstacle, status }
    }

    /// What is in the way of the requested source. Nothing is added while there is something.
    #[must_use]
    pub fn obstacle(&self) -> Option<&Explanation> {
        self.obstacle.as_ref()
    }

    /// Does the requested traffic reach the canary, as far as objects show?
    #[must_use]
    pub fn status(&self) -> &TrafficStatus {
        &self.status
    }

    /// Puts pods and Services in place, and removes what the source does not request. Pods first, because whatever is
    /// refused must not keep them where they should not be.
    #[must_use]
    pub fn ensure(&self, extent: Extent) -> Vec<Action> {
        let mut actions = self.move_pods(extent);
        match extent {
            Extent::All { .. } => {
                actions.extend(kanary_service::ensure(self.seen));
                actions.extend(self.remove_stray_services());
            }
            Extent::Less { .. } => actions.extend(self.remove_stray_services()),
            Extent::NoMore { .. } | Extent::NoneJoins => {}
        }
        actions
    }

    /// Puts the routes in place. Last of all: a user's route that refuses an entry must not keep the canary from being what
    /// it should be.
    #[must_use]
    pub fn ensure_routes(&self, extent: Extent) -> Vec<Action> {
        match extent {
            Extent::All { .. } => mirror::ensure(&self.mirror, self.obstacle.is_none()),
            Extent::NoMore { .. } | Extent::NoneJoins => mirror::ensure(&self.mirror, false),
            Extent::Less { .. } if self.needs_routes() => Vec::new(),
            Extent::Less { .. } => mirror::ensure(&self.mirror, false),
        }
    }

    fn remove_stray_services(&self) -> Vec<Action> {
        kanary_service::remove_strays(self.seen, |service| mirror::uses(&self.mirror, service))
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
        if !self.seen.kanary.spec.traffic.source.joins_production() || self.obstacle.is_some() {
            return None;
        }
        Some(self.seen.service()?.spec.selector.clone())
    }

    /// Takes the canary out of production: its pods leave, and no route sends or mirrors requests to it.
    #[must_use]
    pub fn withdraw(&self) -> Vec<Action> {
        let mut actions = production::move_pods(self.seen, &self.withheld, None, false);
        actions.extend(self.clear_routes());
        actions
    }

    /// What still reaches a canary that is on its way out, as far as objects show: whatever was written, a policy or a
    /// webhook may keep it.
    #[must_use]
    pub fn remaining(&self) -> Option<TrafficStatus> {
        let service = self.seen.kanary.spec.service_name.as_deref().unwrap_or_default();
        let on = |message: String| TrafficStatus::new(ConditionStatus::True, Reason::Removing, message);
        if let Some(route) = self.routes().first() {
            return Some(on(format!("{route} still copies requests to the canary")));
        }
        Some(match production::remaining(self.seen)? {
            Remaining::Selected(pod) => on(format!("Service {service} still selects canary pod {pod}")),
            Remaining::Listed(pod) => on(format!("an EndpointSlice of Service {service} still lists canary pod {pod}")),
            Remaining::Unknown => TrafficStatus::new(
                ConditionStatus::Unknown,
                Reason::Removing,
                format!("waiting for the EndpointSlices of Service {service}"),
            ),
        })
    }

    /// Removes the entries of this canary from the routes of users.
    #[must_use]
    pub fn clear_routes(&self) -> Vec<Action> {
        mirror::clear(&self.mirror)
    }

    /// Once it is certain that no route of a user has an entry of this canary: releases the finalizer.
    #[must_use]
    pub fn release(&self) -> Vec<Action> {
        mirror::release(&self.mirror)
    }

    /// When Prometheus is to be queried for whether requests arrive, if that is what is awaited.
    #[must_use]
    pub fn requeue_at(&self, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
        let awaits = status.phase == Some(Phase::Starting) && self.status.why.reason == Reason::NoCopiesSeen;
        if awaits { mirror_check::due(self.seen, status) } else { None }
    }

    /// The query whether mirrored requests arrive, if it is due.
    #[must_use]
    pub fn query(&self, status: &KanaryDeploymentStatus) -> Option<Query> {
        mirror_check::query(self.seen, status)
    }

    /// Does the source write into routes?
    #[must_use]
    pub fn needs_routes(&self) -> bool {
        self.seen.kanary.spec.traffic.source.writes_routes()
    }

    /// What must be read before the finalizer is released.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        mirror::lookup(&self.mirror)
    }

    /// Is there neither an entry of this canary in a route, nor a route of its own, nor the finalizer?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        mirror::is_gone(&self.mirror)
    }

    /// What keeps the finalizer, if a user must change something.
    #[must_use]
    pub fn blocked(&self) -> Option<Explanation> {
        mirror::blocked(&self.mirror)
    }

    /// The routes that have an entry of this canary, as the status names them.
    #[must_use]
    pub fn routes(&self) -> Vec<String> {
        mirror::routes_with_entry(&self.mirror)
    }

    /// The lists in routes of users that the source writes into: the object, and a JSON pointer.
    #[must_use]
    pub fn lists(&self) -> Vec<(Target, String)> {
        mirror::lists(&self.mirror)
    }

    /// Has another client's object the name of a route that this canary needs?
    #[must_use]
    pub fn is_route_taken(&self) -> bool {
        mirror::is_name_taken(&self.mirror)
    }

    /// What to warn of, if mirrored requests include writes.
    #[must_use]
    pub fn copies_writes(&self) -> Option<String> {
        mirror::copies_writes(&self.mirror)
    }
}

fn obstacle(seen: &Observed, withheld: &Withheld, mirror: &Mirror) -> Option<Explanation> {
    match seen.kanary.spec.traffic.source {
        Source::None => None,
        Source::Service | Source::KanaryService | Source::Both => {
            services::unusable(seen).or_else(|| services::ambiguous(seen, withheld))
        }
        Source::Mirror => services::unusable(seen).or_else(|| mirror::obstacle(mirror)),
    }
}

fn status(seen: &Observed, obstacle: Option<&Explanation>, withheld: &Withheld, mirror: &Mirror) -> TrafficStatus {
    if let Some(why) = obstacle {
        return TrafficStatus { truth: ConditionStatus::False, why: why.clone() };
    }
    match seen.kanary.spec.traffic.source {
        Source::None => TrafficStatus::new(
            ConditionStatus::True,
            Reason::NotRequested,
            "spec.traffic.source is none: the canary receives no requests",
        ),
        Source::Service | Source::KanaryService | Source::Both => services::status(seen, withheld),
        Source::Mirror => mirror::status(mirror),
    }
}
