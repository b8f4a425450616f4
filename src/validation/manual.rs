//! A manual verdict, and what counts at the deadline without one.

use super::item_result::ItemResult;
use crate::api::{DefaultStatus, Manual, ManualOverride, ManualStatus, Verdict};

/// The item's own verdict goes first, then the verdict on the whole run, then the default at the deadline.
pub(super) fn evaluate(item: &Manual, run: Option<&ManualOverride>, period_over: bool) -> ItemResult {
    let verdict = item.status.or_else(|| run.and_then(|run| run.status));
    let default =
        item.status_after_deadline.or_else(|| run.and_then(|run| run.status_after_deadline)).unwrap_or_default();
    match (verdict, default) {
        (Some(ManualStatus::Valid), _) => ItemResult::new(Verdict::Valid, "approved manually"),
        (Some(ManualStatus::Invalid), _) => ItemResult::new(Verdict::Invalid, "rejected manually"),
        (None, DefaultStatus::Valid) if period_over => {
            ItemResult::new(Verdict::Valid, "no manual verdict before the deadline; statusAfterDeadline is valid")
        }
        (None, DefaultStatus::Invalid) if period_over => {
            ItemResult::new(Verdict::Invalid, "no manual verdict before the deadline; statusAfterDeadline is invalid")
        }
        (None, _) => {
            ItemResult::new(Verdict::Unknown, "waiting for a manual verdict: set spec.validation.manual.status")
        }
    }
}
