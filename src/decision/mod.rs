//! The vocabulary of a decision: [`Observed`] goes in, a [`Plan`] of [`Action`]s comes out. Planners make plans, the
//! controller carries them out, and both use these words; so the vocabulary is below them all.
//!
//! Not here: what is decided (`lifecycle` and the planners below it).

mod observed;
pub mod owned;
mod plan;

pub use observed::{Absence, DryRun, Fault, Observed, Routes, services_of};
pub use plan::{Action, Kind, Lookup, Notice, Patch, Plan, StatusUpdate, Target};
