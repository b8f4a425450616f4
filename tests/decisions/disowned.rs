//! Objects of the canary whose owner reference another client removed: what is recorded as made is taken back, all else is
//! another client's.

use std::sync::Arc;

use kanary::{
    api::Phase,
    canary,
    decision::{Action, Kind, Observed, Patch},
    lifecycle::plan,
    objects::{Deployment, Pod, Service},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::given::{UID, autoscaler, observed, pod_of, status, with_canary};

const IN: &str = "kanary.k8s.io/production-labels";

/// In this phase, with a pod in production; the uids are what the status records.
fn run(phase: &str, uids: &[&str]) -> Observed {
    let spec = json!({"traffic": {"source": "both"}});
    let canary =
        json!({"canary": {"deployment": "try-kanary", "uids": uids}, "verdictAt": crate::given::at(0).to_string()});
    let mut seen = with_canary(observed(spec.clone(), status(&spec, phase, canary)));
    seen.pods = vec![pod_of(json!({"name": "a", "uid": "a"}), json!({"app": "web"}), true, json!({IN: "app"}))];
    seen
}

fn with_owners<K: Serialize + DeserializeOwned>(object: &K, owners: Value) -> Arc<K> {
    let mut json = json!(object);
    json["metadata"]["ownerReferences"] = owners;
    Arc::new(serde_json::from_value(json).expect("the same kind"))
}

fn disowned(mut seen: Observed, owners: Value) -> Observed {
    seen.canary = seen.canary.as_deref().map(|canary: &Deployment| with_owners(canary, owners));
    seen
}

/// The patches of a kind, as the owner references that they write.
fn references(seen: &Observed, kind: Kind) -> Vec<Value> {
    let written = |action: Action| match action {
        Action::Patch { target, patch: Patch::Json(operations) } if target.kind == kind => {
            let mut operations = operations.into_iter();
            operations
                .find(|operation| operation["path"] == "/metadata/ownerReferences")
                .map(|found| found["value"].clone())
        }
        Action::Patch { target, patch: Patch::Merge(patch) } if target.kind == kind => {
            Some(patch["metadata"]["ownerReferences"].clone()).filter(|references| !references.is_null())
        }
        _ => None,
    };
    plan(seen).actions.into_iter().filter_map(written).collect()
}

fn stalled(seen: &Observed) -> Option<String> {
    let status = plan(seen).status.map_or_else(|| seen.status().clone(), |update| update.status);
    status.problem().map(|problem| problem.reason.as_str().to_owned())
}

#[test]
fn a_canary_of_the_recorded_uid_is_taken_back() {
    let uids = |references: &[Value]| -> Vec<(Value, Value)> {
        references[0]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| (one["uid"].clone(), one["controller"].clone()))
            .collect()
    };
    let seen = disowned(run("Validating", &["canary-uid"]), json!([]));
    assert_eq!(uids(&references(&seen, Kind::Deployment)), [(json!(UID), json!(true))]);
    assert_eq!(stalled(&seen), None);
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c", "controller": true});
    let seen = disowned(run("Validating", &["canary-uid"]), json!([other]));
    let expected = [(json!("c"), json!(true)), (json!(UID), json!(false))];
    assert_eq!(uids(&references(&seen, Kind::Deployment)), expected, "an object has one controller");
    assert!(
        references(&run("Validating", &["canary-uid"]), Kind::Deployment).is_empty(),
        "nothing, if it is as it should be"
    );
}

#[test]
fn a_service_and_an_autoscaler_of_the_recorded_uid_are_taken_back() {
    let mut seen = run("Validating", &["service-uid", "hpa-uid"]);
    let spec = json!({"metadata": {"name": "try-kanary", "namespace": "shop", "uid": "service-uid", "resourceVersion": "4"},
        "spec": {"type": "ClusterIP", "selector": {"kanary.k8s.io/canary": "try"}, "ports": [{"port": 80}]}});
    seen.services.push(Arc::new(serde_json::from_value::<Service>(spec).expect("a Service")));
    assert_eq!(references(&seen, Kind::Service).len(), 1);
    let mut hpa = json!(autoscaler("try-kanary", "try-kanary"));
    hpa["metadata"]["uid"] = "hpa-uid".into();
    seen.autoscalers = vec![Arc::new(serde_json::from_value(hpa).expect("an autoscaler"))];
    let kanary = Arc::make_mut(&mut seen.kanary);
    kanary.spec.scale = serde_json::from_value(json!({"hpa": {"maxReplicas": 3}})).expect("a scale");
    kanary.spec.traffic = serde_json::from_value(json!({"source": "kanary-service"})).expect("a source");
    assert_eq!(references(&seen, Kind::HorizontalPodAutoscaler).len(), 1);
}

#[test]
fn a_canary_of_another_uid_is_another_clients_and_its_pods_leave_production() {
    let seen = disowned(run("Validating", &["another"]), json!([]));
    assert_eq!(stalled(&seen).as_deref(), Some("NameTaken"));
    let kinds: Vec<Kind> = plan(&seen).actions.iter().map(|action| action.target().kind).collect();
    assert_eq!(kinds, [Kind::Pod], "out, and nothing else is written");
}

#[test]
fn a_run_that_fails_ends_whatever_became_of_the_owner_reference() {
    let out = |mut seen: Observed| {
        seen.pods = vec![pod_of(json!({"name": "a", "uid": "a"}), json!({}), true, json!({IN: ""}))];
        seen.endpoints = Some([].into());
        seen
    };
    let recorded = plan(&out(disowned(run("Failing", &["canary-uid"]), json!([]))));
    assert!(matches!(&recorded.actions[..], [Action::Delete { uid, .. }] if uid == "canary-uid"), "{recorded:?}");
    let lost = plan(&out(disowned(run("Failing", &[]), json!([]))));
    assert!(lost.actions.is_empty(), "{lost:?}");
    assert_eq!(lost.status.and_then(|update| update.status.phase), Some(Phase::Failed));
}

/// A ReplicaSet whose selector needs the label would release the pod and make another one, without end.
#[test]
fn a_pod_of_another_replica_set_keeps_the_labels_that_it_was_made_with() {
    let owner =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "other-1a2b", "uid": "o", "controller": true}]);
    let pod = |annotations: Value| -> Pod {
        let made = pod_of(json!({"name": "a", "uid": "a"}), json!({"app": "web"}), true, annotations);
        (*with_owners(&*made, owner.clone())).clone()
    };
    let mut seen = run("Failing", &["canary-uid"]);
    seen.pods = vec![Arc::new(pod(json!({})))];
    assert!(!canary::is_own(&seen, &seen.pods[0]));
    assert!(plan(&seen).actions.iter().all(|action| action.target().kind != Kind::Pod));
    seen.pods = vec![Arc::new(pod(json!({IN: "app"})))];
    let kinds: Vec<Kind> = plan(&seen).actions.iter().map(|action| action.target().kind).collect();
    assert!(kinds.contains(&Kind::Pod), "what the controller added is taken back");
}

/// A person who wants a Service to be deleted with the canary's resource makes that its owner.
#[test]
fn what_a_person_declared_ours_is_theirs() {
    let reference = |is_controller: bool| json!([{"apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "name": "try", "uid": UID, "controller": is_controller}]);
    for (is_controller, labels) in [
        (false, json!({"kanary.k8s.io/canary": "try"})),
        (true, json!({})),
        (true, json!({"kanary.k8s.io/canary": "try"})),
    ] {
        let mut seen = run("Validating", &[]);
        let mut production = json!(seen.services[0]);
        production["metadata"]["ownerReferences"] = reference(is_controller);
        production["metadata"]["labels"] = labels;
        seen.services = vec![Arc::new(serde_json::from_value(production).expect("a Service"))];
        let deleted = plan(&seen).actions.into_iter().find(|action| matches!(action, Action::Delete { .. }));
        assert_eq!(deleted, None, "production's Service");
    }
}

/// A finalizer of another client may hold a resource that is deleted for days.
#[test]
fn a_canary_leaves_when_its_resource_is_deleted() {
    let mut seen = run("Validating", &["canary-uid"]);
    let metadata = &mut Arc::make_mut(&mut seen.kanary).metadata;
    metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(crate::given::at(0)));
    metadata.finalizers = Some(vec!["example.com/backup".into()]);
    let kinds = |seen: &Observed| plan(seen).actions.iter().map(|action| action.target().kind).collect::<Vec<_>>();
    assert_eq!(kinds(&seen), [Kind::Pod], "out of production first");
    seen.pods = vec![pod_of(json!({"name": "a", "uid": "a"}), json!({}), true, json!({IN: ""}))];
    assert_eq!(kinds(&seen), [Kind::Deployment]);
    Arc::make_mut(&mut seen.kanary).metadata.finalizers = Some(vec!["orphan".into()]);
    assert_eq!(kinds(&seen), [], "the user wants it to stay");
    seen.pods = run("Validating", &[]).pods;
    assert_eq!(kinds(&seen), [Kind::Pod], "but it gets no traffic");
}

#[test]
fn a_base_whose_pods_are_labelled_as_canary_pods_is_refused() {
    let spec = json!({"traffic": {"source": "none"}});
    let labels = json!({"spec": {"template": {"metadata": {"labels": {"kanary.k8s.io/canary": "try"}}}}});
    let base = crate::given::base(labels);
    let pinned = json!({"base": {"templateHash": base.spec.template.hash}});
    let mut seen = observed(spec.clone(), status(&spec, "Starting", pinned));
    seen.base = Some(base);
    assert_eq!(stalled(&seen).as_deref(), Some("NameTaken"));
    assert!(plan(&seen).actions.is_empty());
}

#[test]
fn a_template_that_would_take_all_pods_away_is_refused() {
    let spec = json!({"traffic": {"source": "none"}, "template": {"spec": {"replicas": 0}}});
    let seen = observed(spec.clone(), status(&spec, "Starting", json!({})));
    assert_eq!(stalled(&seen).as_deref(), Some("PromotionRefused"));
    let mut seen = seen;
    seen.base = Some(crate::given::base(json!({"spec": {"replicas": 0}, "status": {"replicas": 0}})));
    assert_eq!(stalled(&seen), None, "there are none");
}
