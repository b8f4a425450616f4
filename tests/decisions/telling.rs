//! What is reported at once, what may wait for a moment, and what is done before it is reported.

use std::sync::Arc;

use jiff::SignedDuration;
use kanary::{
    api::Phase,
    decision::{Action, Fault, Kind, Observed, StatusUpdate},
    lifecycle::plan,
};
use serde_json::{Value, json};

use crate::given::{at, merge, observed, pod, status, with_canary};

fn spec(source: &str) -> Value {
    json!({
        "traffic": {"source": source},
        "validation": {"items": [{"labelWatch": {"podInvalidationLabels": {"bad": "yes"}}}]},
    })
}

/// A run in this phase, whose status says all that there was to say.
fn settled(phase: &str, source: &str) -> Observed {
    let validates = json!({
        "validationStartedAt": at(0).to_string(), "evidenceSince": at(0).to_string(),
        "accountedUntil": at(0).to_string(), "deadline": at(900).to_string(),
    });
    let more = if phase == "Validating" { validates } else { json!({}) };
    let mut seen = with_canary(observed(spec(source), status(&spec(source), phase, more)));
    if phase == "Starting" {
        let canary = Arc::make_mut(seen.canary.as_mut().expect("a canary"));
        canary.status.available_replicas = 0;
        canary.status.ready_replicas = 0;
        seen.pods = vec![pod("try-kanary-1", json!({}), false, json!({}))];
    }
    while let Some(tell) = plan(&seen).status {
        Arc::make_mut(&mut seen.kanary).status = Some(tell.status);
    }
    seen
}

fn told(seen: &Observed) -> StatusUpdate {
    plan(seen).status.expect("something to tell")
}

#[test]
fn the_count_of_pods_waits_for_five_seconds() {
    let mut seen = settled("Starting", "none");
    seen.pods.clear();
    Arc::make_mut(seen.canary.as_mut().expect("a canary")).status.replicas = 0;
    Arc::make_mut(seen.canary.as_mut().expect("a canary")).spec.replicas = 2;
    let tell = told(&seen);
    assert!(tell.can_wait, "{:#?}", tell.status);
    assert_eq!(tell.deferred_until(at(0), at(0)), Some(at(5)));
    assert_eq!(tell.deferred_until(at(0), at(0) + SignedDuration::from_millis(1999)), Some(at(5)));
    assert_eq!(tell.deferred_until(at(0), at(5)), None);
}

#[test]
fn what_is_decided_and_what_goes_wrong_is_told_at_once() {
    let mut ready = settled("Starting", "none");
    ready = Observed { canary: with_canary(ready.clone()).canary, ..ready };
    ready.pods = vec![pod("try-kanary-1", json!({}), true, json!({}))];
    let mut unready = settled("Validating", "none");
    Arc::make_mut(unready.canary.as_mut().expect("a canary")).status.available_replicas = 0;
    let mut faulty = settled("Starting", "none");
    faulty.faults = vec![Fault { action: "create Deployment try-kanary".into(), error: "quota".into() }];
    let mut edited = settled("Validating", "none");
    Arc::make_mut(&mut edited.kanary).metadata.generation = Some(2);
    let mut troubled = settled("Starting", "none");
    let failure = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"});
    Arc::make_mut(troubled.canary.as_mut().expect("a canary")).status.conditions =
        vec![serde_json::from_value(failure).expect("a condition")];
    for (seen, why) in [
        (troubled, "a trouble"),
        (ready, "a phase"),
        (unready, "the clock"),
        (faulty, "a fault"),
        (edited, "a generation"),
    ] {
        let tell = told(&seen);
        assert!(!tell.can_wait, "{why}");
        assert_eq!(tell.deferred_until(at(0), at(0)), None, "{why}");
    }
}

#[test]
fn a_canary_that_fails_leaves_production_before_its_failure_is_told() {
    let mut seen = settled("Validating", "service");
    let mut labels = json!({"app": "web"});
    let was_in = json!({"kanary.k8s.io/production-labels": "app"});
    seen.pods = vec![pod("try-kanary-1", labels.clone(), true, was_in.clone())];
    assert_eq!(plan(&seen).actions, [], "it stays while it is good");
    merge(&mut labels, json!({"bad": "yes"}));
    seen.pods = vec![pod("try-kanary-1", labels, true, was_in)];
    let plan = plan(&seen);
    assert_eq!(plan.status.expect("the verdict").status.phase, Some(Phase::Failing));
    let [Action::Patch { target, .. }] = plan.actions.as_slice() else { panic!("{:#?}", plan.actions) };
    assert_eq!((target.kind, target.name.as_str()), (Kind::Pod, "try-kanary-1"));
}
