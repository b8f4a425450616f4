//! What the answers so far say of an item, and since when there are none.

use jiff::Timestamp;

use super::case::Case;
use crate::{
    api::{ItemStatus, Verdict},
    promql::{Evaluation, Outcome, answer::shortened},
    validation::{ItemResult, Measurement},
};

/// A stretch of time without evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last conclusive answer, or where one should have been.
    pub since: Timestamp,
    /// One sentence.
    pub message: String,
    /// Prometheus had its chance: it was asked, and did not tell.
    pub asked: bool,
}

/// The time without evidence, if there is too much of it.
pub fn gap(case: &Case<'_>) -> Option<Gap> {
    let base = case.base().filter(|_| case.lacks_evidence())?;
    let since = base.strftime("%H:%M:%SZ");
    let why = match case.evaluation.map(|evaluation| &evaluation.outcome) {
        Some(Outcome::Unknown(why)) => format!("no conclusive answer since {since}: {why}"),
        Some(Outcome::True(_) | Outcome::False(_)) => format!("no answer since {since}"),
        None => "Prometheus has not answered yet".into(),
    };
    let asked = case.evaluation.is_some_and(|evaluation| !evaluation.outcome.is_conclusive());
    Some(Gap { since: base, message: format!("{}: {why}", case.name), asked })
}

/// What the item says.
pub fn find(case: &Case<'_>) -> ItemResult {
    let before = case.before();
    let (failures, last_failure) = count(before, case.evaluation);
    let finding = if failures > case.item.failure_limit {
        failed(before, case.evaluation, failures)
    } else {
        case.evaluation.map_or_else(|| silent(before), |evaluation| said(case, evaluation, failures))
    };
    ItemResult { failures, last_failure, ..finding }
}

/// Each false answer counts once, however often it is looked at: the status remembers when the last one was asked for.
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
        return ItemResult::new(Verdict::Invalid, message.unwrap_or_else(|| format!("{failures} false answers")));
    };
    let count = if failures > 1 { format!(" (false answer {failures})") } else { String::new() };
    let message = format!("{}{count}; query: {}", evidence.message, shortened(query, 300));
    ItemResult { ground: Some(Measurement::of(evidence, query)), ..ItemResult::new(Verdict::Invalid, message) }
}

fn said(case: &Case<'_>, evaluation: &Evaluation, failures: i32) -> ItemResult {
    match &evaluation.outcome {
        Outcome::True(evidence) => ItemResult {
            ground: Some(Measurement::of(evidence, &evaluation.query)),
            settled: case.status.deadline.is_some_and(|deadline| deadline <= evaluation.at),
            ..ItemResult::new(Verdict::Valid, &evidence.message)
        },
        Outcome::False(evidence) => {
            let forgiven = format!("forgiven {failures} of {}: {}", case.item.failure_limit, evidence.message);
            ItemResult {
                ground: Some(Measurement::of(evidence, &evaluation.query)),
                ..ItemResult::new(Verdict::Unknown, forgiven)
            }
        }
        Outcome::Unknown(why) => {
            let ground = Measurement { query: Some(evaluation.query.clone()), ..Measurement::default() };
            ItemResult { ground: Some(ground), ..ItemResult::new(Verdict::Unknown, why) }
        }
    }
}

/// Nothing is known of the question, as after a restart: what the status says stands until an answer comes. It makes no
/// success: that needs an answer.
fn silent(before: Option<&ItemStatus>) -> ItemResult {
    let known = before.filter(|before| before.verdict != Verdict::Invalid);
    let kept = known.and_then(|before| Some(ItemResult::new(before.verdict, before.message.clone()?)));
    let finding = kept.unwrap_or_else(|| ItemResult::new(Verdict::Unknown, "Prometheus has not answered yet"));
    ItemResult { settled: false, ..finding }
}
