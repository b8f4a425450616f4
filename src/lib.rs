//! Progressive delivery for Kubernetes and Istio.
//!
//! The walk, on one screen:
//! ```text
//! event    a watch says something changed       controller::watch      memory of each kind, pruned to what is read
//! observe  read memory, never the network       controller::observe    Observed { now, kanary, base, canary, pods, … }
//! ask      only the question that is due        controller::tend       lifecycle::question → API server → Observed
//! decide   one pure function, it never fails    lifecycle::plan        Plan { actions, tell, wake }
//! act      nothing, or what differs             controller::execute    at most one write an object, each guarded
//! tell     status if it changed, then events    controller::execute    a decision on a stale view is refused, and made again
//! ```
//! All above `act` is deterministic. [`decision::Observed`] serializes: a dump of it replays a decision.

pub mod api;
pub mod canary;
#[cfg(feature = "cli")]
pub mod cli;
pub mod controller;
pub mod decision;
pub mod hash;
pub mod lifecycle;
pub mod objects;
pub mod promql;
pub mod scale;
pub mod traffic;
pub mod validation;
