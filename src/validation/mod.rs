//! Is the canary good? Each item gives a verdict on the evidence so far; together they make the run's.
//!
//! No evidence is never success: an item that cannot tell holds the run.

mod label_watch;
mod manual;
pub mod promql;

use jiff::{SignedDuration, Timestamp};
use promql::{Case, Gap, line_of};
use serde_json::json;

use crate::{
    api::{Check, Item, ItemStatus, KanaryDeploymentStatus, ManualStatus, Verdict},
    decision::{Absence, Observed},
    hash,
    promql::{Evidence, Query},
};

/// What one item says, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemResult {
    /// The verdict.
    pub verdict: Verdict,
    /// Why; the same for as long as the verdict stands.
    pub message: String,
    /// What was measured, if anything was.
    pub ground: Option<Measurement>,
    /// Answers that spoke against the canary, so far.
    pub failures: i32,
    /// When the last of them was asked for.
    pub last_failure: Option<Timestamp>,
    /// At the end of the period nothing more is waited for.
    pub settled: bool,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measurement {
    /// The value that decided.
    pub value: Option<String>,
    /// What it was compared with.
    pub bound: Option<String>,
    /// The query as sent.
    pub query: Option<String>,
    /// How many samples there were.
    pub samples: Option<i32>,
}

impl Measurement {
    fn of(evidence: &Evidence, query: &str) -> Self {
        Self {
            value: Some(evidence.value.clone()),
            bound: Some(evidence.bound.clone()),
            query: Some(query.to_owned()),
            samples: i32::try_from(evidence.samples).ok(),
        }
    }
}

impl ItemResult {
    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into(), ground: None, failures: 0, last_failure: None, settled: true }
    }
}

/// What all items say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// One is violated, or a person says so.
    Invalid {
        /// One sentence that names the item.
        message: String,
    },
    /// All hold, and for long enough.
    Valid {
        /// One sentence.
        message: String,
    },
    /// Not yet: the period is not over, or an item has no evidence.
    Open {
        /// One sentence on what is waited for, once the period is over.
        message: Option<String>,
    },
}

/// What the cluster and the clock say at the moment of a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The canary was judged for the whole period.
    pub period_over: bool,
    /// It is available: all its pods but those on their way out are of its template.
    pub available: bool,
}

/// Judges the canary. `status` has the clock brought up to now.
///
/// The items are told in full; [`settle`] keeps what need not be written again.
#[must_use]
pub fn judge(seen: &Observed, status: &KanaryDeploymentStatus, moment: Timing) -> (Assessment, Vec<ItemStatus>) {
    let checks = seen.kanary.spec.validation.checks();
    let findings: Vec<ItemResult> = checks.iter().map(|(name, item)| find(seen, status, name, item, moment)).collect();
    let told = |((name, item), finding): (&(String, &Item), &ItemResult)| tell(seen, status, name, item, finding);
    let items = checks.iter().zip(&findings).map(told).collect();
    (fold(seen, &checks, &findings, moment.period_over), items)
}

fn find(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &Item, moment: Timing) -> ItemResult {
    match item.check() {
        Check::Manual(manual) => manual::find(manual, seen.kanary.spec.validation.manual.as_ref(), moment.period_over),
        Check::LabelWatch(watch) => label_watch::find(seen, status, watch, moment),
        Check::PromQl(query) => promql::find(&Case::new(seen, status, name, query)),
    }
}

fn fold(seen: &Observed, checks: &[(String, &Item)], findings: &[ItemResult], period_over: bool) -> Assessment {
    let said = || checks.iter().map(|(name, _)| name).zip(findings);
    let person = seen.kanary.spec.validation.manual.as_ref();
    if let Some(person) = person.filter(|person| person.status == Some(ManualStatus::Invalid)) {
        let reason = person.reason.as_deref().unwrap_or("no reason given");
        return Assessment::Invalid { message: format!("a person said invalid: {reason}") };
    }
    if let Some((name, finding)) = said().find(|(_, finding)| finding.verdict == Verdict::Invalid) {
        return Assessment::Invalid { message: format!("{name}: {}", finding.message) };
    }
    let unknown: Vec<String> = said()
        .filter(|(_, finding)| finding.verdict == Verdict::Unknown)
        .map(|(name, finding)| format!("{name}: {}", finding.message))
        .collect();
    // Before the deadline only a person makes a manual item valid, and a person may end the wait.
    let all_manual = checks.iter().all(|(_, item)| matches!(item.check(), Check::Manual(_)));
    let settled = findings.iter().all(|finding| finding.settled);
    match (unknown.is_empty(), period_over || all_manual) {
        (true, true) if settled => Assessment::Valid { message: success_message(seen, findings.len()) },
        // The last question is under way.
        (true, true | false) => Assessment::Open { message: None },
        (false, _) => Assessment::Open { message: period_over.then(|| unknown.join("; ")) },
    }
}

fn success_message(seen: &Observed, count: usize) -> String {
    let reason = seen.kanary.spec.validation.manual.as_ref().and_then(|person| person.reason.as_deref());
    let items = if count == 1 { "the item is valid".into() } else { format!("all {count} items are valid") };
    reason.map_or(items.clone(), |reason| format!("{items}: {reason}"))
}

/// The item's line in the status; `since` is kept while the verdict and the question stand.
fn tell(seen: &Observed, status: &KanaryDeploymentStatus, name: &str, item: &Item, finding: &ItemResult) -> ItemStatus {
    let hash = identity(seen, item);
    let before = line_of(seen, &status.items, name, &hash);
    let unchanged = before.filter(|before| before.verdict == finding.verdict);
    let ground = finding.ground.clone().unwrap_or_default();
    ItemStatus {
        name: name.to_owned(),
        kind: item.check().kind().to_owned(),
        verdict: finding.verdict,
        message: Some(finding.message.clone()),
        value: ground.value,
        bound: ground.bound,
        query: ground.query,
        samples: ground.samples,
        since: unchanged.and_then(|before| before.since).or(Some(seen.now)),
        failures: finding.failures,
        last_failure: finding.last_failure,
        hash: Some(hash),
    }
}

/// What to write of the items while a run goes on: values change at each look, so a line of promQL is only written anew
/// when its verdict, its count of failures, or the reason for having no verdict changes.
#[must_use]
pub fn settle(before: &[ItemStatus], fresh: &[ItemStatus]) -> Vec<ItemStatus> {
    let same = |one: &ItemStatus, other: &ItemStatus| {
        (&one.name, &one.hash, one.verdict, one.failures) == (&other.name, &other.hash, other.verdict, other.failures)
            && one.last_failure == other.last_failure
            && one.kind == "promQL"
            && (one.verdict != Verdict::Unknown || one.message == other.message)
    };
    let kept = |fresh: &ItemStatus| before.iter().find(|before| same(before, fresh)).unwrap_or(fresh).clone();
    fresh.iter().map(kept).collect()
}

/// What is asked, without the answer that a person writes beside it.
fn identity(seen: &Observed, item: &Item) -> String {
    match item.check() {
        Check::Manual(_) => hash::of(&json!("manual")),
        Check::LabelWatch(watch) => hash::of_any(watch),
        Check::PromQl(query) => promql::identity(seen, query),
    }
}

/// Every item that asks Prometheus, as it stands.
fn cases<T>(seen: &Observed, status: &KanaryDeploymentStatus, of: impl Fn(&Case<'_>) -> Option<T>) -> Vec<T> {
    let items = seen.kanary.spec.validation.checks();
    let queries = items.iter().filter_map(|(name, item)| Some((name, item.prom_ql.as_ref()?)));
    queries.filter_map(|(name, item)| of(&Case::new(seen, status, name, item))).collect()
}

/// The questions that are due; at most one an item is under way.
#[must_use]
pub fn due_queries(seen: &Observed, status: &KanaryDeploymentStatus) -> Vec<Query> {
    cases(seen, status, promql::query)
}

/// Since when an item has no evidence: the earliest, if there are several.
#[must_use]
pub fn gap(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Gap> {
    cases(seen, status, promql::gap).into_iter().min_by_key(|gap| gap.since)
}

/// A time that is over, was without evidence for an item, and is not accounted for yet: the one that began first, for
/// the clock is set back by all others with it.
#[must_use]
pub fn missing(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Absence> {
    cases(seen, status, |case| case.missing()).into_iter().min_by_key(|missing| missing.from)
}

/// When to look again: a question is due, or evidence is missing for too long.
#[must_use]
pub fn wake(seen: &Observed, status: &KanaryDeploymentStatus) -> Option<Timestamp> {
    // Over two intervals, and the status keeps milliseconds.
    let after = |at: Timestamp| at.saturating_add(SignedDuration::from_millis(1)).ok().filter(|at| *at > seen.now);
    cases(seen, status, |case| case.due().into_iter().chain(case.stale_at().and_then(after)).min()).into_iter().min()
}

/// Is there anything that Prometheus is asked?
#[must_use]
pub fn has_queries(seen: &Observed) -> bool {
    seen.kanary.spec.validation.items.iter().any(|item| item.prom_ql.is_some())
}

/// Was an item that gathers evidence over time added or edited since its last line in the status? Its evidence starts
/// anew. A person's word needs no time.
#[must_use]
pub fn is_edited(seen: &Observed) -> bool {
    let before = &seen.status().items;
    let known = |name: &str, hash: &str| {
        before.iter().any(|status| status.name == name && status.hash.as_deref() == Some(hash))
    };
    let checks = seen.kanary.spec.validation.checks();
    !before.is_empty()
        && checks
            .iter()
            .filter(|(_, item)| !matches!(item.check(), Check::Manual(_)))
            .any(|(name, item)| !known(name, &identity(seen, item)))
}
