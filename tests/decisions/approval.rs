//! A manual verdict counts for the run that it was given for, and for no other.

use kanary::{
    api::{KanaryDeploymentStatus, Phase},
    decision::Observed,
    lifecycle,
};
use serde_json::{Value, json};

use crate::given::{dry_run, merge, observed, promoted, status, with_canary};

/// Run `run` of the template `image`, under way and ready to be promoted.
fn validating(spec: Value, run: i64, more: Value) -> Observed {
    let mut about =
        json!({"run": run, "validationStartedAt": crate::given::at(-60).to_string(), "observedGeneration": 1});
    merge(&mut about, more);
    let mut seen = with_canary(observed(spec.clone(), status(&spec, "Validating", about)));
    seen.is_fresh = true;
    seen.dry_run = Some(dry_run(&seen, Ok(promoted("hash-of-v2"))));
    seen
}

fn told(seen: &Observed) -> KanaryDeploymentStatus {
    lifecycle::plan(seen).status.map_or_else(|| seen.status().clone(), |update| update.status)
}

fn verdicts(status: &KanaryDeploymentStatus) -> Value {
    json!(status.manual_verdicts)
}

fn manual(manual: &Value) -> Value {
    json!({"validation": {"manual": manual}})
}

#[test]
fn a_verdict_counts_for_its_run_only() {
    let hash = validating(json!({}), 1, json!({})).kanary.spec.template.hash().to_owned();
    let known = |run: i64| json!([{"verdict": "valid", "run": run}]);
    // The verdict, what the status knows in run 3, what becomes of it, why not
    let cases = [
        (json!({"status": "valid"}), json!([]), Phase::Promoting, ""),
        (json!({"status": "valid"}), known(3), Phase::Promoting, ""),
        (json!({"status": "valid"}), known(2), Phase::Validating, "approved for run 2, not for run 3"),
        (json!({"status": "valid", "run": 3}), json!([]), Phase::Promoting, ""),
        (json!({"status": "valid", "run": 3}), known(2), Phase::Promoting, ""),
        (json!({"status": "valid", "run": 2}), json!([]), Phase::Validating, "approved for run 2, not for run 3"),
        (json!({"status": "valid", "run": 2}), known(3), Phase::Validating, "approved for run 2, not for run 3"),
        (json!({"status": "valid", "run": 3, "templateHash": hash}), json!([]), Phase::Promoting, ""),
        (json!({"status": "valid", "templateHash": hash}), json!([]), Phase::Promoting, ""),
        (json!({"status": "valid", "templateHash": "x"}), json!([]), Phase::Validating, "for another template"),
        (
            json!({"status": "valid", "run": 3, "templateHash": "x"}),
            json!([]),
            Phase::Validating,
            "for another template",
        ),
        // Another reason makes another verdict.
        (json!({"status": "valid", "reason": "looked again"}), known(2), Phase::Promoting, ""),
        (json!({"status": "invalid"}), known(2), Phase::Failing, ""),
        (
            json!({"status": "invalid"}),
            json!([{"verdict": "invalid", "run": 2}]),
            Phase::Validating,
            "rejected for run 2",
        ),
        (json!({"status": "invalid", "run": 2}), json!([]), Phase::Validating, "rejected for run 2, not for run 3"),
    ];
    for (verdict, known, phase, why) in cases {
        let told = told(&validating(manual(&verdict), 3, json!({"manualVerdicts": known})));
        assert_eq!(told.phase, Some(phase), "{verdict} {known}: {:?}", told.message);
        let item = told.items.first().and_then(|item| item.message.clone()).unwrap_or_default();
        assert!(item.contains(why), "{verdict} {known}: {item}");
        if phase == Phase::Validating {
            let message = told.message.unwrap_or_default();
            assert!(message.contains(why) && message.contains("kubectl kanary approve try"), "{message}");
            assert_eq!(told.report.map(|report| report.status).as_deref(), Some("Waiting for approval"));
        }
    }
}

/// A crash between seeing it and promoting by it would otherwise leave it to the next run.
#[test]
fn it_is_known_in_the_write_that_decides_by_it() {
    let seen = validating(manual(&json!({"status": "valid"})), 3, json!({}));
    let update = lifecycle::plan(&seen).status.expect("a status");
    assert_eq!((update.status.phase, update.can_wait), (Some(Phase::Promoting), false));
    assert_eq!(verdicts(&update.status), json!([{"verdict": "valid", "run": 3}]));
}

/// It is seen while another item keeps the run from its end: that is written at once.
#[test]
fn an_early_verdict_is_known_at_once() {
    let items = json!([{"name": "ann", "manual": {}}, {"labelWatch": {"podInvalidationLabels": {"bad": "y"}}}]);
    let mut before = told(&validating(json!({"validation": {"items": items}}), 3, json!({})));
    before.observed_generation = Some(1);
    let spec = json!({"validation": {"items": items, "manual": {"status": "valid"}}});
    let seen = validating(spec, 3, json!(before));
    let update = lifecycle::plan(&seen).status.expect("a status");
    assert!(!update.can_wait);
    assert_eq!(verdicts(&update.status), json!([{"verdict": "valid", "run": 3}]));
}

#[test]
fn the_next_run_of_a_template_needs_its_own() {
    let verdict = json!({"status": "valid"});
    let known = json!([{"verdict": "valid", "run": 1}]);
    let ways = [
        // A new template after the end, one while the canary runs, another runID.
        ("Succeeded", json!({"templateHash": "old"})),
        ("Validating", json!({"templateHash": "old"})),
        ("Starting", json!({"templateHash": "old"})),
        ("Failed", json!({"runID": "old"})),
    ];
    for (phase, more) in ways {
        let mut about = json!({"phase": phase, "manualVerdicts": known, "observedGeneration": 1});
        merge(&mut about, more);
        let mut seen = validating(manual(&verdict), 1, about);
        std::sync::Arc::make_mut(&mut seen.kanary).metadata.generation = Some(2);
        let next = told(&seen);
        assert_eq!((next.run, verdicts(&next)), (Some(2), known.clone()), "{phase}");
        let second = told(&validating(manual(&verdict), 2, json!({"manualVerdicts": known})));
        assert_eq!(second.phase, Some(Phase::Validating), "{phase}");
    }
}

/// What changed with the template is for it; what may have come before is not.
#[test]
fn a_verdict_that_comes_with_a_template_is_for_it() {
    for (phase, generation, run) in
        [("Succeeded", 2, 2), ("Succeeded", 3, 1), ("Validating", 2, 2), ("Validating", 3, 1), ("Failed", 4, 1)]
    {
        let about = json!({"phase": phase, "templateHash": "old", "observedGeneration": 1});
        let mut seen = validating(manual(&json!({"status": "valid"})), 1, about);
        std::sync::Arc::make_mut(&mut seen.kanary).metadata.generation = Some(generation);
        let next = told(&seen);
        assert_eq!(next.run, Some(2));
        assert_eq!(verdicts(&next), json!([{"verdict": "valid", "run": run}]), "{phase} {generation}");
    }
}

#[test]
fn the_first_run_takes_the_verdict_of_its_manifest() {
    let seen = observed(manual(&json!({"status": "valid"})), Value::Null);
    assert_eq!(verdicts(&told(&seen)), json!([{"verdict": "valid", "run": 1}]));
}

#[test]
fn what_is_said_after_the_end_is_for_the_run_that_ended() {
    for phase in ["Succeeded", "Failed"] {
        let seen = validating(manual(&json!({"status": "valid"})), 4, json!({"phase": phase}));
        assert_eq!(verdicts(&told(&seen)), json!([{"verdict": "valid", "run": 4}]), "{phase}");
    }
}

#[test]
fn a_verdict_that_is_taken_away_may_be_given_again() {
    let known =
        json!({"manualVerdicts": [{"verdict": "valid", "run": 2}, {"item": "ann", "verdict": "valid", "run": 2}]});
    let items = json!({"validation": {"items": [{"name": "ann", "manual": {}}]}});
    assert_eq!(verdicts(&told(&validating(items, 3, known))), json!([]));
}

/// A verdict that loses its binding, as by `kubectl replace`, or whose item gets another name, is still the old one.
#[test]
fn an_old_verdict_in_another_form_is_not_a_new_one() {
    let of = |items: Value, known: Value| {
        let seen = validating(json!({"validation": {"items": items}}), 3, json!({"manualVerdicts": known}));
        let told = told(&seen);
        (told.phase, told.manual_verdicts.first().map(|known| known.run))
    };
    let old = (Some(Phase::Validating), Some(2));
    let bound = json!([{"item": "ann", "verdict": "valid", "run": 2, "templateHash": "x"}]);
    assert_eq!(of(json!([{"name": "ann", "manual": {"status": "valid"}}]), bound), old);
    let known = json!([{"item": "manual-0", "verdict": "valid", "run": 2}]);
    assert_eq!(of(json!([{"name": "ann", "manual": {"status": "valid"}}]), known.clone()), old);
    // An item beside the old one is another item.
    let both = json!([{"name": "ann", "manual": {"status": "valid"}}, {"name": "bob", "manual": {"status": "valid"}}]);
    let known = json!([{"item": "bob", "verdict": "valid", "run": 3}]);
    assert_eq!(of(both, known).0, Some(Phase::Promoting));
}

/// One that does not count leaves the item to the verdict on the whole run, and to its default.
#[test]
fn an_old_verdict_of_an_item_hides_no_other() {
    let old = json!({"manualVerdicts": [{"item": "ann", "verdict": "invalid", "run": 2}]});
    let items = json!([{"name": "ann", "manual": {"status": "invalid"}}]);
    let spec = json!({"validation": {"items": items, "manual": {"status": "valid"}}});
    assert_eq!(told(&validating(spec, 3, old)).phase, Some(Phase::Promoting));
}

/// Until the base is written a rejection fails the run, but not one that is for another.
#[test]
fn an_old_rejection_does_not_stop_a_promotion() {
    for (run, phase) in [(2, None), (3, Some(Phase::Failing))] {
        let known = json!({"phase": "Promoting", "manualVerdicts": [{"verdict": "invalid", "run": run}]});
        let seen = validating(manual(&json!({"status": "invalid"})), 3, known);
        let failing = Some(told(&seen).phase).filter(|phase| *phase == Some(Phase::Failing)).flatten();
        assert_eq!(failing, phase, "{run}");
    }
}
