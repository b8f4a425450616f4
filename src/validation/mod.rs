//! Is the canary good? Each item gives a verdict on the evidence so far; together they make the run's.
//!
//! No evidence is never success: an item that cannot tell holds the run.

mod label_watch;
mod manual;

use serde_json::json;

use crate::{
    api::{Check, Item, ItemStatus, Verdict, Word},
    lifecycle::Observed,
    seen::hash,
};

/// What one item says, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Why; the same for as long as the verdict stands.
    pub message: String,
}

impl Finding {
    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into() }
    }
}

/// What all items say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
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

/// Judges the canary. `period_over`: it was judged for the whole period.
#[must_use]
pub fn judge(seen: &Observed, period_over: bool) -> (Judgement, Vec<ItemStatus>) {
    let validation = &seen.kanary.spec.validation;
    let checks = validation.checks();
    let findings: Vec<Finding> = checks.iter().map(|(_, item)| find(seen, item, period_over)).collect();
    let statuses =
        checks.iter().zip(&findings).map(|((name, item), finding)| status(seen, name, item, finding)).collect();
    (fold(seen, &checks, &findings, period_over), statuses)
}

fn find(seen: &Observed, item: &Item, period_over: bool) -> Finding {
    match item.check() {
        Check::Manual(manual) => manual::find(manual, seen.kanary.spec.validation.manual.as_ref(), period_over),
        Check::LabelWatch(watch) => label_watch::find(seen, watch, period_over),
        Check::PromQl(_) => Finding::new(Verdict::Unknown, "promQL is not built yet: this item never has evidence"),
    }
}

fn fold(seen: &Observed, checks: &[(String, Item)], findings: &[Finding], period_over: bool) -> Judgement {
    let said = || checks.iter().map(|(name, _)| name).zip(findings);
    let person = seen.kanary.spec.validation.manual.as_ref();
    if let Some(person) = person.filter(|person| person.status == Some(Word::Invalid)) {
        let reason = person.reason.as_deref().unwrap_or("no reason given");
        return Judgement::Invalid { message: format!("a person said invalid: {reason}") };
    }
    if let Some((name, finding)) = said().find(|(_, finding)| finding.verdict == Verdict::Invalid) {
        return Judgement::Invalid { message: format!("{name}: {}", finding.message) };
    }
    let unknown: Vec<String> = said()
        .filter(|(_, finding)| finding.verdict == Verdict::Unknown)
        .map(|(name, finding)| format!("{name}: {}", finding.message))
        .collect();
    // Before the deadline only a person makes a manual item valid, and a person may end the wait.
    let all_manual = checks.iter().all(|(_, item)| matches!(item.check(), Check::Manual(_)));
    match (unknown.is_empty(), period_over || all_manual) {
        (true, true) => Judgement::Valid { message: praise(seen, findings.len()) },
        (true, false) | (false, _) => Judgement::Open { message: period_over.then(|| unknown.join("; ")) },
    }
}

fn praise(seen: &Observed, count: usize) -> String {
    let reason = seen.kanary.spec.validation.manual.as_ref().and_then(|person| person.reason.as_deref());
    let items = if count == 1 { "the item is valid".into() } else { format!("all {count} items are valid") };
    reason.map_or(items.clone(), |reason| format!("{items}: {reason}"))
}

/// The item's line in the status; `since` and the failures so far are kept while the verdict and the question stand.
fn status(seen: &Observed, name: &str, item: &Item, finding: &Finding) -> ItemStatus {
    let hash = question(item);
    let persisted = seen.status().items.into_iter().find(|status| status.name == name);
    let unchanged =
        persisted.filter(|before| before.verdict == finding.verdict && before.hash.as_deref() == Some(&hash));
    ItemStatus {
        name: name.to_owned(),
        kind: item.check().kind().to_owned(),
        verdict: finding.verdict,
        message: Some(finding.message.clone()),
        value: None,
        query: None,
        since: unchanged.as_ref().and_then(|before| before.since).or(Some(seen.now)),
        failures: unchanged.map_or(0, |before| before.failures),
        hash: Some(hash),
    }
}

/// What is asked, without the answer that a person writes beside it.
fn question(item: &Item) -> String {
    match item.check() {
        Check::Manual(_) => hash::of(&json!("manual")),
        Check::LabelWatch(watch) => hash::of_any(watch),
        Check::PromQl(query) => hash::of_any(query),
    }
}

/// Was an item that gathers evidence over time added or edited since its last line in the status? Its evidence starts
/// anew. A person's word needs no time.
#[must_use]
pub fn is_edited(seen: &Observed) -> bool {
    let before = seen.status().items;
    let known = |name: &str, hash: &str| {
        before.iter().any(|status| status.name == name && status.hash.as_deref() == Some(hash))
    };
    let checks = seen.kanary.spec.validation.checks();
    !before.is_empty()
        && checks
            .iter()
            .filter(|(_, item)| !matches!(item.check(), Check::Manual(_)))
            .any(|(name, item)| !known(name, &question(item)))
}
