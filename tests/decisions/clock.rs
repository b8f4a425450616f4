//! The clock of a validation.

use kanary::{
    decision::{Absence, Lookup, Observed},
    lifecycle::{lookup, plan},
};
use serde_json::{Value, json};

use crate::given::{at, observed, status, with_canary};

/// Validating since second 0, for 60 s; seen so many seconds later.
fn validating(seconds: i64, more: Value) -> Observed {
    delayed("0s", seconds, more)
}

fn delayed(initial_delay: &str, seconds: i64, more: Value) -> Observed {
    let items = json!([{"labelWatch": {"podInvalidationLabels": {"bad": "y"}}}]);
    let spec = json!({"validation": {"initialDelay": initial_delay, "validationPeriod": "60s", "items": items}});
    let mut clock = json!({
        "validationStartedAt": at(0).to_string(), "evidenceSince": at(0).to_string(),
        "canary": {"deployment": "try-kanary"},
    });
    crate::given::merge(&mut clock, more);
    let status = status(&spec, "Validating", clock);
    let mut seen = with_canary(observed(spec, status));
    seen.now = at(seconds);
    seen
}

fn told(seen: &Observed) -> Value {
    json!(plan(seen).status.expect("something to tell").status)
}

#[test]
fn a_period_without_a_hitch_ends_at_its_deadline() {
    let status = told(&validating(1, json!({})));
    assert_eq!((&status["phase"], &status["deadline"]), (&json!("Validating"), &json!(at(60).to_string())));
    assert_eq!(told(&validating(60, json!({})))["phase"], "Promoting");
    assert_eq!(told(&validating(59, json!({})))["phase"], "Validating");
}

#[test]
fn the_initial_delay_comes_on_top_of_the_period() {
    assert_eq!(told(&delayed("30s", 1, json!({})))["deadline"], json!(at(90).to_string()));
    assert_eq!(told(&delayed("30s", 89, json!({})))["phase"], "Validating");
    assert_eq!(told(&delayed("30s", 90, json!({})))["phase"], "Promoting");
}

#[test]
fn the_clock_stands_still_while_the_canary_is_not_available() {
    let mut seen = validating(10, json!({}));
    seen.pods.clear();
    assert_eq!(told(&seen)["heldSince"], json!(at(10).to_string()));
    // 30 s later it is back: the deadline moves by as much.
    let status = told(&validating(40, json!({"heldSince": at(10).to_string()})));
    assert_eq!(status["heldSince"], Value::Null);
    assert_eq!(status["deadline"], json!(at(90).to_string()));
}

#[test]
fn a_canary_that_is_not_available_is_never_promoted_whatever_the_time() {
    let mut seen = validating(100_000, json!({"heldSince": at(50).to_string()}));
    let canary = std::sync::Arc::make_mut(seen.canary.as_mut().expect("canary"));
    canary.status.available_replicas = 0;
    // The Deployment's own condition lies at maxUnavailable 100%.
    canary.status.conditions =
        serde_json::from_value(json!([{"type": "Available", "status": "True"}])).expect("conditions");
    assert_eq!(told(&seen)["phase"], "Validating");
}

#[test]
fn time_in_which_nobody_watched_does_not_count_and_counts_once() {
    let mut seen = validating(70, json!({}));
    seen.absences = vec![Absence { from: at(-50), until: at(-40) }, Absence { from: at(20), until: at(50) }];
    let status = told(&seen);
    assert_eq!((&status["phase"], &status["deadline"]), (&json!("Validating"), &json!(at(90).to_string())));
    let kanary = std::sync::Arc::make_mut(&mut seen.kanary);
    kanary.status = serde_json::from_value(status).expect("a status");
    assert_eq!(plan(&seen).status, None, "the same absence does not move the deadline twice");
}

#[test]
fn an_absence_within_a_hold_is_part_of_the_hold() {
    let mut seen = validating(60, json!({"heldSince": at(10).to_string()}));
    seen.absences = vec![Absence { from: at(20), until: at(50) }];
    assert_eq!(told(&seen)["deadline"], json!(at(110).to_string()));
}

#[test]
fn a_broken_watch_holds_the_clock_from_when_it_broke() {
    let mut seen = validating(70, json!({}));
    seen.watch_broken_since = Some(at(50));
    let status = told(&seen);
    assert_eq!((&status["phase"], &status["heldSince"]), (&json!("Validating"), &json!(at(50).to_string())));
    assert!(status["message"].as_str().is_some_and(|message| message.contains("a watch is broken")), "{status}");
    // 10 s later it sees again: the deadline moves by all that it did not see.
    let status = told(&validating(80, json!({"heldSince": at(50).to_string()})));
    assert_eq!(status["deadline"], json!(at(90).to_string()));
}

#[test]
fn what_nobody_watched_is_not_held_twice() {
    let mut seen = validating(70, json!({}));
    seen.absences = vec![Absence { from: at(20), until: at(50) }];
    seen.watch_broken_since = Some(at(30));
    assert_eq!(told(&seen)["heldSince"], json!(at(50).to_string()));
}

/// One that was not recorded while it lasted, and one that lies in another.
#[test]
fn what_was_missed_counts_once_however_it_was_missed() {
    let absences = vec![Absence { from: at(10), until: at(40) }, Absence { from: at(20), until: at(30) }];
    let mut seen = validating(50, json!({}));
    seen.absences.clone_from(&absences);
    assert_eq!(told(&seen)["deadline"], json!(at(90).to_string()));
    // It was held from 10 on: the hold is all there is to count, until it ends.
    let mut seen = validating(50, json!({"heldSince": at(10).to_string()}));
    seen.absences = absences;
    assert_eq!(told(&seen)["deadline"], json!(at(100).to_string()));
}

#[test]
fn who_does_not_see_the_canary_does_not_give_it_up() {
    let unavailable = json!({"heldSince": at(0).to_string(), "canary": {"unavailableSince": at(0).to_string()}});
    let mut seen = validating(700, unavailable);
    std::sync::Arc::make_mut(seen.canary.as_mut().expect("canary")).status.available_replicas = 0;
    assert_eq!(told(&seen)["phase"], "Failing");
    seen.watch_broken_since = Some(at(650));
    assert_eq!(told(&seen)["phase"], "Validating");
}

#[test]
fn an_edited_item_starts_its_evidence_anew_but_a_persons_word_does_not() {
    let before =
        json!([{"name": "labelWatch-0", "kind": "labelWatch", "verdict": "Unknown", "hash": "of another question"}]);
    let status = told(&validating(50, json!({"items": before})));
    assert_eq!(status["deadline"], json!(at(110).to_string()));
}

/// The delay is not waited for a second time: after it, an edit starts only the period again.
#[test]
fn an_edit_does_not_begin_the_initial_delay_anew() {
    let edited =
        json!([{"name": "labelWatch-0", "kind": "labelWatch", "verdict": "Unknown", "hash": "of another question"}]);
    let at_rest = |seconds: i64, more: Value| {
        let mut clock = json!({"items": edited});
        crate::given::merge(&mut clock, more);
        delayed("30s", seconds, clock)
    };
    let began = |status: &Value| (status["evidenceSince"].clone(), status["deadline"].clone());
    // The whole period lies ahead of an edit within the delay.
    let held = json!({"held": "10s", "accountedUntil": at(10).to_string()});
    for (seconds, more, since, deadline) in [
        (20, json!({}), 0, 90),
        (30, json!({}), 30, 90),
        (50, json!({}), 50, 110),
        (35, held.clone(), 0, 100),
        (40, held, 40, 100),
    ] {
        let status = told(&at_rest(seconds, more));
        assert_eq!(began(&status), (json!(at(since).to_string()), json!(at(deadline).to_string())), "{seconds}");
    }
    let mut absent = at_rest(35, json!({}));
    absent.absences = vec![Absence { from: at(5), until: at(15) }];
    assert_eq!(
        began(&told(&absent)),
        (json!(at(0).to_string()), json!(at(100).to_string())),
        "time that did not count"
    );
    let mut blind = at_rest(35, json!({}));
    blind.watch_broken_since = Some(at(20));
    assert_eq!(told(&blind)["evidenceSince"], json!(at(0).to_string()), "the clock stood still at 20");
}

/// It is final, and a watch that fell silent cannot be told from one that has nothing to report.
#[test]
fn a_success_is_checked_against_the_cluster_first() {
    let mut seen = validating(60, json!({}));
    seen.is_fresh = false;
    assert_eq!(lookup(&seen), Some(Lookup::ReadCanary));
    assert_ne!(told(&seen)["phase"], "Promoting", "not even if it cannot be read");
    seen.is_fresh = true;
    assert_eq!((lookup(&seen), told(&seen)["phase"].clone()), (None, json!("Promoting")));
    let mut early = validating(59, json!({}));
    early.is_fresh = false;
    assert_eq!(lookup(&early), None, "there is nothing to be sure of yet");
}
