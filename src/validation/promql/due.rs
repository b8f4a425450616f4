//! The query of an item that is due now.

use super::{
    case::Case,
    identity::{pods, query_id, values},
};
use crate::promql::{Query, template};

/// The question, now, if it is due.
#[must_use]
pub fn query(case: &Case<'_>) -> Option<Query> {
    let due = case.due().filter(|due| *due <= case.seen.now)?;
    let Case { seen, status, name, item, .. } = *case;
    let url = seen.prometheus.url(item.prometheus.as_ref().and_then(|at| at.url.as_deref())).ok()?;
    let query = template::render(&item.query, &values(seen, status.evidence_since?)).ok()?;
    Some(Query {
        item: name.to_owned(),
        hash: query_id(&case.identity, status),
        query,
        url: url.to_owned(),
        prom_ql: item.clone(),
        pods: pods(seen),
        held: status.held.saturating_add(status.held_since.map(|at| at.duration_until(seen.now)).unwrap_or_default()),
        due,
    })
}
