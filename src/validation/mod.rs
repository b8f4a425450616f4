//! Is the canary good? Each item gives a verdict on the evidence so far; together they make the run's.
//!
//! Missing evidence never counts as success: an item without a verdict holds the run.

pub mod given;
mod item_result;
mod label_watch;
mod manual;
pub mod promql;

use given::Given;
pub use item_result::{Assessment, ItemResult, Measurement, Timing};
use jiff::{SignedDuration, Timestamp};
use promql::{Gap, PromqlItem, status_of};
use serde_json::json;

use crate::{
    api::{Item, ItemKind, ItemStatus, KanaryDeploymentStatus, ManualStatus, Verdict},
    decision::{Absence, Observed},
    hash,
    promql::Query,
};

/// Evaluates the canary. `status` has the clock brought up to now.
///
/// The status of the items is complete; [`coalesce`] keeps what need not be written again.
#[must_use]
pub fn judge(seen: &Observed, status: &KanaryDeploymentStatus, timing: Timing) -> (Assessment, Vec<ItemStatus>) {
    let checks = seen.kanary.spec.validation.named_items();
    let results: Vec<ItemResult> =
        checks.iter().map(|(name, item)| evaluate(seen, status, name, item, timing)).collect();
    let report = |((name, item), result): (&(String, &Item), &ItemResult)| report(seen, status, name, item, result);
    let items = checks.iter().zip(&results).map(report).collect();
    (combine(seen, status, &checks, &results, timing.period_over), items)
}

/// What rejects the canary whatever its period and its queries say: a user, or an invalidation label.
#[must_use]
pub fn rejection(seen: &Observed, status: &KanaryDeploymentStatus, available: bool) -> Option<String> {
    let mut checks = seen.kanary.spec.validation.named_items();
    checks.retain(|(_, item)| item.prom_ql.is_none());
    let timing = Timing { period_over: false, available };
    let results: Vec<ItemResult> =
        checks.iter().map(|(name, item)| evaluate(seen, status, name, item, timing)).collect();
    match combine(seen, status, &checks, &results, false) {
        Assessment::Invalid { message } => Some(message),
        Assessment::Valid { .. } | Assessment::Open { .. } => None,
    }
}

fn evaluate(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &Item, timing: Timing) -> ItemResult {
    match item.kind() {
        ItemKind::Manual(item) => manual::evaluate(&seen.kanary, status, (name, item), timing.period_over),
        ItemKind::LabelWatch(watch) => label_watch::evaluate(seen, watch, timing),
        ItemKind::PromQl(item) => promql::evaluate(&PromqlItem::new(seen, status, name, item)),
    }
}

fn combine(
    seen: &Observed,
    status: &KanaryDeploymentStatus,
    checks: &[(String, &Item)],
    results: &[ItemResult],
    period_over: bool,
) -> Assessment {
    let named = || checks.iter().map(|(name, _)| name).zip(results);
    let whole_run = given::on_run(&seen.kanary).filter(|given| given.counts(status));
    if let Some(given) = whole_run.filter(|given| given.verdict == ManualStatus::Invalid) {
        let reason = given.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return Assessment::Invalid { message: format!("rejected manually{}{reason}", given.author()) };
    }
    if let Some((name, result)) = named().find(|(_, result)| result.verdict == Verdict::Invalid) {
        return Assessment::Invalid { message: format!("{name}: {}", result.message) };
    }
    let unknown: Vec<String> = named()
        .filter(|(_, result)| result.verdict == Verdict::Unknown)
        .map(|(name, result)| format!("{name}: {}", result.message))
        .collect();
    // Before the deadline only a person makes a manual item valid, and a person may end the wait.
    let all_manual = checks.iter().all(|(_, item)| matches!(item.kind(), ItemKind::Manual(_)));
    let all_final = results.iter().all(|result| result.is_final);
    match (unknown.is_empty(), period_over || all_manual) {
        (true, true) if all_final => Assessment::Valid { message: success_message(whole_run, results.len()) },
        // The last query is under way.
        (true, true | false) => Assessment::Open { message: None },
        (false, _) => Assessment::Open { message: period_over.then(|| unknown.join("; ")) },
    }
}

fn success_message(whole_run: Option<Given<'_>>, count: usize) -> String {
    let reason = whole_run.and_then(|given| given.reason);
    let items = if count == 1 { "the item is valid".into() } else { format!("all {count} items are valid") };
    reason.map_or(items.clone(), |reason| format!("{items}: {reason}"))
}

/// The item's entry in the status; `since` is kept while the verdict and the query stay the same.
fn report(
    seen: &Observed,
    status: &KanaryDeploymentStatus,
    name: &str,
    item: &Item,
    result: &ItemResult,
) -> ItemStatus {
    let hash = identity(seen, item);
    let before = status_of(seen, &status.items, name, &hash);
    let unchanged = before.filter(|before| before.verdict == result.verdict);
    let measurement = result.measurement.clone().unwrap_or_default();
    ItemStatus {
        name: name.to_owned(),
        kind: item.kind().as_str().to_owned(),
        verdict: result.verdict,
        message: Some(result.message.clone()),
        value: measurement.value,
        bound: measurement.bound,
        query: measurement.query,
        samples: measurement.samples,
        since: unchanged.and_then(|before| before.since).or(Some(seen.now)),
        failures: result.failures,
        last_failure: result.last_failure,
        hash: Some(hash),
    }
}

/// What to write of the items while a run goes on: values change at each reconcile, so an entry of promQL is only written
/// again when its verdict, its count of failures, or the reason for having no verdict changes.
#[must_use]
pub fn coalesce(before: &[ItemStatus], fresh: &[ItemStatus]) -> Vec<ItemStatus> {
    let same = |one: &ItemStatus, other: &ItemStatus| {
        (&one.name, &one.hash, one.verdict, one.failures) == (&other.name, &other.hash, other.verdict, other.failures)
            && one.last_failure == other.last_failure
            && one.kind == "promQL"
            && (one.verdict != Verdict::Unknown || one.message == other.message)
    };
    let kept = |fresh: &ItemStatus| before.iter().find(|before| same(before, fresh)).unwrap_or(fresh).clone();
    fresh.iter().map(kept).collect()
}

/// What is checked, without the manual verdict beside it.
fn identity(seen: &Observed, item: &Item) -> String {
    match item.kind() {
        ItemKind::Manual(_) => hash::of(&json!("manual")),
        ItemKind::LabelWatch(watch) => hash::of_any(watch),
        ItemKind::PromQl(item) => promql::identity(seen, item),
    }
}

/// Something of every item that queries Prometheus, as it is now.
fn promql_items<T>(
    seen: &Observed,
    status: &KanaryDeploymentStatus,
    of: impl Fn(&PromqlItem<'_>) -> Option<T>,
) -> Vec<T> {
    let items = seen.kanary.spec.validation.named_items();
    let queries = items.iter().filter_map(|(name, item)| Some((name, item.prom_ql.as_ref()?)));
    queries.filter_map(|(name, spec)| of(&PromqlItem::new(seen, status, name, spec))).collect()
}

/// The queries that are due; at most one for each item is under way.
#[must_use]
pub fn due_queries(seen: &Observed, status: &KanaryDeploymentStatus) -> Vec<Query> {
    promql_items(seen, status, promql::query)
}

/// Since when an item has no evidence: the earliest, if there are several.
#[must_use]
pub fn current_gap(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Gap> {
    promql_items(seen, status, promql::current_gap).into_iter().min_by_key(|gap| gap.since)
}

/// A time that is over, was without evidence for an item, and is not accounted for yet: the one that began first, because
/// the clock is set back by all others with it.
#[must_use]
pub fn unrecorded_gap(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Absence> {
    promql_items(seen, status, |item| item.unrecorded_gap()).into_iter().min_by_key(|gap| gap.from)
}

/// When to reconcile again: a query is due, or evidence is missing for too long.
#[must_use]
pub fn wake(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    // Over two intervals, and the status keeps milliseconds.
    let after = |at: Timestamp| at.saturating_add(SignedDuration::from_millis(1)).ok().filter(|at| *at > seen.now);
    let next = |item: &PromqlItem<'_>| item.due().into_iter().chain(item.stale_at().and_then(after)).min();
    promql_items(seen, status, next).into_iter().min()
}

/// Does any item query Prometheus?
#[must_use]
pub fn has_queries(seen: &Observed) -> bool {
    seen.kanary.spec.validation.items.iter().any(|item| item.prom_ql.is_some())
}

/// Was an item that gathers evidence over time added or edited since its last entry in the status? Its evidence starts
/// again. A manual verdict needs no time.
#[must_use]
pub fn is_edited(seen: &Observed) -> bool {
    let before = &seen.status().items;
    let known = |name: &str, hash: &str| {
        before.iter().any(|status| status.name == name && status.hash.as_deref() == Some(hash))
    };
    let checks = seen.kanary.spec.validation.named_items();
    !before.is_empty()
        && checks
            .iter()
            .filter(|(_, item)| !matches!(item.kind(), ItemKind::Manual(_)))
            .any(|(name, item)| !known(name, &identity(seen, item)))
}
