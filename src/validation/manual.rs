//! A manual verdict, and what counts at the deadline without one.

use super::item_result::ItemResult;
use crate::api::{DefaultStatus, Manual, ManualOverride, ManualStatus, Verdict};

const WAITING: &str = "waiting for a manual verdict: set spec.validation.manual.status";

/// A default for the run that the item overrides looks as if it counted, so the message says that it does not.
fn waiting(item: &Manual, run: Option<&ManualOverride>) -> String {
    let of_run = run.and_then(|run| run.status_after_deadline);
    match (item.status_after_deadline, of_run) {
        (Some(own), Some(of_run)) if own != of_run => format!(
            "{WAITING}; spec.validation.manual.statusAfterDeadline: {} does not apply, because the item sets its own, {}",
            of_run.as_str(),
            own.as_str()
        ),
        (Some(_) | None, Some(_) | None) => WAITING.to_owned(),
    }
}

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
        (None, _) => ItemResult::new(Verdict::Unknown, waiting(item, run)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_does_not_apply_is_named() {
        use DefaultStatus::{Invalid, None as Nothing, Valid};
        for (own, of_run, is_named) in [
            (None, None, false),
            (Some(Nothing), None, false),
            (None, Some(Valid), false),
            (Some(Valid), Some(Valid), false),
            (Some(Nothing), Some(Valid), true),
            (Some(Invalid), Some(Valid), true),
        ] {
            let item = Manual { status_after_deadline: own, status: None };
            let run = ManualOverride { status_after_deadline: of_run, ..ManualOverride::default() };
            let message = evaluate(&item, Some(&run), false).message;
            let words =
                "spec.validation.manual.statusAfterDeadline: valid does not apply, because the item sets its own, ";
            assert_eq!(message.contains(words), is_named, "{own:?} {of_run:?}: {message}");
        }
    }
}
