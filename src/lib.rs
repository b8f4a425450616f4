//! Progressive delivery for Kubernetes and Istio.
//!
//! The walk, on one screen:
//! ```text
//! event    a watch reports a change             controller::watch       a store of each kind, pruned to what is read
//! observe  read the stores, never the network   controller::observe     Observed { now, kanary, base, canary, pods, answers, … }
//! lookup   the one request that is due          controller::lookup      lifecycle::lookup → API server → Observed
//! query    what is due, in the background       controller::queries     lifecycle::due_queries → Prometheus → Observed.answers
//! decide   one pure function, it never fails    lifecycle::plan         Plan { actions, status, requeue_at }
//! act      nothing, or what differs             controller::execute     at most one write per object, each guarded
//! status   written if it changed, then events   controller::status      a decision on a stale view is refused, and made again
//! ```
//! [`lifecycle::driver::Driver`] says which of these steps comes next, without I/O: the controller, `kubectl kanary plan`
//! and the simulation run the same loop. [`decision::Observed`] serializes, so a dump of it replays a decision.
//!
//! The layers; arrows only point down, and `tests/tidy.rs` checks it:
//! ```text
//! controller   cli                             do not name each other
//! lifecycle                                    what happens next
//! traffic   validation   canary   scale        one concern each
//! decision                                     the vocabulary that planners and controller share
//! objects   promql                             pruned Kubernetes objects; queries and their results
//! api
//! hash
//! ```

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
