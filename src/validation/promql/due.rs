//! The query of an item that is due now.

use super::{
    identity::{pods, query_id, values},
    item::PromqlItem,
};
use crate::promql::{Query, template};

/// The query, now, if it is due.
#[must_use]
pub fn query(item: &PromqlItem<'_>) -> Option<Query> {
    let due = item.due().filter(|due| *due <= item.seen.now)?;
    let PromqlItem { seen, status, name, spec, .. } = *item;
    let url = seen.prometheus.url(spec.prometheus.as_ref().and_then(|at| at.url.as_deref())).ok()?;
    let query = template::render(&spec.query, &values(seen, status.evidence_since?)).ok()?;
    Some(Query {
        item: name.to_owned(),
        hash: query_id(&item.identity, status),
        query,
        url: url.to_owned(),
        prom_ql: spec.clone(),
        pods: pods(seen),
        held: status.held.saturating_add(status.held_since.map(|at| at.duration_until(seen.now)).unwrap_or_default()),
        due,
    })
}
