//! The one write to the base.

use kanary::{
    decision::{Action, Observed, Patch, Plan},
    lifecycle::plan,
};
use serde_json::{Value, json};

use crate::given::{at, autoscaler, base, observed, pod, status, with_canary};

fn promoting(spec: Value, base_patch: Value) -> Observed {
    let status = status(&spec, "Promoting", json!({}));
    let mut seen = with_canary(observed(spec, status));
    seen.base = Some(base(base_patch));
    seen
}

fn promotions(plan: &Plan) -> Vec<&Vec<Value>> {
    let operations = |action| match action {
        &Action::Promote { patch: Patch::Json(ref operations), .. } => Some(operations),
        _ => None,
    };
    plan.actions.iter().filter_map(operations).collect()
}

fn phase(plan: &Plan) -> Value {
    plan.status.as_ref().map_or(Value::Null, |tell| json!([tell.status.phase, tell.status.message]))
}

fn paths(operations: &[Value]) -> Vec<&str> {
    operations.iter().filter_map(|operation| operation["path"].as_str()).collect()
}

#[test]
fn replaces_the_template_whole_and_guards_the_write() {
    let plan = plan(&promoting(json!({}), json!({})));
    let [operations] = promotions(&plan)[..] else { panic!("one promotion: {plan:?}") };
    assert_eq!(operations[0], json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "5"}));
    assert_eq!(operations[1]["path"], "/spec/template");
    assert!(!paths(operations).iter().any(|path| path.contains("selector") || path.contains("replicas")));
}

#[test]
fn what_the_template_sets_follows_and_replicas_unless_autoscaled() {
    let spec = json!({"template": {"spec": {"replicas": 7, "minReadySeconds": 3, "selector": {"matchLabels": {"app": "other"}}}}});
    let mut seen = promoting(spec, json!({}));
    let followed = plan(&seen);
    assert_eq!(paths(promotions(&followed)[0])[2..4], ["/spec/minReadySeconds", "/spec/replicas"]);
    seen.autoscalers = vec![autoscaler("web", "web")];
    let autoscaled = plan(&seen);
    assert!(!paths(promotions(&autoscaled)[0]).contains(&"/spec/replicas"));
}

#[test]
fn only_after_a_persisted_verdict() {
    let spec = json!({"validation": {"manual": {"status": "valid"}}});
    for phase in ["Starting", "Validating", "Failing", "Failed", "Succeeded"] {
        let status = status(&spec, phase, json!({"evidenceSince": crate::given::at(-9999).to_string()}));
        let plan = plan(&with_canary(observed(spec.clone(), status)));
        assert_eq!(promotions(&plan).len(), 0, "{phase}");
    }
}

#[test]
fn a_base_that_is_not_the_pinned_one_is_never_written() {
    let cases = [
        (
            "another template",
            json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "hotfix"}]}}}}),
            "was changed by another client",
        ),
        ("another uid", json!({"metadata": {"uid": "another"}}), "was deleted and created again"),
        (
            "a template that came and went",
            json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "3"}}}),
            "and changed back",
        ),
    ];
    for (name, patch, message) in cases {
        let plan = plan(&promoting(json!({}), patch));
        assert_eq!(promotions(&plan).len(), 0, "{name}");
        let told = phase(&plan);
        assert_eq!(told[0], "Failing", "{name}");
        assert!(told[1].as_str().is_some_and(|text| text.contains(message)), "{name}: {told}");
    }
}

/// `kubectl replace` drops the annotation for a moment.
#[test]
fn a_base_without_its_revision_is_the_same_base() {
    let replaced = json!({"metadata": {"annotations": null}});
    assert_eq!(promotions(&plan(&promoting(json!({}), replaced))).len(), 1);
}

#[test]
fn a_paused_base_holds() {
    let plan = plan(&promoting(json!({}), json!({"spec": {"paused": true}})));
    assert_eq!(plan.actions, []);
    assert!(phase(&plan)[1].as_str().is_some_and(|message| message.contains("rollout resume")), "{:?}", phase(&plan));
}

#[test]
fn a_base_that_carries_our_token_was_promoted_whatever_its_template() {
    let hash = promoting(json!({}), json!({})).kanary.spec.template.hash().to_owned();
    let token = format!("{}/1/{hash}", crate::given::UID);
    let mutated = json!({
        "metadata": {"annotations": {"kanary.k8s.io/promoted-by": token, "deployment.kubernetes.io/revision": "2"}},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}, {"name": "injected", "image": "sidecar"}]}}},
    });
    let plan = plan(&promoting(json!({}), mutated));
    assert_eq!(promotions(&plan).len(), 0);
    assert_eq!(phase(&plan)[0], "Promoting", "it goes on to clean up");
}

#[test]
fn no_update_leaves_the_base_alone_and_cleans_up() {
    let plan = plan(&promoting(json!({"validation": {"noUpdate": true}}), json!({})));
    assert_eq!(promotions(&plan).len(), 0);
    assert!(matches!(plan.actions[..], [Action::Delete { .. }]), "{:?}", plan.actions);
}

/// "Commit the template once the canary has succeeded" is what `noUpdate` is for; the canary may still be on its way out.
#[test]
fn what_is_left_alone_may_change_once_the_verdict_is_in() {
    let committed = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}});
    let spec = json!({"validation": {"noUpdate": true}});
    let mut seen = promoting(spec.clone(), committed.clone());
    assert_eq!(phase(&plan(&seen))[0], "Promoting");
    (seen.canary, seen.pods) = (None, Vec::new());
    assert_eq!(phase(&plan(&seen))[0], "Succeeded");
    seen.base = None;
    assert_eq!(phase(&plan(&seen))[0], "Succeeded", "whatever becomes of it");
    let mut judged = with_canary(observed(spec.clone(), status(&spec, "Validating", json!({}))));
    judged.base = Some(base(committed));
    assert_eq!(phase(&plan(&judged))[0], "Failing", "before the verdict nothing is proven against it");
}

#[test]
fn what_the_template_leaves_empty_stays_as_it_is() {
    let spec = json!({"template": {"spec": {"strategy": {}, "minReadySeconds": null, "revisionHistoryLimit": 0}}});
    let plan = plan(&promoting(spec, json!({})));
    let follows: Vec<&str> =
        paths(promotions(&plan)[0]).into_iter().filter(|path| path.starts_with("/spec/")).collect();
    assert_eq!(follows, ["/spec/template", "/spec/revisionHistoryLimit"], "zero says something");
}

/// A canary of another strategy, or of other labels, has the pods that the base has.
#[test]
fn what_else_the_template_sets_is_written_though_the_pods_stay_as_they_are() {
    let promotes = |is_equal: bool| {
        let hash = base(json!({})).spec.template.hash.clone();
        let pinned = json!({"base": {"templateHash": hash, "promotedHash": hash, "isEqual": is_equal}});
        let spec = json!({"template": {"spec": {"strategy": {"type": "Recreate"}}}});
        let seen = with_canary(observed(spec.clone(), status(&spec, "Promoting", pinned)));
        !promotions(&plan(&seen)).is_empty()
    };
    assert!(promotes(false));
    assert!(!promotes(true), "what is there already is not written");
}

/// Hours may pass until the base's rollout is through, or is resumed.
#[test]
fn who_asks_for_less_traffic_while_the_base_waits_gets_less() {
    let mut seen = promoting(json!({"traffic": {"source": "kanary-service"}}), json!({"spec": {"paused": true}}));
    let owned = json!({"name": "try-kanary", "namespace": "shop", "uid": "own", "labels": {"kanary.k8s.io/canary": "try"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "KanaryDeployment", "name": "try", "uid": crate::given::UID, "controller": true}]});
    let own =
        json!({"metadata": owned, "spec": {"selector": {"kanary.k8s.io/canary": "try"}, "ports": [{"port": 80}]}});
    seen.services.push(std::sync::Arc::new(serde_json::from_value(own).expect("a Service")));
    assert_eq!(plan(&seen).actions, []);
    std::sync::Arc::make_mut(&mut seen.kanary).spec.traffic.source = kanary::api::Source::None;
    let actions: Vec<String> = plan(&seen).actions.iter().map(Action::describe).collect();
    assert_eq!(actions, ["delete Service try-kanary"]);
}

#[test]
fn the_canary_stays_while_the_bases_rollout_stalls() {
    let hash = promoting(json!({}), json!({})).kanary.spec.template.hash().to_owned();
    let stalled = json!({
        "metadata": {"generation": 2, "annotations": {"kanary.k8s.io/promoted-by": format!("{}/1/{hash}", crate::given::UID)}},
        "spec": pods("v2"),
        "status": {"observedGeneration": 2, "updatedReplicas": 0,
                   "conditions": [{"type": "Progressing", "status": "False", "message": "quota exceeded"}]},
    });
    let whole = json!({"validation": {"cleanup": "rolloutComplete"}});
    let stays = plan(&promoting(whole, stalled.clone()));
    assert_eq!(stays.actions, []);
    let message = phase(&stays)[1].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("quota exceeded") && message.contains("rolloutStarted"), "{message}");
    // With rolloutStarted the canary is only in the way, and the run is not over before the base has a new pod.
    let leaves = plan(&promoting(json!({}), stalled));
    let removed: Vec<String> = leaves.actions.iter().map(Action::describe).collect();
    assert_eq!(removed, ["delete Deployment try-kanary"]);
    assert_eq!(phase(&leaves)[0], "Promoting");
    let report = leaves.status.and_then(|update| update.status.report).expect("columns");
    assert_eq!(report.status, "Promoting: BaseRolloutStalled", "production does not have the template");
}

fn rejections() -> [(&'static str, Value); 2] {
    let labels = json!({"podInvalidationLabels": {"bad": "yes"}});
    [
        ("rejected manually", json!({"validation": {"manual": {"status": "invalid"}}})),
        ("matches the invalidation labels", json!({"validation": {"items": [{"labelWatch": labels}]}})),
    ]
}

fn with_bad_pod(mut seen: Observed) -> Observed {
    seen.pods = vec![pod("a", json!({"bad": "yes"}), true, json!({}))];
    seen
}

#[test]
fn a_rejection_counts_until_the_base_is_written() {
    for (message, spec) in rejections() {
        let plan = plan(&with_bad_pod(promoting(spec, json!({"spec": {"paused": true}}))));
        assert_eq!(promotions(&plan).len(), 0);
        let told = phase(&plan);
        assert_eq!(told[0], "Failing", "{told}");
        assert!(told[1].as_str().is_some_and(|text| text.contains(message)), "{told}");
    }
}

#[test]
fn a_rejection_that_comes_too_late_says_how_to_undo() {
    for (message, spec) in rejections() {
        let hash = promoting(spec.clone(), json!({})).kanary.spec.template.hash().to_owned();
        let token = format!("{}/1/{hash}", crate::given::UID);
        let written = json!({
            "metadata": {"generation": 2, "annotations": {"kanary.k8s.io/promoted-by": token}},
            "spec": pods("v2"),
            "status": {"observedGeneration": 2, "updatedReplicas": 0},
        });
        let told = phase(&plan(&with_bad_pod(promoting(spec, written))));
        assert_eq!(told[0], "Promoting", "{told}");
        let text = told[1].as_str().unwrap_or_default();
        assert!(text.contains(message) && text.contains("kubectl rollout undo deployment web"), "{text}");
    }
}

#[test]
fn that_the_rollout_before_stalled_says_nothing_of_this_one() {
    let hash = promoting(json!({}), json!({})).kanary.spec.template.hash().to_owned();
    let written = json!({
        "metadata": {"generation": 2, "annotations": {"kanary.k8s.io/promoted-by": format!("{}/1/{hash}", crate::given::UID)}},
        "spec": pods("v2"),
        "status": {"observedGeneration": 1, "conditions": [{"type": "Progressing", "status": "False", "message": "old"}]},
    });
    let tell = plan(&promoting(json!({}), written)).status.expect("something to tell");
    let reasons: Vec<&str> = tell.notices.iter().map(|notice| notice.reason.as_str()).collect();
    assert_eq!(reasons, ["Promoted"]);
}

/// The spec of a base with this image.
fn pods(image: &str) -> Value {
    json!({"template": {"spec": {"containers": [{"name": "c", "image": image}]}}})
}

/// The token of this resource's first run.
fn token() -> String {
    let hash = promoting(json!({}), json!({})).kanary.spec.template.hash().to_owned();
    format!("{}/1/{hash}", crate::given::UID)
}

/// Anybody who may write the base may write an annotation.
#[test]
fn a_token_on_the_pinned_template_is_forged() {
    let annotations = json!({"kanary.k8s.io/promoted-by": token()});
    let forged = plan(&promoting(json!({}), json!({"metadata": {"annotations": annotations}})));
    assert_eq!(promotions(&forged).len(), 1, "{:?}", forged.actions);
    // Ours was written and taken back before that was seen.
    let annotations = json!({"kanary.k8s.io/promoted-by": token(), "deployment.kubernetes.io/revision": "3"});
    let taken_back = plan(&promoting(json!({}), json!({"metadata": {"annotations": annotations}})));
    assert_eq!(promotions(&taken_back).len(), 0, "{:?}", taken_back.actions);
    // Where the promotion changes no pod, the template says nothing.
    let hash = base(json!({})).spec.template.hash.clone();
    let spec = json!({"template": {"spec": {"strategy": {"type": "Recreate"}}}});
    let pinned = status(&spec, "Promoting", json!({"base": {"promotedHash": hash}}));
    let mut seen = with_canary(observed(spec, pinned));
    assert_eq!(promotions(&plan(&seen)).len(), 1);
    let token = format!("{}/1/{}", crate::given::UID, seen.kanary.spec.template.hash());
    seen.base = Some(base(json!({"metadata": {"annotations": {"kanary.k8s.io/promoted-by": token}}})));
    assert_eq!(promotions(&plan(&seen)).len(), 0);
}

#[test]
fn a_promotion_by_another_kanary_deployment_is_called_so() {
    let another = json!({"kanary.k8s.io/promoted-by": "another-uid/7/abc"});
    let changed = |manager: &str| {
        let seen = with_canary(observed(json!({}), status(&json!({}), "Validating", json!({}))));
        let patch = json!({"last_manager": manager, "metadata": {"annotations": another}, "spec": pods("v3")});
        let told = phase(&plan(&Observed { base: Some(base(patch)), ..seen }));
        assert_eq!(told[0], "Failing");
        told[1].as_str().unwrap_or_default().to_owned()
    };
    let told = changed("kanary");
    assert!(told.contains("by the promotion of another KanaryDeployment (run 7 of uid another-uid)"), "{told}");
    let told = changed("helm");
    assert!(told.contains("by the field manager helm"), "the token is that of an earlier promotion: {told}");
}

#[test]
fn a_promotion_that_is_taken_back_is_told_for_ten_minutes() {
    let told = |writer: Option<&str>, image: &str, now: i64| taken_back(writer, image, now, json!({}));
    let mutated = |writer: &str| taken_back(Some(writer), "v3", 1, json!({"kanary.k8s.io/promoted-by": token()}));
    let back = told(Some("argocd-controller"), "v1", 599).expect("it is told");
    assert!(back.starts_with("the field manager argocd-controller reverted the promotion of Deployment web"), "{back}");
    let other = told(Some("helm"), "v3", 1).expect("it is told");
    assert!(other.starts_with("the field manager helm changed the pod template of Deployment web"), "{other}");
    assert_eq!(told(Some("argocd-controller"), "v1", 600), None, "by then it is a change like any other");
    for writer in [None, Some("kanary")] {
        let back = told(writer, "v1", 1).expect("the template says so");
        assert!(back.starts_with("another client reverted the promotion of Deployment web"), "{back}");
        let other = told(writer, "v3", 1).expect("the template says so");
        assert!(other.starts_with("another client changed the pod template of Deployment web"), "{other}");
    }
    assert_eq!(mutated("kanary"), None, "a webhook changed what we wrote");
    assert!(mutated("helm").is_some());
    let another = json!({"kanary.k8s.io/promoted-by": "another-uid/7/abc"});
    let other = taken_back(Some("kanary"), "v3", 1, another).expect("it is told");
    assert_eq!(
        other,
        "the promotion of another KanaryDeployment (run 7 of uid another-uid) changed the pod template of Deployment web"
    );
}

/// The event, if the base has this image and these annotations so many seconds after the end, by this writer.
fn taken_back(writer: Option<&str>, image: &str, now: i64, annotations: Value) -> Option<String> {
    let conditions = json!([{
        "type": "DeploymentUpdated", "status": "True", "reason": "Promoted", "message": "",
        "lastTransitionTime": at(0).to_string(),
    }]);
    let ended = json!({"finishedAt": at(0).to_string(), "conditions": conditions});
    let mut seen = observed(json!({}), status(&json!({}), "Succeeded", ended));
    seen.base =
        Some(base(json!({"last_manager": writer, "metadata": {"annotations": annotations}, "spec": pods(image)})));
    seen.now = at(now);
    let tell = plan(&seen).status;
    let news = tell.into_iter().flat_map(|tell| tell.notices).find(|notice| notice.reason.as_str() == "Reverted");
    news.map(|notice| notice.note)
}
