//! A query to Prometheus: its text, the result, and what the result means for an item.
//!
//! Pure, and without Kubernetes. Not here: which query is due and what the results so far say (`validation::promql`), and
//! how it is sent (`controller`).

mod boolean;
mod deviation;
mod discrete;
pub mod egress;
mod embedded;
mod figures;
pub mod history;
mod judge;
mod lexer;
pub mod library;
pub mod lookback;
mod memo;
pub mod outcome;
mod query;
mod range;
pub mod result;
pub mod syntax;
pub mod template;
mod worst;

pub use egress::EgressPolicy;
pub use history::{ClockMark, Evaluation, QueryHistory};
pub use judge::judge;
pub use outcome::{Evidence, Outcome};
pub use query::Query;
