//! The vocabulary of a decision: [`Observed`] goes in, a [`Plan`] of [`Action`]s comes out. Planners make plans, the
//! controller executes them, and both use these types; so they are below them all.
//!
//! Not here: what is decided (`lifecycle` and the planners below it).

mod kind;
mod observed;
pub mod owned;
mod plan;
mod subsets;

pub use kind::Kind;
pub use observed::{Absence, DryRun, Fault, Observed, Routes, services_of};
pub use plan::{Action, Lookup, Notice, Patch, Plan, StatusUpdate, Target};
pub use subsets::Subsets;
