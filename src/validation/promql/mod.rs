//! promQL items: which query is due and when, what the results so far say, and since when there are none.
//!
//! Pure. Not here: the text of a query and the meaning of one result (`crate::promql`), and sending (`controller`).

mod due;
mod evidence;
mod identity;
mod item;
mod lint;
pub mod mirror_check;

pub(super) use due::query;
pub use evidence::Gap;
pub(super) use evidence::{current_gap, evaluate};
pub use identity::{identity, query_id};
pub(super) use item::{PromqlItem, status_of};
pub use lint::{lint, remarks};
