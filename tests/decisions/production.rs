//! Canary pods in and out of the production Service.

use kanary::{
    api::Phase,
    canary::withhold,
    decision::{Action, Kind, Observed, Patch},
    lifecycle::plan,
    traffic::{Extent, Traffic},
};
use serde_json::{Value, json};

use crate::given::{at, base, merge, observed, pod, pod_of, relabel_template, service, status, with_canary};

fn seen(source: &str, pods: Vec<std::sync::Arc<kanary::objects::Pod>>) -> Observed {
    let mut seen = with_canary(observed(json!({"traffic": {"source": source}}), Value::Null));
    seen.pods = pods;
    seen
}

/// Label changes and the record, by pod.
fn moves(seen: &Observed, phase: Phase) -> Vec<(String, Value)> {
    let traffic = Traffic::of(seen, &withhold(seen));
    let actions = match phase {
        Phase::Starting | Phase::Validating | Phase::Promoting => traffic.ensure(Extent::All { available: true }),
        Phase::Scheduled | Phase::Failing | Phase::Succeeded | Phase::Failed => traffic.withdraw(),
    };
    actions
        .into_iter()
        .filter(|action| action.target().kind == Kind::Pod)
        .map(|action| match action {
            Action::Patch { target, patch: Patch::Merge(patch) } => {
                assert_eq!(patch["metadata"]["resourceVersion"], "7", "every write is guarded");
                let record = &patch["metadata"]["annotations"]["kanary.k8s.io/production-labels"];
                (target.name, json!([patch["metadata"]["labels"], record]))
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn only_ready_pods_join() {
    let seen = seen("service", vec![pod("a", json!({}), true, json!({})), pod("b", json!({}), false, json!({}))]);
    assert_eq!(moves(&seen, Phase::Validating), [("a".into(), json!([{"app": "web"}, "app"]))]);
}

#[test]
fn a_pod_that_is_in_stays_in_when_it_is_not_ready() {
    let inside = json!({"kanary.k8s.io/production-labels": "app"});
    let seen = seen("both", vec![pod("a", json!({"app": "web"}), false, inside)]);
    assert_eq!(moves(&seen, Phase::Validating), []);
}

#[test]
fn failure_takes_pods_out_and_remembers_that_they_were_in() {
    let inside = json!({"kanary.k8s.io/production-labels": "app"});
    let seen = seen("service", vec![pod("a", json!({"app": "web"}), true, inside)]);
    assert_eq!(moves(&seen, Phase::Failing), [("a".into(), json!([{"app": null}, ""]))]);
    let outside =
        self::seen("service", vec![pod("a", json!({}), true, json!({"kanary.k8s.io/production-labels": ""}))]);
    assert_eq!(moves(&outside, Phase::Failing), []);
    assert!(kanary::traffic::was_in_production(&outside.pods[0]));
}

#[test]
fn nothing_is_deleted_while_production_lists_a_pod_but_not_for_ever() {
    let spec = json!({"traffic": {"source": "service"}});
    let failing = status(&spec, "Failing", json!({"verdictAt": at(0).to_string()}));
    let listed = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    // What the EndpointSlices list, seconds since the verdict, whether the canary goes.
    let cases = [
        (listed(&["a", "web-1"]), 9, false),
        (listed(&["a", "web-1"]), 10, true),
        (listed(&["web-1"]), 0, true),
        (None, 9, false),
        (None, 10, true),
    ];
    for (endpoints, seconds, goes) in cases {
        let mut seen = with_canary(observed(spec.clone(), failing.clone()));
        seen.pods = vec![pod("a", json!({}), true, json!({"kanary.k8s.io/production-labels": ""}))];
        (seen.endpoints, seen.now) = (endpoints.clone(), at(seconds));
        let plan = plan(&seen);
        let deletes = plan.actions.iter().any(|action| matches!(action, Action::Delete { .. }));
        assert_eq!(deletes, goes, "{endpoints:?} after {seconds} s");
        assert!(goes || plan.requeue_at == Some(at(10)), "it looks again in time: {plan:?}");
    }
}

/// A policy may refuse the write, or a webhook put the label back.
#[test]
fn what_does_not_leave_in_time_is_deleted() {
    let spec = json!({"traffic": {"source": "service"}});
    let failing = status(&spec, "Failing", json!({"verdictAt": at(0).to_string()}));
    let plan_at = |seconds| {
        let mut seen = with_canary(observed(spec.clone(), failing.clone()));
        seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({"kanary.k8s.io/production-labels": "app"}))];
        seen.now = at(seconds);
        plan(&seen).actions.iter().map(|action| action.target().kind).collect::<Vec<_>>()
    };
    assert_eq!(plan_at(9), [Kind::Pod]);
    assert_eq!(plan_at(10), [Kind::Deployment, Kind::Pod], "the deletion first: a plan ends at the first refusal");
}

#[test]
fn a_pod_that_another_client_labelled_into_production_is_taken_out() {
    let seen = seen("none", vec![pod("a", json!({"app": "web"}), true, json!({}))]);
    assert_eq!(moves(&seen, Phase::Validating), [("a".into(), json!([{"app": null}, ""]))]);
}

/// A plan ends at the first write that is refused, and an autoscaler may be refused for as long as it is asked for.
#[test]
fn pods_leave_before_anything_that_may_be_refused() {
    let spec =
        json!({"traffic": {"source": "none"}, "scale": {"hpa": {"maxReplicas": 3, "metrics": [{"type": "Wishes"}]}}});
    let mut seen = with_canary(observed(spec.clone(), status(&spec, "Validating", json!({}))));
    seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({"kanary.k8s.io/production-labels": "app"}))];
    let kinds: Vec<Kind> = plan(&seen).actions.iter().map(|action| action.target().kind).collect();
    assert_eq!(kinds, [Kind::Pod, Kind::HorizontalPodAutoscaler]);
}

#[test]
fn a_changed_selector_moves_pods_to_the_new_labels() {
    let inside = json!({"kanary.k8s.io/production-labels": "app"});
    let mut seen = seen("service", vec![pod("a", json!({"app": "web"}), true, inside)]);
    seen.services = vec![service("web", json!({"selector": {"shop": "front"}, "ports": [{"port": 80}]}))];
    assert_eq!(moves(&seen, Phase::Validating), [("a".into(), json!([{"app": null}, ""]))], "no pod has shop=front");
    relabel_template(&mut seen, json!({"app": "web", "shop": "front"}));
    seen.base = Some(base(json!({"spec": {"template": {"metadata": {"labels": {"shop": "front"}}}}})));
    assert_eq!(moves(&seen, Phase::Validating), [("a".into(), json!([{"app": null, "shop": "front"}, "shop"]))]);
}

#[test]
fn a_label_that_production_overrode_gets_its_own_value_back() {
    let inside = json!({"kanary.k8s.io/production-labels": "app"});
    let mut seen = seen("service", vec![pod("a", json!({"app": "web"}), true, inside)]);
    relabel_template(&mut seen, json!({"app": "web-next"}));
    seen.canary = None;
    assert_eq!(moves(&seen, Phase::Failing), [("a".into(), json!([{"app": "web-next"}, ""]))]);
}

/// What the API server makes of our Service may be more than production has, and some things it never changes.
#[test]
fn a_kanary_service_follows_production_as_far_as_it_can() {
    let actions = |own: Value, production: Value| {
        let spec = json!({"traffic": {"source": "kanary-service"}});
        let mut seen = with_canary(observed(spec.clone(), status(&spec, "Validating", json!({}))));
        let selector = json!({"kanary.k8s.io/canary": "try"});
        let owner = json!({"apiVersion": "v1", "kind": "KanaryDeployment", "name": "try", "uid": crate::given::UID, "controller": true});
        let mut ours = json!({
            "metadata": {"name": "try-kanary", "namespace": "shop", "uid": "own", "ownerReferences": [owner], "labels": {"kanary.k8s.io/canary": "try"}},
            "spec": {"type": "ClusterIP", "selector": selector, "ports": [{"port": 80}]},
        });
        merge(&mut ours["spec"], own);
        let mut theirs = json!({"selector": {"app": "web"}, "ports": [{"port": 80}]});
        merge(&mut theirs, production);
        seen.services =
            vec![service("web", theirs), std::sync::Arc::new(serde_json::from_value(ours).expect("a Service"))];
        plan(&seen).actions.iter().map(Action::describe).collect::<Vec<_>>()
    };
    let nothing: [&str; 0] = [];
    assert_eq!(actions(json!({}), json!({})), nothing);
    assert_eq!(actions(json!({}), json!({"ports": [{"port": 81}]})), ["patch Service try-kanary"]);
    assert_eq!(actions(json!({}), json!({"type": "ExternalName", "ports": []})), nothing, "or it would patch for ever");
    let families = |families: Value, policy: &str| json!({"ipFamilies": families, "ipFamilyPolicy": policy});
    let dual = || families(json!(["IPv4", "IPv6"]), "PreferDualStack");
    assert_eq!(actions(dual(), families(json!(["IPv4"]), "PreferDualStack")), nothing);
    assert_eq!(actions(dual(), families(json!(["IPv4"]), "SingleStack")), ["patch Service try-kanary"]);
    assert_eq!(actions(dual(), families(json!(["IPv6"]), "SingleStack")), ["delete Service try-kanary"]);
}

/// A status must not say that the canary is out while a policy, or an object that is not as expected, keeps it in.
#[test]
fn what_is_told_of_traffic_is_what_is_observed() {
    let spec = json!({"traffic": {"source": "service"}});
    let failing = status(&spec, "Failing", json!({"verdictAt": at(0).to_string()}));
    let listed = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let (inside, outside) = (json!({"app": "web"}), json!({}));
    let cases = [
        (&inside, listed(&["a"]), "True", "still selects canary pod a"),
        (&outside, listed(&["a"]), "True", "still lists canary pod a"),
        (&outside, None, "Unknown", "waiting for the EndpointSlices of Service web"),
        (&outside, listed(&["web-1"]), "False", "no longer receives traffic"),
    ];
    for (labels, endpoints, truth, words) in cases {
        let mut seen = with_canary(observed(spec.clone(), failing.clone()));
        seen.pods = vec![pod("a", labels.clone(), true, json!({"kanary.k8s.io/production-labels": "app"}))];
        seen.endpoints = endpoints;
        let traffic =
            json!(plan(&seen).status.expect("a status").status.conditions.iter().find(|c| json!(c.type_) == "Traffic"));
        assert_eq!(traffic["status"], truth, "{traffic}");
        assert!(traffic["message"].as_str().is_some_and(|message| message.contains(words)), "{traffic}");
    }
}

#[test]
fn only_pods_of_the_canarys_own_replica_set_are_let_in() {
    let record = json!({"kanary.k8s.io/production-labels": "app"});
    let bare = pod_of(json!({"name": "bare", "ownerReferences": null}), json!({}), true, json!({}));
    let released = pod_of(json!({"name": "gone", "ownerReferences": []}), json!({"app": "web"}), true, record.clone());
    let moved = pod_of(json!({"name": "moved"}), json!({"app": "web", "pod-template-hash": "other"}), true, record);
    let mut seen = seen("service", vec![bare, released, moved, pod("own", json!({}), true, json!({}))]);
    assert_eq!(
        moves(&seen, Phase::Validating),
        [
            ("gone".into(), json!([{"app": null}, ""])),
            ("moved".into(), json!([{"app": null}, ""])),
            ("own".into(), json!([{"app": "web"}, "app"])),
        ]
    );
    seen.pods = vec![pod("own", json!({"app": "web"}), true, json!({})), seen.pods[0].clone()];
    let status = Traffic::of(&seen, &withhold(&seen)).status().clone();
    assert!(status.is_on() && status.why.message.contains("pod bare"), "{status:?}");
}

#[test]
fn a_canary_that_succeeded_leaves_production_before_it_is_deleted() {
    let spec = json!({"traffic": {"source": "service"}, "validation": {"noUpdate": true}});
    let promoting = |more: Value| status(&spec, "Promoting", json!({"canary": more}));
    let leaving = json!({"deployment": "try-kanary", "leavingSince": at(0).to_string()});
    let deeds = |status: Value, labels: Value, listed: &[&str], seconds| {
        let mut seen = with_canary(observed(spec.clone(), status));
        let record = if labels["app"] == "web" { "app" } else { "" };
        seen.pods = vec![pod("a", labels, true, json!({"kanary.k8s.io/production-labels": record}))];
        (seen.endpoints, seen.now) = (Some(listed.iter().map(|name| (*name).to_owned()).collect()), at(seconds));
        let plan = plan(&seen);
        let since = plan.status.and_then(|update| update.status.canary).and_then(|canary| canary.leaving_since);
        (plan.actions.iter().map(|action| action.target().kind).collect::<Vec<_>>(), since)
    };
    let first = deeds(promoting(json!({"deployment": "try-kanary"})), json!({"app": "web"}), &["a"], 0);
    assert_eq!(first, (vec![Kind::Pod], Some(at(0))));
    assert_eq!(deeds(promoting(leaving.clone()), json!({}), &["a"], 9).0, []);
    assert_eq!(deeds(promoting(leaving.clone()), json!({}), &[], 1).0, [Kind::Deployment]);
    assert_eq!(deeds(promoting(leaving), json!({}), &["a"], 10).0, [Kind::Deployment], "no longer than 10 s");
}

/// For a post-mortem; but a new run does not wait for it.
#[test]
fn pods_of_a_failed_canary_are_kept_out_of_traffic() {
    let spec = json!({"traffic": {"source": "both"}, "validation": {"keepFailedFor": "10m"}});
    let failing = status(&spec, "Failing", json!({"verdictAt": at(0).to_string()}));
    let at_second = |seconds, change: Value| {
        let mut spec = spec.clone();
        merge(&mut spec, change);
        let mut seen = with_canary(observed(spec, failing.clone()));
        seen.pods = vec![pod("a", json!({}), true, json!({"kanary.k8s.io/production-labels": ""}))];
        seen.endpoints = Some(std::collections::BTreeSet::new());
        seen.now = at(seconds);
        let owner = json!({"kind": "KanaryDeployment", "name": "try", "uid": crate::given::UID, "controller": true});
        let own = json!({"metadata": {"name": "try-kanary", "uid": "own", "ownerReferences": [owner], "labels": {"kanary.k8s.io/canary": "try"}}, "spec": {}});
        seen.services.push(std::sync::Arc::new(serde_json::from_value(own).expect("a Service")));
        let plan = plan(&seen);
        (plan.actions.iter().map(|action| action.target().kind).collect::<Vec<_>>(), plan.requeue_at)
    };
    let nothing = json!({});
    assert_eq!(at_second(20, nothing.clone()), (vec![Kind::Service], Some(at(600))));
    let all = vec![Kind::Deployment, Kind::Service];
    assert_eq!(at_second(600, nothing).0, all);
    assert_eq!(at_second(20, json!({"runID": "2"})).0, all);
}
