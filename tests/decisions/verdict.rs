//! What the items say together.

use kanary::{
    decision::Observed,
    validation::{Assessment, Timing, judge},
};
use serde_json::{Value, json};

use crate::given::{at, observed, pod, pod_of, status, with_canary};

const WITHIN: Timing = Timing { period_over: false, available: true };
const AFTER: Timing = Timing { period_over: true, available: true };

fn seen(validation: Value) -> Observed {
    with_canary(observed(json!({"validation": validation}), Value::Null))
}

fn word(assessment: &Assessment) -> &'static str {
    match assessment {
        Assessment::Invalid { .. } => "invalid",
        Assessment::Valid { .. } => "valid",
        Assessment::Open { message: None } => "open",
        Assessment::Open { message: Some(_) } => "waits",
    }
}

#[test]
fn manual_and_silence() {
    let watch = json!({"labelWatch": {"podInvalidationLabels": {"bad": "y"}}});
    let manual = |body: Value| json!({"manual": body});
    // validation, verdict within the period, verdict once it is over
    let cases = [
        (json!({}), "open", "waits"),
        (json!({"manual": {"status": "valid"}}), "valid", "valid"),
        (json!({"manual": {"status": "invalid", "reason": "no"}}), "invalid", "invalid"),
        (json!({"manual": {"statusAfterDeadline": "valid"}}), "open", "valid"),
        (json!({"manual": {"statusAfterDeadline": "invalid"}}), "open", "invalid"),
        (json!({"items": [manual(json!({"statusAfterDeadline": "valid"}))]}), "open", "valid"),
        (json!({"items": [manual(json!({"statusAfterDeadline": "none"}))]}), "open", "waits"),
        (
            json!({"items": [manual(json!({"statusAfterDeadline": "none"}))], "manual": {"statusAfterDeadline": "valid"}}),
            "open",
            "waits",
        ),
        (json!({"items": [manual(json!({"status": "invalid"}))], "manual": {"status": "valid"}}), "invalid", "invalid"),
        (json!({"items": [manual(json!({})), manual(json!({"status": "valid"}))]}), "open", "waits"),
        (json!({"items": [watch.clone()]}), "open", "valid"),
        (json!({"items": [watch.clone()], "manual": {"status": "invalid"}}), "invalid", "invalid"),
        (json!({"items": [watch.clone()], "manual": {"status": "valid"}}), "open", "valid"),
        (json!({"items": [watch.clone(), manual(json!({"status": "valid"}))]}), "open", "valid"),
        (json!({"items": [watch, manual(json!({}))]}), "open", "waits"),
        (json!({"items": [{"promQL": {"query": "vector(1)"}}]}), "open", "waits"),
    ];
    for (validation, within, after) in cases {
        let seen = seen(validation.clone());
        assert_eq!(word(&judge(&seen, seen.status(), WITHIN).0), within, "within: {validation}");
        assert_eq!(word(&judge(&seen, seen.status(), AFTER).0), after, "after: {validation}");
    }
}

#[test]
fn a_label_of_invalidation_names_the_pod() {
    let watches = [
        json!({"podInvalidationLabels": {"bad": "y", "why": "slow"}}),
        json!({"podInvalidationSelector": {"matchExpressions": [{"key": "bad", "operator": "In", "values": ["y"]}]}}),
    ];
    for watch in watches {
        let mut seen = seen(json!({"items": [{"name": "judge", "labelWatch": watch}]}));
        seen.pods.push(pod("culprit", json!({"bad": "y", "why": "slow"}), true, json!({})));
        let Assessment::Invalid { message } = judge(&seen, seen.status(), WITHIN).0 else { panic!("not invalid") };
        assert!(message.contains("culprit") && message.starts_with("judge:"), "{message}");
    }
}

#[test]
fn some_labels_of_several_are_not_all() {
    let mut seen = seen(json!({"items": [{"labelWatch": {"podInvalidationLabels": {"bad": "y", "why": "slow"}}}]}));
    seen.pods.push(pod("half", json!({"bad": "y"}), true, json!({})));
    assert_eq!(word(&judge(&seen, seen.status(), WITHIN).0), "open");
}

#[test]
fn pods_of_the_run_before_do_not_speak_for_this_one() {
    let spec = json!({"validation": {"items": [{"labelWatch": {"podInvalidationLabels": {"bad": "y"}}}]}});
    let verdict = |phase: &str, available: bool, created: i64, ends: bool| {
        let status = status(&spec, phase, json!({"startedAt": at(100).to_string()}));
        let mut seen = with_canary(observed(spec.clone(), status));
        let ends = ends.then(|| at(200).to_string());
        let metadata = json!({"creationTimestamp": at(created).to_string(), "deletionTimestamp": ends});
        seen.pods = vec![pod_of(metadata, json!({"bad": "y"}), true, json!({}))];
        word(&judge(&seen, seen.status(), Timing { period_over: false, available }).0)
    };
    // Phase, the canary is available, its pod was made at, it ends, verdict
    let cases = [
        ("Starting", false, 99, false, "open"),
        ("Starting", false, 100, false, "invalid"),
        ("Starting", true, 99, false, "invalid"),
        ("Starting", true, 99, true, "open"),
        ("Validating", true, 99, true, "open"),
        ("Validating", false, 99, false, "invalid"),
        ("Validating", true, 101, true, "invalid"),
    ];
    for (phase, available, created, ends, expected) in cases {
        assert_eq!(verdict(phase, available, created, ends), expected, "{phase} {available} {created} {ends}");
    }
}
