//! promQL items: which query is due and when, what the results so far say, and since when there are none.
//!
//! Pure. Not here: the text of a query and the meaning of one result (`crate::promql`), and sending (`controller`).

mod case;
pub mod copies;
mod due;
mod evidence;
mod identity;
mod objection;

pub(super) use case::{Case, line_of};
pub(super) use due::query;
pub use evidence::Gap;
pub(super) use evidence::{find, gap};
pub use identity::{identity, query_id};
pub use objection::objection;
