//! What the evaluations so far say of an item, and since when there is no evidence.

use jiff::Timestamp;

use super::{item::PromqlItem, lint};
use crate::{
    api::{ItemStatus, Verdict, text::shortened},
    promql::{Evaluation, Outcome},
    validation::item_result::{ItemResult, Measurement},
};

/// A stretch of time without evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last conclusive result, or where one should have been.
    pub since: Timestamp,
    /// One sentence.
    pub message: String,
    /// Prometheus was queried, and gave no conclusive result.
    pub was_queried: bool,
}

/// The time without evidence, if there is too much of it.
pub fn current_gap(item: &PromqlItem<'_>) -> Option<Gap> {
    if !item.lacks_evidence() {
        return None;
    }
    let base = item.base()?;
    let since = time(base);
    let why = match item.evaluation.map(|evaluation| &evaluation.outcome) {
        Some(Outcome::Unknown(why)) => format!("no conclusive answer since {since}: {why}"),
        Some(Outcome::True(_) | Outcome::False(_)) => format!("no answer since {since}"),
        None => refused(item).unwrap_or_else(|| "Prometheus has not answered yet".into()),
    };
    let was_queried = item.evaluation.is_some_and(|evaluation| !evaluation.outcome.is_conclusive());
    Some(Gap { since: base, message: format!("{}: {why}", item.name), was_queried })
}

/// What the item says.
pub fn evaluate(item: &PromqlItem<'_>) -> ItemResult {
    let before = item.before();
    let (failures, last_failure) = count(before, item.evaluation);
    let result = if failures > item.spec.failure_limit {
        failed(before, item.evaluation, failures)
    } else {
        item.evaluation.map_or_else(|| unevaluated(item), |evaluation| conclude(item, evaluation, failures))
    };
    ItemResult { failures, last_failure, ..result }
}

/// Each failed evaluation counts once, however often it is observed: the status remembers when the query of the last
/// one was sent.
fn count(before: Option<&ItemStatus>, evaluation: Option<&Evaluation>) -> (i32, Option<Timestamp>) {
    let (failures, last) = before.map_or((0, None), |before| (before.failures, before.last_failure));
    match evaluation {
        Some(Evaluation { outcome: Outcome::False(_), at, .. }) if last < Some(*at) => {
            (failures.saturating_add(1), Some(*at))
        }
        Some(_) | None => (failures, last),
    }
}

fn failed(before: Option<&ItemStatus>, evaluation: Option<&Evaluation>, failures: i32) -> ItemResult {
    let Some(Evaluation { outcome: Outcome::False(evidence), query, .. }) = evaluation else {
        let message = before.and_then(|before| before.message.clone());
        return ItemResult::new(Verdict::Invalid, message.unwrap_or_else(|| format!("{failures} failed evaluations")));
    };
    let count = if failures > 1 { format!(" (failed evaluation {failures})") } else { String::new() };
    let message = format!("{}{count}; query: {}", evidence.message, shortened(query, 300));
    ItemResult { measurement: Some(Measurement::of(evidence, query)), ..ItemResult::new(Verdict::Invalid, message) }
}

fn conclude(item: &PromqlItem<'_>, evaluation: &Evaluation, failures: i32) -> ItemResult {
    match &evaluation.outcome {
        Outcome::True(evidence) => ItemResult {
            measurement: Some(Measurement::of(evidence, &evaluation.query)),
            is_final: item.status.deadline.is_some_and(|deadline| deadline <= evaluation.at),
            // The status keeps it until the verdict changes, so it says how old it is.
            ..ItemResult::new(Verdict::Valid, format!("{} (at {})", evidence.message, time(evaluation.at)))
        },
        Outcome::False(evidence) => {
            let tolerated =
                format!("tolerated failure {failures} of {}: {}", item.spec.failure_limit, evidence.message);
            ItemResult {
                measurement: Some(Measurement::of(evidence, &evaluation.query)),
                ..ItemResult::new(Verdict::Unknown, tolerated)
            }
        }
        Outcome::Unknown(why) => {
            let measurement = Measurement { query: Some(evaluation.query.clone()), ..Measurement::default() };
            ItemResult { measurement: Some(measurement), ..ItemResult::new(Verdict::Unknown, why) }
        }
    }
}

/// There is no evaluation, as after a restart: what the status says is kept until there is one. It does not count as
/// success, which needs a result.
fn unevaluated(item: &PromqlItem<'_>) -> ItemResult {
    let had_result = |before: &&ItemStatus| before.verdict != Verdict::Invalid && before.query.is_some();
    let kept = item.before().filter(had_result);
    let kept = kept.and_then(|before| Some(ItemResult::new(before.verdict, before.message.clone()?)));
    let result = kept.unwrap_or_else(|| ItemResult::new(Verdict::Unknown, awaited(item)));
    ItemResult { is_final: false, ..result }
}

/// What is waited for before the first result.
fn awaited(item: &PromqlItem<'_>) -> String {
    refused(item).unwrap_or_else(|| until_queried(item))
}

/// An item that is edited in a run may be wrong: its query is never sent.
fn refused(item: &PromqlItem<'_>) -> Option<String> {
    let why = lint::against(item.seen, item.spec)?;
    Some(format!("Prometheus is not queried: {}", shortened(&why.message, 300)))
}

fn until_queried(item: &PromqlItem<'_>) -> String {
    let held_since = item.status.held_since;
    match item.begins() {
        None => "Prometheus is queried once validation begins".into(),
        // The clock stands still, so the time of the first query is not known; nothing would wake to say another.
        Some(begins) if held_since.is_some_and(|held| begins > held) => {
            "Prometheus is queried after initialDelay, once the clock runs again".into()
        }
        Some(begins) if held_since.is_none() && begins > item.seen.now => {
            let is_unclean = item.status.clean_from.is_some_and(|clean| clean > item.seen.now);
            let why = if is_unclean { "until then its ranges reach into the run before" } else { "initialDelay" };
            format!("Prometheus is queried from {} on ({why})", time(begins))
        }
        Some(_) => "Prometheus has not answered yet".into(),
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}
