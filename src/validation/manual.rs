//! A person's word, and what silence means at the deadline.

use super::ItemResult;
use crate::api::{DefaultStatus, Manual, ManualOverride, ManualStatus, Verdict};

/// The item's own word goes first, then the word on the whole run, then silence.
pub(super) fn find(item: &Manual, run: Option<&ManualOverride>, period_over: bool) -> ItemResult {
    let said = item.status.or_else(|| run.and_then(|run| run.status));
    let silence =
        item.status_after_deadline.or_else(|| run.and_then(|run| run.status_after_deadline)).unwrap_or_default();
    match (said, silence) {
        (Some(ManualStatus::Valid), _) => ItemResult::new(Verdict::Valid, "a person said valid"),
        (Some(ManualStatus::Invalid), _) => ItemResult::new(Verdict::Invalid, "a person said invalid"),
        (None, DefaultStatus::Valid) if period_over => {
            ItemResult::new(Verdict::Valid, "nobody spoke before the deadline, which means valid (statusAfterDeadline)")
        }
        (None, DefaultStatus::Invalid) if period_over => ItemResult::new(
            Verdict::Invalid,
            "nobody spoke before the deadline, which means invalid (statusAfterDeadline)",
        ),
        (None, _) => ItemResult::new(Verdict::Unknown, "waits for a person: set spec.validation.manual.status"),
    }
}
