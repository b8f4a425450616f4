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
use identity::lookback_before_run;
pub use identity::{identity, query_id};
pub(super) use item::{PromqlItem, status_of};
use jiff::{SignedDuration, Timestamp};
pub use lint::{lint, remarks};

use crate::decision::Observed;

/// From when on no query sees a run that was there until then, if any looks back at all. Samples of that run have the same
/// names, so they would count for this one.
#[must_use]
pub fn clean_from(seen: &Observed, until: Timestamp) -> Option<Timestamp> {
    let items = &seen.kanary.spec.validation.items;
    let queries = items.iter().filter_map(|item| item.prom_ql.as_ref());
    let longest = queries.map(|query| lookback_before_run(seen, query)).max()?;
    let clean = until.saturating_add(longest).unwrap_or(Timestamp::MAX);
    (longest > SignedDuration::ZERO).then_some(clean)
}
