//! How a canary is evaluated: by users, by labels that monitoring sets on its pods, and by whether it runs at all.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, ResourceQuota},
};
use kanary_e2e::{Error, Setup, TestNamespace, cases, harness};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        a_manual_verdict_counts_wherever_it_is_set,
        the_reason_of_a_manual_verdict_is_reported,
        silence_means_what_was_declared,
        without_a_status_after_the_deadline_it_waits_for_a_verdict,
        a_verdict_on_the_run_covers_items_without_their_own,
        a_manual_item_beside_another_can_succeed,
        an_early_valid_is_kept: lab_only,
        an_early_invalid_ends_it_at_once: lab_only,
        any_label_watch_ends_it,
        a_label_counts_from_the_creation_of_the_pod: lab_only,
        a_label_on_any_pod_counts,
        a_label_on_a_pod_of_the_base_does_not_count,
        a_label_that_comes_in_time_keeps_the_base: lab_only,
        a_broken_image_is_never_promoted: lab_only,
        a_canary_that_may_have_no_pods_reports_why,
        available_needs_a_pod_whatever_the_deployment_reports: lab_only,
        ready_is_not_available,
        a_canary_that_breaks_while_it_is_evaluated_fails: lab_only,
        validation_is_paused_while_the_canary_is_not_available: lab_only,
        an_edited_item_starts_again_and_the_others_stay,
        a_manual_verdict_does_not_move_the_deadline,
        an_old_approval_promotes_nothing,
    ];
    harness::main(Setup::controller(&[]), cases)
}

async fn a_manual_verdict_counts_wherever_it_is_set(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for (verdict, end) in [("valid", "Succeeded"), ("invalid", "Failed")] {
        let manual = json!({"manual": {"status": verdict}});
        for (place, change) in [("run", manual.clone()), ("item", json!({"items": [manual]}))] {
            let name = format!("{place}-{verdict}");
            ns.apply(trial_of(&name, json!({"validation": {"noUpdate": true}}))).await?;
            ns.until_phase(&name, "Validating").await?;
            ns.patch_kanary(&name, json!({"spec": {"validation": change}})).await?;
            let kanary = ns.until_phase(&name, end).await?;
            assert_eq!(kanary["status"]["report"]["status"], end);
        }
    }
    Ok(())
}

async fn the_reason_of_a_manual_verdict_is_reported(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    let manual = json!({"status": "invalid", "reason": "too slow on Ann's screen"});
    change(&ns, json!({"validation": {"manual": manual}})).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    let event = until_event(&ns, "Invalid").await?.message.unwrap_or_default();
    for reported in [text(&kanary, "/status/message"), text(condition(&kanary, "Failed"), "/message"), &event] {
        assert!(reported.contains("too slow on Ann's screen"), "{reported}");
    }
    Ok(())
}

async fn silence_means_what_was_declared(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for (verdict, end) in [("valid", "Succeeded"), ("invalid", "Failed")] {
        let after_deadline = json!({"manual": {"statusAfterDeadline": verdict}});
        for (place, declared) in [("run", after_deadline.clone()), ("item", json!({"items": [after_deadline]}))] {
            let name = format!("{place}-{verdict}");
            let short = json!({"validationPeriod": "1s", "noUpdate": true});
            ns.apply(trial_of(&name, json!({"validation": merged(short, declared)}))).await?;
            let kanary = ns.until_phase(&name, end).await?;
            assert!(time(&kanary, "verdictAt") >= time(&kanary, "deadline"), "{kanary}");
        }
    }
    Ok(())
}

async fn without_a_status_after_the_deadline_it_waits_for_a_verdict(ns: TestNamespace) -> Result<(), Error> {
    let none = json!({"manual": {"statusAfterDeadline": "none"}});
    validating(&ns, json!({"validation": {"validationPeriod": "1s", "items": [none]}})).await?;
    let kanary = until_reason(&ns, "Running", "AwaitingEvidence").await?;
    assert!(text(&kanary, "/status/message").contains("spec.validation.manual.status"), "it names the fix: {kanary}");
    assert_eq!(base_image(&ns).await?, "web:1", "no evidence is never success");
    until_event(&ns, "AwaitingEvidence").await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await.map(drop)
}

async fn a_verdict_on_the_run_covers_items_without_their_own(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for (name, own, end) in [("agreed", "valid", "Succeeded"), ("opposed", "invalid", "Failed")] {
        let items = json!([{"name": "ann", "manual": {}}, {"name": "bob", "manual": {"status": own}}]);
        let validation = json!({"items": items, "manual": {"status": "valid"}, "noUpdate": true});
        ns.apply(trial_of(name, json!({"validation": validation}))).await?;
        let kanary = ns.until_phase(name, end).await?;
        assert_eq!(kanary["status"]["items"][0]["verdict"], "Valid");
    }
    Ok(())
}

/// In the original this pair could never succeed, although its own generator wrote it.
async fn a_manual_item_beside_another_can_succeed(ns: TestNamespace) -> Result<(), Error> {
    let items = json!([{"manual": {}}, {"labelWatch": {"podInvalidationLabels": {"bad": "yes"}}}]);
    validating(&ns, json!({"validation": {"validationPeriod": "2s", "items": items}})).await?;
    set_verdict(&ns, "valid").await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    // The manual verdict does not end the label watch early.
    assert!(time(&kanary, "verdictAt") >= time(&kanary, "deadline"), "{kanary}");
    assert_eq!(base_image(&ns).await?, "web:2");
    Ok(())
}

async fn an_early_valid_is_kept(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(playing("never-ready"))).await?;
    until_reason(&ns, "CanaryReady", "Progressing").await?;
    let early = set_verdict(&ns, "valid").await?;
    let kanary = until_answered(&ns, &early).await?;
    assert_eq!(phase(&kanary), "Starting", "no success without an available canary");
    recovers(&ns, &canary_pod(&ns).await?).await?;
    ns.until_phase(TRIAL, "Succeeded").await.map(drop)
}

async fn an_early_invalid_ends_it_at_once(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(playing("never-ready"))).await?;
    until_reason(&ns, "CanaryReady", "Progressing").await?;
    set_verdict(&ns, "invalid").await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(kanary["status"]["validationStartedAt"].is_null(), "{kanary}");
    assert_nothing_is_left(&ns).await
}

async fn any_label_watch_ends_it(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let both = json!({"qa": "failed", "by": "robot"});
    let by_somebody = json!({"matchExpressions": [{"key": "by", "operator": "Exists"}]});
    let watches = [
        ("pod-labels", json!({"podInvalidationLabels": both})),
        ("pod-selector", json!({"podInvalidationSelector": by_somebody})),
        ("deployment-labels", json!({"deploymentInvalidationLabels": both})),
        ("deployment-selector", json!({"deploymentInvalidationSelector": by_somebody})),
    ];
    // One of two labels is there from the start, and that is no match.
    let half = json!({"metadata": {"labels": {"qa": "failed"}}});
    for (name, watch) in watches {
        let template = merged(pods(half.clone()), json!({"template": half}));
        let validation = json!({"validation": {"items": [{"labelWatch": watch}], "noUpdate": true}});
        ns.apply(trial_of(name, merged(template, validation))).await?;
        ns.until_phase(name, "Validating").await?;
        let pods = ns.list::<Pod>(&canary_labels(name)).await?;
        let (pod, deployment) = (pods[0].name_any(), format!("{name}-kanary"));
        let other_half = json!({"metadata": {"labels": {"by": "robot"}}});
        let culprit = if name.starts_with("pod") {
            ns.patch::<Pod>(&pod, other_half).await?;
            pod
        } else {
            ns.patch::<Deployment>(&deployment, other_half).await?;
            deployment
        };
        let kanary = ns.until_phase(name, "Failed").await?;
        assert!(text(&kanary, "/status/message").contains(&culprit), "it names the culprit: {kanary}");
        assert_contains(&kanary["status"]["items"][0], &json!({"name": "labelWatch-0", "verdict": "Invalid"}));
    }
    Ok(())
}

async fn a_label_counts_from_the_creation_of_the_pod(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(merged(watching("1h"), playing("never-ready")))).await?;
    mark_bad(&ns, &canary_pod(&ns).await?).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(kanary["status"]["validationStartedAt"].is_null(), "{kanary}");
    Ok(())
}

/// The original checked one pod of many: the last one, once for each pod.
async fn a_label_on_any_pod_counts(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for nth in 0..3 {
        let scale = json!({"scale": {"static": {"replicas": 3}}});
        ns.apply(trial(merged(watching("1h"), scale))).await?;
        ns.until_phase(TRIAL, "Validating").await?;
        let pod = until_canary_pods(&ns, 3).await?[nth].name_any();
        mark_bad(&ns, &pod).await?;
        let kanary = ns.until_phase(TRIAL, "Failed").await?;
        assert!(text(&kanary, "/status/message").contains(&pod), "{kanary}");
        ns.delete_kanary(TRIAL).await?;
        ns.until_kanary_gone(TRIAL).await?;
    }
    Ok(())
}

async fn a_label_on_a_pod_of_the_base_does_not_count(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for pod in ns.list::<Pod>("app=web").await? {
        mark_bad(&ns, &pod.name_any()).await?;
    }
    ns.apply(trial(watching("1s"))).await?;
    ns.until_phase(TRIAL, "Succeeded").await.map(drop)
}

/// The verdict comes while the canary is not available, and the period is long over when the canary is.
async fn a_label_that_comes_in_time_keeps_the_base(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, watching("1h")).await?;
    let pod = canary_pod(&ns).await?;
    ns.play(&pod, Some("never-ready")).await?;
    until_reason(&ns, "Running", "Paused").await?;
    mark_bad(&ns, &pod).await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(base_image(&ns).await?, "web:1");
    Ok(())
}

/// In the original a pod that crashed did not count, no pod was out of bounds, and so the canary was promoted at the
/// deadline.
async fn a_broken_image_is_never_promoted(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let after_deadline = json!({"validationPeriod": "1s", "manual": {"statusAfterDeadline": "valid"}});
    let watch = watching("1s")["validation"].clone();
    let ways = [
        ("image-pull", after_deadline.clone(), "ImagePullBackOff"),
        ("crash-loop", after_deadline, "CrashLoopBackOff"),
        ("never-ready", watch, "0 of 1 canary pods available"),
    ];
    for (play, validation, why) in ways {
        let template = json!({"template": {"spec": {"progressDeadlineSeconds": 3}}, "validation": validation});
        ns.apply(trial(merged(playing(play), template))).await?;
        let pod = canary_pod(&ns).await?;
        let kanary = ns.until_phase(TRIAL, "Failed").await?;
        assert_eq!(condition(&kanary, "Failed")["reason"], "CanaryNotAvailable");
        let message = text(&kanary, "/status/message");
        assert!(message.contains(why), "{message}");
        assert!(play == "never-ready" || message.contains(&pod), "it names the pod: {message}");
        assert_nothing_is_left(&ns).await?;
        ns.delete_kanary(TRIAL).await?;
        ns.until_kanary_gone(TRIAL).await?;
    }
    assert_eq!(base_image(&ns).await?, "web:1");
    Ok(())
}

async fn a_canary_that_may_have_no_pods_reports_why(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}});
    ns.apply(merged(quota, json!({"spec": {"hard": {"pods": "2"}}}))).await?;
    let counted = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
    ns.until("full", "pods are counted", counted).await?;
    ns.apply(trial(json!({"template": {"spec": {"progressDeadlineSeconds": 3}}}))).await?;
    let kanary = until_reason(&ns, "CanaryReady", "ReplicaFailure").await?;
    assert!(text(condition(&kanary, "CanaryReady"), "/message").contains("exceeded quota"), "{kanary}");
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(condition(&kanary, "Failed")["reason"], "CanaryNotAvailable");
    assert!(text(&kanary, "/status/message").contains("exceeded quota"), "{kanary}");
    Ok(())
}

/// At `maxUnavailable: 100%` a Deployment is Available with no ready pod. Adopting the strategy and trusting the
/// condition would promote this one.
async fn available_needs_a_pod_whatever_the_deployment_reports(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}});
    let spec = json!({"strategy": strategy, "progressDeadlineSeconds": 3});
    let validation = json!({"validationPeriod": "1s", "manual": {"status": "valid"}});
    let broken = merged(playing("never-ready"), json!({"template": {"spec": spec}}));
    // The condition proves nothing.
    let own = json!({"app": "reports-so"});
    let own = json!({"metadata": {"name": "reports-so"}, "spec": {"selector": {"matchLabels": own}, "template": {"metadata": {"labels": own}}}});
    ns.apply(web(merged(broken["template"].clone(), own))).await?;
    let available = |deployment: &Deployment| {
        let status = deployment.status.clone().unwrap_or_default();
        let says_so = status.conditions.iter().flatten().any(|c| c.type_ == "Available" && c.status == "True");
        says_so && status.ready_replicas.is_none()
    };
    ns.until("reports-so", "is available without a ready pod", available).await?;
    ns.apply(trial(merged(broken, json!({"validation": validation})))).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(condition(&kanary, "Failed")["reason"], "CanaryNotAvailable");
    assert_eq!(base_image(&ns).await?, "web:1");
    Ok(())
}

async fn ready_is_not_available(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let late = json!({"template": {"spec": {"minReadySeconds": 3600, "progressDeadlineSeconds": 7200}}});
    ns.apply(trial(merged(late, json!({"validation": {"manual": {"status": "valid"}}})))).await?;
    let kanary =
        ns.until_kanary(TRIAL, "a pod is ready", |kanary| kanary["status"]["canary"]["readyReplicas"] == 1).await?;
    assert_contains(&kanary["status"], &json!({"phase": "Starting", "message": "0 of 1 canary pods available"}));
    Ok(())
}

async fn a_canary_that_breaks_while_it_is_evaluated_fails(ns: TestNamespace) -> Result<(), Error> {
    let impatient = json!({"template": {"spec": {"progressDeadlineSeconds": 3}}});
    validating(&ns, merged(watching("1h"), impatient)).await?;
    ns.play(&canary_pod(&ns).await?, Some("crash-loop")).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(condition(&kanary, "Failed")["reason"], "CanaryNotAvailable");
    assert!(text(&kanary, "/status/message").contains("CrashLoopBackOff"), "{kanary}");
    Ok(())
}

async fn validation_is_paused_while_the_canary_is_not_available(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, watching("1h")).await?;
    let pod = canary_pod(&ns).await?;
    ns.play(&pod, Some("never-ready")).await?;
    until_reason(&ns, "Running", "Paused").await?;
    until_event(&ns, "Paused").await?;
    let kanary = change(&ns, watching("3s")).await?;
    let held = until_answered(&ns, &kanary).await?;
    // As long as its period: another trial comes and goes.
    ns.apply(trial_of("other", merged(watching("3s"), json!({"validation": {"noUpdate": true}})))).await?;
    ns.until_phase("other", "Succeeded").await?;
    let kanary = ns.kanary(TRIAL).await?;
    assert_eq!(phase(&kanary), "Validating");
    recovers(&ns, &pod).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(time(&kanary, "deadline") > time(&held, "deadline"), "the deadline moved: {kanary}");
    assert!(time(&kanary, "verdictAt") >= time(&kanary, "deadline"), "{kanary}");
    Ok(())
}

async fn an_edited_item_starts_again_and_the_others_stay(ns: TestNamespace) -> Result<(), Error> {
    let watch =
        |name: &str, label: &str| json!({"name": name, "labelWatch": {"podInvalidationLabels": {label: "yes"}}});
    let items = |second: &str| json!({"validation": {"items": [watch("kept", "bad"), watch("edited", second)]}});
    let before = validating(&ns, items("worse")).await?;
    let kanary = change(&ns, items("worst")).await?;
    let after = until_answered(&ns, &kanary).await?;
    let since = |kanary: &Value, item: usize| kanary["status"]["items"][item]["since"].clone();
    assert_eq!(since(&before, 0), since(&after, 0));
    assert_ne!(since(&before, 1), since(&after, 1));
    assert!(time(&after, "deadline") > time(&before, "deadline"), "it has its whole period: {after}");
    Ok(())
}

async fn a_manual_verdict_does_not_move_the_deadline(ns: TestNamespace) -> Result<(), Error> {
    let watch = json!({"name": "labels", "labelWatch": {"podInvalidationLabels": {"bad": "yes"}}});
    let items = |manual: Value| json!({"validation": {"items": [watch, {"name": "ann", "manual": manual}]}});
    let before = validating(&ns, items(json!({}))).await?;
    let kanary = change(&ns, items(json!({"status": "valid"}))).await?;
    let after = until_answered(&ns, &kanary).await?;
    assert_eq!(after["status"]["items"][1]["verdict"], "Valid");
    assert_eq!(after["status"]["deadline"], before["status"]["deadline"]);
    assert_eq!(phase(&after), "Validating", "the labels are watched for the whole period");
    Ok(())
}

/// Monitoring labels this pod as bad.
async fn mark_bad(ns: &TestNamespace, pod: &str) -> Result<Pod, Error> {
    ns.patch(pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await
}

/// The verdict stays in the spec, and counts for nothing in the next run until it is given for that.
async fn an_old_approval_promotes_nothing(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    change(&ns, image("web:3")).await?;
    let told = "approved for run 1, not for run 2: kubectl kanary approve trial";
    ns.until_kanary(TRIAL, "the old approval is told", |kanary| text(kanary, "/status/message").contains(told)).await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    change(&ns, json!({"validation": {"manual": {"run": 2}}})).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:3");
    Ok(())
}
