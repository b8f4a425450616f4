//! What `approve`, `reject` and `retry` write, and when they refuse.

use jiff::Timestamp;
use kanary::{
    api::{KanaryDeployment, ManualStatus},
    cli::{approve, gitops, retry},
    decision::Routes,
};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::trials;

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![
        a_verdict_is_a_guarded_merge_patch,
        a_verdict_without_effect_is_refused,
        a_verdict_is_about_the_requested_template,
        a_rejection_says_when_it_takes_effect,
        a_retry_removes_the_verdicts_on_the_last_run,
        a_run_under_way_is_not_retried,
        each_retry_has_an_id_of_its_own,
        what_is_ignored_is_what_is_written,
    ]
}

fn kanary(phase: Value, validation: Value) -> (Value, KanaryDeployment) {
    let mut whole = json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment",
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "9"},
        "spec": {"template": {"spec": {"template": {"spec": {}}}}, "validation": validation},
    });
    let mut kanary: KanaryDeployment = serde_json::from_value(whole.clone()).expect("a KanaryDeployment");
    if !phase.is_null() {
        whole["status"] = json!({"phase": phase, "templateHash": kanary.spec.template.hash()});
        kanary.status = serde_json::from_value(whole["status"].clone()).expect("a status");
    }
    (whole, kanary)
}

fn a_verdict_is_a_guarded_merge_patch() {
    let patch = approve::patch("9", ManualStatus::Invalid, Some("5xx"));
    let expected = json!({"metadata": {"resourceVersion": "9"}, "spec": {"validation": {"manual": {"status": "invalid", "reason": "5xx"}}}});
    assert_eq!(patch, expected);
    // Without a reason an old one is removed.
    assert_eq!(
        approve::patch("9", ManualStatus::Valid, None)["spec"]["validation"]["manual"],
        json!({"status": "valid", "reason": null})
    );
}

fn a_verdict_without_effect_is_refused() {
    let watch = json!({"items": [{"labelWatch": {"podInvalidationLabels": {"bad": "yes"}}}]});
    for (phase, validation, word, refusal) in [
        (json!(null), json!({}), ManualStatus::Valid, None),
        (json!("Scheduled"), json!({}), ManualStatus::Valid, None),
        // Two users may disagree; an approval does not overrule a rejection.
        (
            json!("Starting"),
            json!({"manual": {"status": "invalid", "reason": "5xx"}}),
            ManualStatus::Valid,
            Some(
                "web was rejected: 5xx; withdraw that with: kubectl patch kd web -n shop --type=merge \
                 -p '{\"spec\":{\"validation\":{\"manual\":{\"reason\":null,\"status\":null}}}}'",
            ),
        ),
        (json!("Starting"), json!({"manual": {"status": "valid"}}), ManualStatus::Invalid, None),
        (json!("Starting"), json!({}), ManualStatus::Invalid, None),
        (json!("Validating"), json!({}), ManualStatus::Valid, None),
        (json!("Validating"), watch.clone(), ManualStatus::Invalid, None),
        (
            json!("Validating"),
            watch,
            ManualStatus::Valid,
            Some("web has no manual item to approve; it is evaluated by labelWatch-0"),
        ),
        (json!("Promoting"), json!({}), ManualStatus::Invalid, Some("web already has a verdict: it is Promoting")),
        (json!("Failing"), json!({}), ManualStatus::Valid, Some("web already has a verdict: it is Failing")),
        (
            json!("Failed"),
            json!({}),
            ManualStatus::Valid,
            Some("the run of web is over: Failed; try the same template again with: kubectl kanary retry web"),
        ),
    ] {
        let (_, kanary) = kanary(phase.clone(), validation);
        assert_eq!(approve::refusal(&kanary, word).as_deref(), refusal, "{phase} {word:?}");
    }
}

/// Until the controller has processed a template, the status is that of the one before.
fn a_verdict_is_about_the_requested_template() {
    let not_yet = Some("the controller has not processed this template of web yet; try again");
    for (phase, word, refusal, can_retry) in [
        ("Failed", ManualStatus::Valid, None, false),
        ("Failed", ManualStatus::Invalid, None, false),
        ("Validating", ManualStatus::Valid, not_yet, false),
        ("Promoting", ManualStatus::Valid, not_yet, false),
        ("Validating", ManualStatus::Invalid, None, false),
    ] {
        let (_, mut kanary) = kanary(json!(phase), json!({}));
        kanary.status.as_mut().expect("a status").template_hash = Some("another".into());
        assert_eq!(approve::refusal(&kanary, word).as_deref(), refusal, "{phase} {word:?}");
        assert_eq!(retry::refusal(&kanary).is_none(), can_retry, "{phase}");
    }
    // A runID that changed meanwhile starts nothing before the run is over.
    let (_, mut validating) = kanary(json!("Validating"), json!({}));
    validating.spec.run_id = Some("again".into());
    assert_eq!(approve::refusal(&validating, ManualStatus::Valid), None);
}

fn a_rejection_says_when_it_takes_effect() {
    let done = |phase: Value| approve::result(Some(&kanary(phase, json!({})).1), ManualStatus::Invalid);
    assert_eq!(done(json!("Validating")), "rejected");
    for phase in [json!(null), json!("Scheduled")] {
        assert_eq!(done(phase), "rejected; takes effect when the run starts");
    }
}

fn a_retry_removes_the_verdicts_on_the_last_run() {
    let items = json!([{"manual": {"status": "valid", "statusAfterDeadline": "valid"}}, {"manual": {}}]);
    let manual = json!({"status": "invalid", "reason": "5xx", "statusAfterDeadline": "invalid"});
    let (whole, kanary) = kanary(json!("Failed"), json!({"manual": manual, "items": items}));
    assert_eq!(retry::refusal(&kanary), None);
    let operations = retry::operations(&kanary, &whole, "2026-01-01T00:00:00Z");
    let patch: json_patch::Patch = serde_json::from_value(json!(operations)).expect("a patch");
    let mut after = whole;
    json_patch::patch(&mut after, &patch).expect("it applies");
    let validation = &after["spec"]["validation"];
    assert_eq!(after["spec"]["runID"], "2026-01-01T00:00:00Z");
    assert_eq!(validation["manual"], json!({"statusAfterDeadline": "invalid"}));
    assert_eq!(validation["items"], json!([{"manual": {"statusAfterDeadline": "valid"}}, {"manual": {}}]));
}

fn a_run_under_way_is_not_retried() {
    for (phase, says) in [(json!(null), "it has not started"), (json!("Validating"), "it is Validating")] {
        let (_, kanary) = kanary(phase, json!({}));
        let refusal = retry::refusal(&kanary).expect("a refusal");
        assert!(refusal.contains(says) && refusal.contains("kubectl kanary reject web"), "{refusal}");
    }
}

fn each_retry_has_an_id_of_its_own() {
    let (_, mut kanary) = kanary(json!("Failed"), json!({}));
    let now = Timestamp::UNIX_EPOCH;
    let first = retry::run_id(&kanary, now);
    kanary.spec.run_id = Some(first.clone());
    assert_ne!(retry::run_id(&kanary, now), first);
}

fn rules_of(kanary: &KanaryDeployment) -> Vec<gitops::Rule> {
    gitops::rules_of(&gitops::Scene { kanary: kanary.clone(), routes: Routes::default() })
}

/// Only what the template sets is Kanary's.
fn what_is_ignored_is_what_is_written() {
    let (mut whole, _) = kanary(json!(null), json!({}));
    whole["spec"]["template"] = json!({
        "metadata": {"labels": {"team/name": "shop"}},
        "spec": {"minReadySeconds": 5, "template": {"spec": {}}},
    });
    let kanary: KanaryDeployment = serde_json::from_value(whole.clone()).expect("a KanaryDeployment");
    let text = gitops::text(&rules_of(&kanary), Some(gitops::Tool::Argocd)).expect("text");
    let pointers: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- /")).collect();
    assert_eq!(
        pointers,
        [
            "spec/template",
            "spec/minReadySeconds",
            "metadata/labels/team~1name",
            "metadata/annotations/kanary.k8s.io~1promoted-by",
            "metadata/annotations/kubernetes.io~1change-cause",
        ]
    );
    whole["spec"]["validation"] = json!({"noUpdate": true});
    let kanary: KanaryDeployment = serde_json::from_value(whole).expect("a KanaryDeployment");
    assert!(rules_of(&kanary).is_empty(), "noUpdate writes nothing");
}
