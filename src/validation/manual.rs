//! A manual verdict, and what counts at the deadline without one.

use super::{
    given::{self, Given},
    item_result::ItemResult,
};
use crate::{
    api::{DefaultStatus, KanaryDeployment, KanaryDeploymentStatus, Manual, ManualOverride, ManualStatus, Verdict},
    objects::Object,
};

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

/// The item's own verdict goes first, then the verdict on the whole run, then the default at the deadline. A verdict that
/// is for another run is as good as none.
pub(super) fn evaluate(
    kanary: &KanaryDeployment,
    status: &KanaryDeploymentStatus,
    (name, item): (&str, &Manual),
    period_over: bool,
) -> ItemResult {
    let run = kanary.spec.validation.manual.as_ref();
    let default =
        item.status_after_deadline.or_else(|| run.and_then(|run| run.status_after_deadline)).unwrap_or_default();
    let all = [given::on_item(name, item), given::on_run(kanary)];
    let verdict = all.iter().flatten().find(|given| given.counts(status));
    match (verdict.map(|given| (given.verdict, given.author())), default) {
        (Some((ManualStatus::Valid, author)), _) => {
            ItemResult::new(Verdict::Valid, format!("approved manually{author}"))
        }
        (Some((ManualStatus::Invalid, author)), _) => {
            ItemResult::new(Verdict::Invalid, format!("rejected manually{author}"))
        }
        (None, DefaultStatus::Valid) if period_over => {
            ItemResult::new(Verdict::Valid, "no manual verdict before the deadline; statusAfterDeadline is valid")
        }
        (None, DefaultStatus::Invalid) if period_over => {
            ItemResult::new(Verdict::Invalid, "no manual verdict before the deadline; statusAfterDeadline is invalid")
        }
        (None, _) => {
            let outdated = all.iter().flatten().next().map(|given| not_counting(kanary, status, given));
            ItemResult::new(Verdict::Unknown, outdated.unwrap_or_else(|| waiting(item, run)))
        }
    }
}

fn not_counting(kanary: &KanaryDeployment, status: &KanaryDeploymentStatus, given: &Given<'_>) -> String {
    let whose = given.whose(status);
    format!("waiting for a manual verdict: {whose}; approve it with: kubectl kanary approve {}", kanary.name())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            let item = Manual { status_after_deadline: own, ..Manual::default() };
            let run = ManualOverride { status_after_deadline: of_run, ..ManualOverride::default() };
            let kanary = json!({"metadata": {}, "spec": {"template": {}, "validation": {"manual": run}}});
            let kanary: KanaryDeployment = serde_json::from_value(kanary).expect("a KanaryDeployment");
            let status = KanaryDeploymentStatus::default();
            let message = evaluate(&kanary, &status, ("manual-0", &item), false).message;
            let words =
                "spec.validation.manual.statusAfterDeadline: valid does not apply, because the item sets its own, ";
            assert_eq!(message.contains(words), is_named, "{own:?} {of_run:?}: {message}");
        }
    }
}
