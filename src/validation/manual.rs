//! A person's word, and what silence means at the deadline.

use super::Finding;
use crate::api::{Manual, ManualOverride, Silence, Verdict, Word};

/// The item's own word goes first, then the word on the whole run, then silence.
pub(super) fn find(item: &Manual, run: Option<&ManualOverride>, period_over: bool) -> Finding {
    let said = item.status.or_else(|| run.and_then(|run| run.status));
    let silence =
        item.status_after_deadline.or_else(|| run.and_then(|run| run.status_after_deadline)).unwrap_or_default();
    match (said, silence) {
        (Some(Word::Valid), _) => Finding::new(Verdict::Valid, "a person said valid"),
        (Some(Word::Invalid), _) => Finding::new(Verdict::Invalid, "a person said invalid"),
        (None, Silence::Valid) if period_over => {
            Finding::new(Verdict::Valid, "nobody spoke before the deadline, which means valid (statusAfterDeadline)")
        }
        (None, Silence::Invalid) if period_over => Finding::new(
            Verdict::Invalid,
            "nobody spoke before the deadline, which means invalid (statusAfterDeadline)",
        ),
        (None, _) => Finding::new(Verdict::Unknown, "waits for a person: set spec.validation.manual.status"),
    }
}
