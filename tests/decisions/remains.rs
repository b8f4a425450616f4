//! What a canary that is being removed waits for is named: a finalizer, or a pod that nobody deletes.

use std::sync::Arc;

use kanary::{
    api::{ConditionType, Reason},
    decision::Observed,
    lifecycle::plan,
};
use serde_json::{Value, json};

use crate::given::{observed, pod_of, status, with_canary};

fn failing() -> Observed {
    with_canary(observed(json!({}), status(&json!({}), "Failing", json!({}))))
}

/// What is told of the canary.
fn told(seen: &Observed) -> String {
    let plan = plan(seen);
    let status = plan.status.map_or_else(|| seen.status().clone(), |update| update.status);
    let ready = status.condition(ConditionType::CanaryReady).expect("it is told");
    assert_eq!(ready.reason, Reason::Removing);
    ready.message.clone()
}

fn deleted(finalizers: Value) -> Value {
    json!({"name": "try-kanary-1", "uid": "p", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers})
}

fn going(finalizer: &str) -> Observed {
    let mut seen = failing();
    let canary = Arc::make_mut(seen.canary.as_mut().expect("a canary"));
    canary.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time"));
    canary.metadata.finalizers = Some(vec!["foregroundDeletion".into(), finalizer.into()]);
    seen
}

#[test]
fn a_finalizer_that_holds_the_canary_is_named() {
    let message = told(&going("example.com/audit"));
    assert!(message.contains("Deployment try-kanary is held by its finalizer example.com/audit"), "{message}");
    assert_eq!(told(&going("orphan")), "removing the canary", "the garbage collector's own");
    let mut seen = failing();
    seen.pods = vec![pod_of(deleted(json!(["example.com/audit"])), json!({}), true, json!({}))];
    let message = told(&seen);
    assert!(message.contains("Pod try-kanary-1 is held by its finalizer example.com/audit"), "{message}");
    seen.pods = vec![pod_of(deleted(json!(null)), json!({}), true, json!({}))];
    assert_eq!(told(&seen), "removing the canary");
}

#[test]
fn a_pod_that_is_left_is_named_with_its_owner() {
    let left = |owners: Value| {
        let mut seen = failing();
        seen.canary = None;
        seen.pods = vec![pod_of(json!({"name": "p", "ownerReferences": owners}), json!({}), true, json!({}))];
        told(&seen)
    };
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "try-kanary-1a2b", "uid": "s", "controller": true});
    let message = left(json!([owner]));
    assert!(message.contains("only pod p is left, which ReplicaSet try-kanary-1a2b owns; delete it"), "{message}");
    let message = left(json!([]));
    assert!(message.contains("only pod p is left, which has no owner; delete it"), "{message}");
}
