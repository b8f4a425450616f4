//! Objects that are there and cannot be read, and those whose absence is not certain: nothing is taken for gone, and nothing
//! is created in their place.

use std::sync::Arc;

use kanary::{
    api::{ConditionType, Phase, Reason},
    decision::{Action, Kind, Lookup, Observed, Plan, Target},
    lifecycle::{self, plan},
    objects::Unreadable,
};
use serde_json::{Value, json};

use crate::{
    given::{at, observed, pod, status, with_canary},
    mirror::{mirroring, virtual_service},
};

const IN: &str = "kanary.k8s.io/production-labels";

fn unreadable(kind: &str, name: &str, field: &str) -> Unreadable {
    Unreadable::new(kind, "shop", name, (field, "number out of range"))
}

fn kinds(plan: &Plan) -> Vec<Kind> {
    plan.actions.iter().map(|action| action.target().kind).collect()
}

fn phase(plan: &Plan) -> Option<Phase> {
    plan.status.as_ref().and_then(|update| update.status.phase)
}

/// Reason and message of a condition, as the status reports it.
fn told(plan: &Plan, type_: ConditionType) -> (Reason, String) {
    let status = &plan.status.as_ref().expect("it is reported").status;
    let condition = status.condition(type_).expect("it has one");
    (condition.reason.clone(), condition.message.clone())
}

/// A run in this phase, with an available canary.
fn run(name: &str, spec: Value) -> Observed {
    with_canary(observed(spec.clone(), status(&spec, name, json!({"validationStartedAt": at(0).to_string()}))))
}

#[test]
fn a_base_that_cannot_be_read_is_not_gone() {
    for name in ["Starting", "Validating"] {
        let mut seen = run(name, json!({}));
        seen.base = None;
        assert_eq!(phase(&plan(&seen)), Some(Phase::Failing), "{name}: a base that is gone fails the run");
        seen.unreadable = vec![unreadable("Deployment", "web", "spec.replicas")];
        let plan = plan(&seen);
        assert_eq!((phase(&plan), kinds(&plan)), (Some(seen.status().phase.expect("it has one")), vec![]), "{name}");
        let (reason, message) = told(&plan, ConditionType::Stalled);
        assert_eq!(reason, Reason::Unreadable);
        assert_eq!(message, "Deployment web cannot be read: spec.replicas: number out of range; correct the field");
    }
}

#[test]
fn a_base_that_cannot_be_read_is_not_created() {
    let spec = json!({});
    let mut begun = status(&spec, "Starting", json!({}));
    begun["base"] = Value::Null;
    let mut seen = observed(spec, begun);
    seen.base = None;
    assert_eq!(kinds(&plan(&seen)), [Kind::Deployment]);
    seen.unreadable = vec![unreadable("Deployment", "web", "spec")];
    assert_eq!(kinds(&plan(&seen)), []);
    assert_eq!(lifecycle::lookup(&seen), None);
}

#[test]
fn time_in_which_something_cannot_be_read_does_not_count() {
    let mut seen = run("Validating", json!({}));
    seen.unreadable = vec![unreadable("Service", "web", "spec.ports")];
    let plan = plan(&seen);
    let status = &plan.status.as_ref().expect("it is reported").status;
    assert!(status.held_since.is_some(), "the clock is paused");
    let (reason, message) = told(&plan, ConditionType::Running);
    assert_eq!(reason, Reason::Paused);
    assert!(message.contains("Service web cannot be read: spec.ports"), "{message}");
    seen.unreadable.clear();
    Arc::make_mut(&mut seen.kanary).status = Some(status.clone());
    assert_eq!(told(&lifecycle::plan(&seen), ConditionType::Stalled).0, Reason::Resolved, "it can be read again");
}

#[test]
fn a_promotion_does_not_end_while_the_base_cannot_be_read() {
    let mut seen = run("Promoting", json!({}));
    (seen.base, seen.canary) = (None, None);
    seen.pods.clear();
    seen.unreadable = vec![unreadable("Deployment", "web", "status")];
    let plan = plan(&seen);
    assert_eq!((phase(&plan), kinds(&plan)), (Some(Phase::Promoting), vec![]));
    assert_eq!(told(&plan, ConditionType::DeploymentUpdated).0, Reason::Unreadable);
    assert_eq!(told(&plan, ConditionType::Stalled).0, Reason::Unreadable);
}

#[test]
fn a_failure_is_not_over_while_a_child_cannot_be_read() {
    let mut seen = run("Failing", json!({}));
    seen.canary = None;
    seen.pods.clear();
    assert_eq!(phase(&plan(&seen)), Some(Phase::Failed));
    for (kind, name) in
        [("Deployment", "try-kanary"), ("Pod", "try-kanary-1"), ("HorizontalPodAutoscaler", "try-kanary")]
    {
        seen.unreadable = vec![unreadable(kind, name, "spec")];
        assert_eq!(phase(&plan(&seen)), Some(Phase::Failing), "{kind}");
        assert_eq!(told(&plan(&seen), ConditionType::Stalled).0, Reason::Unreadable, "{kind}");
    }
    // What is not the run's own does not keep it from ending.
    seen.unreadable = vec![unreadable("Deployment", "web", "spec"), unreadable("Service", "web", "spec")];
    assert_eq!(phase(&plan(&seen)), Some(Phase::Failed));
}

#[test]
fn the_finalizer_stays_while_a_route_cannot_be_read() {
    let mut seen = mirroring(json!({}), &[virtual_service("web", json!({"hosts": ["web"], "http": []}))]);
    Arc::make_mut(&mut seen.kanary).metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time"));
    seen.routes.is_fresh = true;
    (seen.canary, seen.pods) = (None, Vec::new());
    seen.services.retain(|service| service.metadata.name.as_deref() == Some("web"));
    assert_eq!(kinds(&plan(&seen)), [Kind::KanaryDeployment]);
    seen.unreadable = vec![unreadable("VirtualService", "web", "spec")];
    let plan = plan(&seen);
    assert_eq!(kinds(&plan), []);
    assert_eq!(told(&plan, ConditionType::Stalled).0, Reason::Unreadable);
}

#[test]
fn a_resource_that_cannot_be_read_gets_no_traffic_and_says_so() {
    let mut seen = run("Validating", json!({"traffic": {"source": "service"}}));
    seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({IN: "app"}))];
    // What the reader makes of it.
    Arc::make_mut(&mut seen.kanary).spec = kanary::api::KanaryDeploymentSpec::default();
    seen.unreadable = vec![unreadable("KanaryDeployment", "try", "spec.validation.items")];
    assert_eq!(lifecycle::lookup(&seen), None);
    assert_eq!(lifecycle::due_queries(&seen), []);
    let first = plan(&seen);
    assert_eq!(kinds(&first), [Kind::Pod], "out of production");
    assert_eq!(phase(&first), Some(Phase::Validating), "no other run begins");
    for type_ in [ConditionType::Stalled, ConditionType::Ready] {
        assert_eq!(told(&first, type_).0, Reason::Unreadable);
    }
    let update = first.status.expect("it is reported");
    assert_eq!(update.notices.iter().map(|notice| &notice.reason).collect::<Vec<_>>(), [&Reason::Unreadable]);
    seen.pods = vec![pod("a", json!({}), true, json!({IN: ""}))];
    Arc::make_mut(&mut seen.kanary).status = Some(update.status);
    assert_eq!(plan(&seen), Plan::default(), "and then it rests");
}

#[test]
fn a_status_that_cannot_be_read_is_not_replaced() {
    let mut seen = run("Validating", json!({"traffic": {"source": "service"}}));
    seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({IN: "app"}))];
    Arc::make_mut(&mut seen.kanary).status = None;
    seen.unreadable = vec![unreadable("KanaryDeployment", "try", "status.deadline")];
    let plan = plan(&seen);
    assert_eq!((kinds(&plan), plan.status), (vec![Kind::Pod], None));
    let event = lifecycle::unreadable::event(&seen).expect("an event says so");
    assert!(event.warning, "{event:?}");
    for words in ["status.deadline", "kubectl edit kanarydeployment try --subresource=status"] {
        assert!(event.note.contains(words), "{}", event.note);
    }
    seen.unreadable = vec![unreadable("KanaryDeployment", "try", "spec.validation.items")];
    assert_eq!(lifecycle::unreadable::event(&seen), None, "the status says so");
}

/// A run that creates its canary: its name, and that of its Service.
fn creating() -> (Observed, Vec<Target>) {
    let spec = json!({"traffic": {"source": "kanary-service"}});
    let seen = observed(spec.clone(), status(&spec, "Starting", json!({})));
    let target = |kind| Target { kind, name: "try-kanary".into() };
    (seen, vec![target(Kind::Service), target(Kind::Deployment)])
}

#[test]
fn nothing_is_created_because_a_store_lacks_it() {
    let (mut seen, created) = creating();
    let targets = |plan: &Plan| plan.actions.iter().map(|action| action.target().clone()).collect::<Vec<_>>();
    assert_eq!(targets(&plan(&seen)), created, "it was just read that they are absent");
    assert_eq!(lifecycle::lookup(&seen), None);
    seen.is_absence_confirmed = false;
    assert_eq!(lifecycle::lookup(&seen), Some(Lookup::ReadAbsent(created)));
    assert_eq!(targets(&plan(&seen)), [], "if that could not be read");
}

#[test]
fn a_base_is_not_created_because_a_store_lacks_it() {
    let mut seen = observed(json!({}), Value::Null);
    let mut begun = status(&json!({}), "Starting", json!({}));
    begun["base"] = Value::Null;
    Arc::make_mut(&mut seen.kanary).status = Some(serde_json::from_value(begun).expect("a status"));
    (seen.base, seen.is_absence_confirmed) = (None, false);
    let base = Target { kind: Kind::Deployment, name: "web".into() };
    assert_eq!(lifecycle::lookup(&seen), Some(Lookup::ReadAbsent(vec![base])));
    seen.is_absence_confirmed = true;
    assert!(matches!(plan(&seen).actions[..], [Action::CreateBase { .. }]));
}

#[test]
fn nothing_is_created_while_a_watch_is_broken() {
    let (mut seen, _) = creating();
    seen.watch_broken_since = Some(at(0));
    for is_confirmed in [false, true] {
        seen.is_absence_confirmed = is_confirmed;
        assert_eq!((lifecycle::lookup(&seen), kinds(&plan(&seen))), (None, vec![]));
    }
    let (_, message) = told(&plan(&seen), ConditionType::CanaryReady);
    assert_eq!(message, "a watch is broken, so nothing is created; see the controller log");
}
