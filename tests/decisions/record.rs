//! What the status keeps of the base and of the canary, and when it may be relied on.

use kanary::{
    api::{KanaryDeploymentStatus, Phase},
    decision::{Action, DryRun, Fault, Observed},
    lifecycle::plan,
    objects::Object,
};
use serde_json::{Value, json};

use crate::given::{at, base, observed, promoted, status, with_canary};

/// Whatever the spec, the API server and Prometheus say: etcd takes no more than 1.5 MB, and the resource has its spec beside.
#[test]
fn no_status_is_larger_than_64_kilobytes() {
    for letter in ["x", "\u{1b}", "\u{9b}"] {
        is_bounded(&letter.repeat(200_000));
    }
}

fn is_bounded(huge: &str) {
    let item = |number: usize| {
        json!({
            "name": format!("item-{number:02}-{}", "n".repeat(50)), "kind": "promQL", "verdict": "Unknown",
            "message": huge, "value": huge, "bound": huge, "query": huge, "hash": "0123456789abcdef",
        })
    };
    let spec = json!({"traffic": {"source": "service"}});
    let conditions = ["Running", "Succeeded", "Scheduled"].map(|type_| {
        json!({"type": type_, "status": "True", "reason": huge, "message": huge, "lastTransitionTime": at(0).to_string()})
    });
    let more = json!({
        "items": (0..16).map(item).collect::<Vec<_>>(), "message": huge,
        "canary": {"deployment": "try-kanary", "routes": vec![huge; 200]},
        "report": {"status": huge, "scale": huge, "traffic": huge, "validation": huge},
        "conditions": conditions,
    });
    let mut seen = with_canary(observed(spec.clone(), status(&spec, "Promoting", more)));
    let mut base = base(json!({"spec": {"paused": true}}));
    std::sync::Arc::make_mut(&mut base).metadata.annotations = None;
    seen.base = Some(base);
    seen.faults =
        vec![Fault { action: "create Deployment try-kanary".into(), error: format!("{huge} exceeded quota") }];
    let status = told(&seen);
    let size = json!(status).to_string().len();
    assert!(size < 64 * 1024, "{size} bytes");
    let problem = status.problem().map(|problem| problem.message.clone()).unwrap_or_default();
    assert!(problem.starts_with("create Deployment") && problem.ends_with("exceeded quota"), "{problem}");
    for condition in &status.conditions {
        assert!(condition.reason.as_str().len() < 101 && !condition.message.contains('\u{1b}'), "{condition:?}");
    }
    assert_eq!(told(&Observed { kanary: with_status(&seen, &status), ..seen.clone() }), status, "it comes to rest");
}

/// Anybody who may write the status of a pod may write any reason; the API requires a word.
#[test]
fn a_reason_of_a_pod_is_a_word_or_a_message() {
    let huge = "x".repeat(60_000);
    for (reason, is_told) in [
        ("ImagePullBackOff", true),
        ("Err_2", true),
        (huge.as_str(), false),
        ("Has blanks \u{1b}[31m", false),
        ("ünicode", false),
    ] {
        let waiting = json!({"reason": reason, "message": "m"});
        let conditions = json!([{"type": "Ready", "status": "False", "reason": reason}]);
        let container = json!({"name": "web", "state": {"waiting": waiting}});
        let mut seen = with_canary(observed(json!({}), status(&json!({}), "Starting", json!({}))));
        let canary = std::sync::Arc::make_mut(seen.canary.as_mut().expect("a canary"));
        (canary.status.available_replicas, canary.status.ready_replicas) = (0, 0);
        let mut bad = json!(*crate::given::pod("try-kanary-1", json!({}), false, json!({})));
        bad["status"] = json!({"conditions": conditions, "containerStatuses": [container]});
        seen.pods = vec![std::sync::Arc::new(serde_json::from_value(bad).expect("a Pod"))];
        let status = told(&seen);
        let ready = status.condition(kanary::api::ConditionType::CanaryReady).expect("it is told");
        assert_eq!(ready.reason.as_str(), if is_told { reason } else { "Waiting" });
        let beginning = reason.chars().take(5).collect::<String>();
        assert!(ready.message.contains(&beginning) && ready.message.len() <= 1000, "{}", ready.message);
        let size = json!(status).to_string().len();
        assert!(size < 8 * 1024, "{size} bytes: {status:?}");
    }
}

fn with_status(seen: &Observed, status: &KanaryDeploymentStatus) -> std::sync::Arc<kanary::api::KanaryDeployment> {
    let mut kanary = (*seen.kanary).clone();
    kanary.status = Some(status.clone());
    std::sync::Arc::new(kanary)
}

fn told(seen: &Observed) -> KanaryDeploymentStatus {
    plan(seen).status.map_or_else(|| seen.status().clone(), |tell| tell.status)
}

fn record(status: &KanaryDeploymentStatus) -> Option<String> {
    status.canary.clone()?.deployment_hash
}

/// Run 1 begins: the canary of before is there and available, the base is not pinned yet.
fn unpinned(base_patch: Value) -> Observed {
    let mut begun = status(&json!({}), "Starting", json!({}));
    begun["base"] = json!({"name": "web", "uid": "base-uid"});
    let mut seen = with_canary(observed(json!({}), begun));
    seen.base = Some(base(base_patch));
    seen
}

fn rehearsed(mut seen: Observed) -> Observed {
    let base_hash = seen.base.as_ref().expect("a base").spec.template.hash.clone();
    let template_hash = seen.kanary.spec.template.hash().to_owned();
    seen.dry_run =
        Some(DryRun { template_hash, base_hash, at: at(0), outcome: Ok(promoted("promoted")), changes: true });
    seen
}

/// A canary that another client edited after it was recorded.
fn edited(phase: &str) -> Observed {
    let canary = with_canary(observed(json!({}), Value::Null)).canary.expect("a canary");
    let applied = canary.annotation("kanary.k8s.io/applied-hash").expect("it is query_id").to_owned();
    let record = json!({"canary": {"deployment": "try-kanary", "deploymentHash": format!("{applied}:as-it-was")}});
    after_a_restart(with_canary(observed(json!({}), status(&json!({}), phase, record))))
}

/// Only the status knows what was stored.
fn after_a_restart(mut seen: Observed) -> Observed {
    seen.stored.clear();
    seen
}

#[test]
fn nothing_is_judged_before_the_base_is_pinned() {
    let waits = told(&unpinned(json!({})));
    assert_eq!((waits.phase, waits.base.expect("a base").template_hash), (Some(Phase::Starting), None));
    let goes_on = told(&rehearsed(unpinned(json!({}))));
    assert_eq!(goes_on.phase, Some(Phase::Validating));
    assert!(goes_on.base.expect("a base").template_hash.is_some());
}

#[test]
fn a_base_is_pinned_once_its_template_is_counted() {
    let uncounted = told(&rehearsed(unpinned(json!({"metadata": {"generation": 2}}))));
    assert_eq!((uncounted.phase, uncounted.base.expect("a base").template_hash), (Some(Phase::Starting), None));
    let paused = told(&rehearsed(unpinned(json!({"spec": {"paused": true}}))));
    assert_eq!(paused.base.expect("a base").revision, None);
}

#[test]
fn an_edit_is_mended_and_the_record_made_anew() {
    let seen = edited("Validating");
    assert_eq!(plan(&seen).actions.len(), 1);
    assert_eq!(record(&told(&seen)), None);
}

/// Another client may have edited it before a controller that restarted saw it for the first time.
#[test]
fn a_canary_of_which_nothing_is_recorded_is_written_again() {
    let seen = with_canary(observed(json!({}), status(&json!({}), "Validating", json!({}))));
    assert!(plan(&seen).actions.is_empty(), "it was just written");
    let actions: Vec<String> = plan(&after_a_restart(seen)).actions.iter().map(Action::describe).collect();
    assert_eq!(actions, ["patch Deployment try-kanary"]);
}

#[test]
fn what_is_only_planned_does_not_touch_the_record() {
    let mut seen = edited("Validating");
    seen.faults = vec![Fault { action: "patch Deployment try-kanary".into(), error: "no answer".into() }];
    assert_eq!(record(&told(&seen)), record(seen.status()));
}

/// The message is what `kubectl get -o wide` shows: while a request keeps failing it must not say that all goes well.
#[test]
fn the_message_tells_what_keeps_a_promotion_from_being_made() {
    let mut seen = with_canary(observed(json!({}), status(&json!({}), "Promoting", json!({}))));
    seen.faults = vec![Fault { action: "promote Deployment web".into(), error: "denied by a webhook".into() }];
    assert_eq!(told(&seen).message.as_deref(), Some("promote Deployment web: denied by a webhook"));
}

#[test]
fn a_restart_keeps_the_record() {
    let mut seen = edited("Validating");
    let mut status = json!(seen.status());
    status["templateHash"] = "another".into();
    seen = after_a_restart(with_canary(observed(json!({}), status)));
    let restarted = told(&seen);
    assert_eq!(restarted.run, Some(2));
    assert_eq!(record(&restarted), record(seen.status()));
}

/// Of a Deployment without it no label of invalidation is seen.
#[test]
fn a_canary_that_lost_its_label_gets_it_back() {
    let mut seen = with_canary(observed(json!({}), status(&json!({}), "Validating", json!({}))));
    assert!(plan(&seen).actions.is_empty());
    let canary = std::sync::Arc::make_mut(seen.canary.as_mut().expect("a canary"));
    canary.metadata.labels = Some([("bad".to_owned(), "yes".to_owned())].into());
    canary.prune();
    assert_eq!(canary.label("bad"), Some("yes"), "what a judge says is seen all the same");
    let actions: Vec<String> = plan(&seen).actions.iter().map(Action::describe).collect();
    assert_eq!(actions, ["patch Deployment try-kanary"]);
}
