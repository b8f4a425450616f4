//! A query to Prometheus: its text, the result, and what the result means for an item.
//!
//! Pure, and without Kubernetes. Not here: which query is due and what the results so far say (`validation::promql`), and
//! how it is sent (`controller`).

pub mod address;
pub mod answer;
mod code;
mod deviation;
mod discrete;
pub mod history;
mod judge;
pub mod library;
mod memo;
pub mod outcome;
mod query;
mod range;
pub mod syntax;
pub mod template;
mod truth;

pub use address::Access;
pub use history::{Evaluation, Mark, QueryHistory};
pub use judge::judge;
pub use outcome::{Evidence, Outcome};
pub use query::Query;
