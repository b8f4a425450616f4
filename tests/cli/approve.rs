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
        an_approval_is_of_what_can_be_looked_at,
        an_old_verdict_is_none,
        an_approval_shows_what_it_is_about,
        an_approval_names_its_run,
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
    let binding = approve::Binding { run: Some(2), template_hash: Some("abc".into()) };
    let patch = |status, reason| {
        let verdict = approve::ManualVerdict { status, reason, by: "ann".into(), at: Timestamp::UNIX_EPOCH };
        approve::patch("9", &verdict, &binding)
    };
    let bound = json!({"run": 2, "templateHash": "abc", "by": "ann", "at": "1970-01-01T00:00:00Z"});
    let with = |status: &str, reason: Value| {
        let mut manual = bound.clone();
        (manual["status"], manual["reason"]) = (json!(status), reason);
        json!({"metadata": {"resourceVersion": "9"}, "spec": {"validation": {"manual": manual}}})
    };
    assert_eq!(patch(ManualStatus::Invalid, Some("5xx")), with("invalid", json!("5xx")));
    // Without a reason an old one is removed.
    assert_eq!(patch(ManualStatus::Valid, None), with("valid", Value::Null));
}

fn a_verdict_without_effect_is_refused() {
    let watch = json!({"items": [{"labelWatch": {"podInvalidationLabels": {"bad": "yes"}}}]});
    for (phase, validation, word, refusal) in [
        // Two users may disagree; an approval does not overrule a rejection.
        (
            json!("Validating"),
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
        assert_eq!(approve::refusal(&kanary, word, false).as_deref(), refusal, "{phase} {word:?}");
    }
}

/// Until the controller has processed a template, the status is that of the one before.
fn a_verdict_is_about_the_requested_template() {
    let unseen = |why: &str| {
        Some(format!("{why}; try again later, or approve it unseen with: kubectl kanary approve web --ahead"))
    };
    let not_yet = || unseen("the controller has not processed this template of web yet");
    for (phase, word, refusal, can_retry) in [
        ("Failed", ManualStatus::Valid, unseen("the run of web has not started"), false),
        ("Failed", ManualStatus::Invalid, None, false),
        ("Validating", ManualStatus::Valid, not_yet(), false),
        ("Promoting", ManualStatus::Valid, not_yet(), false),
        ("Validating", ManualStatus::Invalid, None, false),
    ] {
        let (_, mut kanary) = kanary(json!(phase), json!({}));
        kanary.status.as_mut().expect("a status").template_hash = Some("another".into());
        assert_eq!(approve::refusal(&kanary, word, false), refusal, "{phase} {word:?}");
        assert_eq!(approve::refusal(&kanary, word, true), None, "{phase} {word:?}");
        assert_eq!(retry::refusal(&kanary).is_none(), can_retry, "{phase}");
    }
    // A runID that changed meanwhile starts nothing before the run is over.
    let (_, mut validating) = kanary(json!("Validating"), json!({}));
    validating.spec.run_id = Some("again".into());
    assert_eq!(approve::refusal(&validating, ManualStatus::Valid, false), None);
}

/// Nobody can have looked at a canary that is not there.
fn an_approval_is_of_what_can_be_looked_at() {
    let condition = |status: &str| {
        json!({"conditions": [{"type": "CanaryReady", "status": status, "reason": "CrashLoopBackOff",
            "message": "pod web-kanary-1 crashes", "lastTransitionTime": "1970-01-01T00:00:00Z"}]})
    };
    for (phase, status, says) in [
        (json!(null), json!({}), Some("the run of web has not started")),
        (json!("Scheduled"), json!({"message": "waiting until 7"}), Some("is Scheduled: waiting until 7")),
        (json!("Starting"), json!({"message": "cannot pull"}), Some("the canary of web is Starting: cannot pull")),
        (json!("Validating"), condition("False"), Some("is not available: pod web-kanary-1 crashes")),
        (json!("Validating"), condition("True"), None),
    ] {
        let (mut whole, decoded) = kanary(phase.clone(), json!({}));
        let mut kanary = decoded;
        if !phase.is_null() {
            for (key, value) in status.as_object().expect("an object") {
                whole["status"][key] = value.clone();
            }
            kanary.status = serde_json::from_value(whole["status"].clone()).expect("a status");
        }
        let refusal = approve::refusal(&kanary, ManualStatus::Valid, false);
        assert_eq!(refusal.is_some(), says.is_some(), "{phase}: {refusal:?}");
        let refusal = refusal.unwrap_or_default();
        assert!(refusal.contains(says.unwrap_or_default()), "{phase}: {refusal}");
        assert!(says.is_none() || refusal.contains("--ahead"), "{refusal}");
        assert_eq!(approve::refusal(&kanary, ManualStatus::Valid, true), None, "{phase}");
        assert_eq!(approve::refusal(&kanary, ManualStatus::Invalid, true), None, "{phase}");
    }
}

/// An old verdict is in the way of none.
fn an_old_verdict_is_none() {
    let items = json!([{"manual": {"status": "valid", "run": 1}}]);
    for validation in [json!({"items": items}), json!({"manual": {"status": "invalid", "run": 1}})] {
        let (_, mut kanary) = kanary(json!("Validating"), validation);
        kanary.status.as_mut().expect("a status").run = Some(2);
        assert_eq!(approve::refusal(&kanary, ManualStatus::Valid, false), None);
        kanary.status.as_mut().expect("a status").run = Some(1);
        assert!(approve::refusal(&kanary, ManualStatus::Valid, false).is_some());
    }
}

fn an_approval_shows_what_it_is_about() {
    let base = |image: &str| approve::Base::Found([("c".to_owned(), image.to_owned())].into());
    let watch =
        json!({"items": [{"manual": {}}, {"name": "errors", "labelWatch": {"podInvalidationLabels": {"bad": "yes"}}}]});
    for (phase, validation, base, expected) in [
        (json!("Validating"), json!({}), base("web:1"), "\n  image: web:1 → web:2"),
        (json!("Validating"), json!({}), base("web:2"), "\n  image: web:2 (unchanged)"),
        (
            json!("Validating"),
            json!({"noUpdate": true}),
            base("web:1"),
            "\n  image: web:1 → web:2; the base is not updated (noUpdate)",
        ),
        (
            json!("Validating"),
            watch,
            approve::Base::Unread,
            "\n  image: web:2\n  still waiting for: the end of the validation period; item errors",
        ),
        (
            json!(null),
            json!({}),
            approve::Base::Missing("web".into()),
            "\n  image: web:2\n  still waiting for: an available canary",
        ),
    ] {
        let (mut whole, _) = kanary(json!(null), validation);
        whole["spec"]["template"]["spec"]["template"]["spec"]["containers"] = json!([{"name": "c", "image": "web:2"}]);
        let mut kanary: KanaryDeployment = serde_json::from_value(whole).expect("a KanaryDeployment");
        if !phase.is_null() {
            let status = json!({"phase": phase, "run": 1, "templateHash": kanary.spec.template.hash()});
            kanary.status = serde_json::from_value(status).expect("a status");
        }
        assert_eq!(approve::shown(&kanary, &base), expected);
    }
}

fn an_approval_names_its_run() {
    for (phase, template, expected) in [
        (json!(null), None, "approved for run 1"),
        (json!("Validating"), None, "approved for run 3"),
        (json!("Validating"), Some("another"), "approved for run 4"),
        (json!("Failed"), Some("another"), "approved for run 4"),
    ] {
        let (_, mut kanary) = kanary(phase, json!({}));
        if let Some(status) = &mut kanary.status {
            status.run = Some(3);
            status.template_hash = template.map(str::to_owned).or(status.template_hash.take());
        }
        assert_eq!(approve::result(Some(&kanary), ManualStatus::Valid), expected);
    }
}

fn a_rejection_says_when_it_takes_effect() {
    let done = |phase: Value| approve::result(Some(&kanary(phase, json!({})).1), ManualStatus::Invalid);
    assert_eq!(done(json!("Validating")), "rejected");
    for phase in [json!(null), json!("Scheduled")] {
        assert_eq!(done(phase), "rejected; takes effect when the run starts");
    }
}

fn a_retry_removes_the_verdicts_on_the_last_run() {
    let items = json!([{"manual": {"status": "valid", "run": 1, "statusAfterDeadline": "valid"}}, {"manual": {}}]);
    let manual = json!({
        "status": "invalid", "reason": "5xx", "statusAfterDeadline": "invalid",
        "run": 1, "templateHash": "abc", "by": "ann", "at": "2026-01-01T00:00:00Z",
    });
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
