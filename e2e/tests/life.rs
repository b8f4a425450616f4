//! The life of a canary, from its birth to its end.

mod support;

use std::process::ExitCode;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Pod, ResourceQuota},
    },
    jiff::{SignedDuration, Timestamp},
};
use kanary_e2e::{Context, Error, Setup, TestNamespace, cases, harness};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        a_proven_template_becomes_the_base,
        a_failed_template_leaves_production_alone,
        status_reports_the_whole_run,
        a_missing_base_is_created_and_then_evaluated,
        a_base_that_cannot_be_created_is_reported,
        a_base_that_was_created_and_is_gone_is_not_created_again,
        a_base_that_is_deleted_ends_the_run,
        another_deployment_of_that_name_is_not_the_base,
        a_base_that_others_deploy_to_is_not_overwritten,
        a_base_that_was_changed_and_changed_back_is_not_the_one_that_was_compared: lab_only,
        a_base_may_be_scaled_and_annotated_meanwhile,
        a_paused_base_waits_to_be_resumed,
        a_rejection_counts_until_the_base_is_written: lab_only,
        the_verdict_is_final: lab_only,
        nothing_happens_before_the_schedule,
        a_schedule_in_the_past_means_now,
        a_new_run_id_tries_the_same_template_again,
        no_update_evaluates_and_leaves_the_base_alone,
        the_canary_goes_when_the_rollout_of_the_base_has_started: lab_only,
        the_canary_stays_until_the_base_is_available_if_so_configured: lab_only,
        the_canary_stays_while_the_rollout_of_the_base_stalls,
        deleted_at_any_phase_it_takes_all_it_made_along: lab_only,
        deleted_while_failing_it_takes_all_it_made_along,
        a_new_template_while_it_runs_begins_again,
        a_new_template_after_the_end_is_evaluated_like_the_first,
        what_others_do_to_the_base_after_the_end_is_theirs,
        a_promotion_that_is_reverted_is_reported,
        the_period_counts_from_the_moment_the_canary_is_available: lab_only,
    ];
    harness::main(Setup::controller(&[]), cases)
}

async fn a_proven_template_becomes_the_base(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    let before = ns.get::<Deployment>(WEB).await?;
    assert_eq!(image_of(&before), "web:1", "nothing changes before the verdict");
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&ns).await?;
    let after = ns.get::<Deployment>(WEB).await?;
    // The original made it 1: it copied the whole spec, and a template without `replicas` has one.
    assert_eq!((image_of(&after), replicas_of(&after)), ("web:2", 2));
    assert_eq!(after.uid(), before.uid());
    assert!(after.owner_references().is_empty(), "deleting the trial must not delete production");
    Ok(())
}

/// The original left the canary's Deployment, Service and autoscaler after success and after failure.
async fn a_failed_template_leaves_production_alone(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("both")).await?;
    let before = ns.get::<Deployment>(WEB).await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_nothing_is_left(&ns).await?;
    assert_eq!(ns.get::<Deployment>(WEB).await?.metadata.generation, before.metadata.generation);
    until_serves(&ns, WEB, 2, 0).await
}

async fn status_reports_the_whole_run(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, merged(traffic("both"), json!({"scale": {"static": {"replicas": 2}}}))).await?;
    let reason = json!({"status": "valid", "reason": "Ann looked at it"});
    change(&ns, json!({"validation": {"manual": reason}})).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    let web = ns.get::<Deployment>(WEB).await?;
    let expected = json!({
        "observedGeneration": kanary["metadata"]["generation"],
        "run": 1,
        "base": {"name": WEB, "uid": web.uid(), "created": false},
        "canary": {"deployment": CANARY, "service": CANARY, "readyReplicas": 0, "replicas": 0},
        "items": [{"name": "manual-0", "kind": "manual", "verdict": "Valid"}],
        "report": {"status": "Succeeded", "scale": "static 2", "traffic": "both", "validation": "manual"},
    });
    assert_contains(&kanary["status"], &expected);
    let conditions = [
        ("Scheduled", "True", "Due"),
        ("CanaryReady", "False", "Removed"),
        ("Traffic", "False", "Removed"),
        ("Running", "False", "Evaluated"),
        ("Succeeded", "True", "Valid"),
        ("DeploymentUpdated", "True", "Promoted"),
        ("Ready", "True", "Succeeded"),
        ("Reconciling", "False", "Succeeded"),
    ];
    for (type_, status, reason) in conditions {
        assert_contains(condition(&kanary, type_), &json!({"status": status, "reason": reason}));
    }
    assert!(text(condition(&kanary, "Succeeded"), "/message").contains("Ann looked at it"));
    let times = ["startedAt", "validationStartedAt", "verdictAt", "finishedAt"].map(|name| time(&kanary, name));
    assert!(times.is_sorted(), "{times:?}");
    for reason in ["Started", "Validating", "Valid", "Promoted", "Succeeded"] {
        until_event(&ns, reason).await?;
    }
    Ok(())
}

/// The original deployed the candidate as production at once, and then ended.
async fn a_missing_base_is_created_and_then_evaluated(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(trial(json!({"serviceName": null, "template": whole_template()}))).await?;
    let kanary = ns.until_phase(TRIAL, "Validating").await?;
    let web = ns.until(WEB, "the base is available", |web| has_available(web, 3)).await?;
    assert_contains(&kanary["status"]["base"], &json!({"name": WEB, "uid": web.uid(), "created": true}));
    until_event(&ns, "BaseCreated").await?;
    set_verdict(&ns, "valid").await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(condition(&kanary, "DeploymentUpdated")["reason"], "AlreadyUpToDate");
    let after = ns.get::<Deployment>(WEB).await?;
    assert_eq!(after.metadata.generation, web.metadata.generation, "it has the template: nothing is written");
    assert_nothing_is_left(&ns).await
}

/// The original crashed on a template without a selector, and never showed an error in a status.
async fn a_base_that_cannot_be_created_is_reported(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(trial(json!({}))).await?;
    let kanary = until_reason(&ns, "Reconciling", "RequestFailed").await?;
    assert!(text(condition(&kanary, "Reconciling"), "/message").contains("selector"), "{kanary}");
    assert!(text(&kanary, "/status/message").contains("selector"), "{kanary}");
    ns.apply(web(json!({}))).await?;
    let kanary = ns.until_phase(TRIAL, "Validating").await?;
    assert_contains(condition(&kanary, "Reconciling"), &json!({"status": "True", "reason": "Validating"}));
    Ok(())
}

async fn a_base_that_was_created_and_is_gone_is_not_created_again(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(trial(json!({"serviceName": null, "template": whole_template()}))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    ns.delete::<Deployment>(WEB).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(condition(&kanary, "Failed")["reason"], "BaseGone");
    assert_contains(condition(&kanary, "Ready"), &json!({"status": "False", "reason": "BaseGone"}));
    assert_contains(condition(&kanary, "Stalled"), &json!({"status": "True", "reason": "BaseGone"}));
    // Not by another run either: a base that was recorded once is never created again.
    change(&ns, json!({"runID": "again"})).await?;
    let is_over = |kanary: &Value| kanary["status"]["run"] == 2 && phase(kanary) == "Failed";
    let kanary = ns.until_kanary(TRIAL, "run 2 is over", is_over).await?;
    assert_eq!(condition(&kanary, "Failed")["reason"], "BaseGone");
    assert!(ns.find::<Deployment>(WEB).await?.is_none());
    Ok(())
}

async fn a_base_that_is_deleted_ends_the_run(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    ns.delete::<Deployment>(WEB).await?;
    fails_for(&ns, "BaseGone").await?;
    assert!(ns.find::<Deployment>(WEB).await?.is_none(), "it is not created again");
    Ok(())
}

/// A name is not an identity: comparing names would promote to a base that was never compared.
async fn another_deployment_of_that_name_is_not_the_base(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    ns.delete::<Deployment>(WEB).await?;
    ns.apply(web(json!({}))).await?;
    fails_for(&ns, "BaseGone").await?;
    assert_eq!(base_image(&ns).await?, "web:1");
    Ok(())
}

/// The original wrote what it had read long before: a deploy in between was lost.
async fn a_base_that_others_deploy_to_is_not_overwritten(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    deploy(&ns, "web:hotfix").await?;
    fails_for(&ns, "BaseChanged").await?;
    assert_eq!(base_image(&ns).await?, "web:hotfix");
    Ok(())
}

/// Comparing templates would not show it; the revision does.
async fn a_base_that_was_changed_and_changed_back_is_not_the_one_that_was_compared(
    ns: TestNamespace,
) -> Result<(), Error> {
    production(&ns).await?;
    // It cannot see the two changes one by one: the base has the first template again when validation starts.
    ns.apply(trial(playing("never-ready"))).await?;
    let kanary =
        ns.until_kanary(TRIAL, "the base is pinned", |kanary| kanary["status"]["base"]["revision"] == "1").await?;
    assert_eq!(phase(&kanary), "Starting");
    deploy(&ns, "web:hotfix").await?;
    deploy(&ns, "web:1").await?;
    fails_for(&ns, "BaseChanged").await.map(drop)
}

async fn a_base_may_be_scaled_and_annotated_meanwhile(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    let change = json!({"metadata": {"annotations": {"team": "shop"}}, "spec": {"replicas": 4, "minReadySeconds": 1}});
    ns.patch::<Deployment>(WEB, change).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    let web = ns.get::<Deployment>(WEB).await?;
    assert_eq!((image_of(&web), replicas_of(&web)), ("web:2", 4));
    assert_eq!(web.annotations().get("team").map(String::as_str), Some("shop"));
    Ok(())
}

/// Written to a paused base, the template would reach no pod, and the reported success would not be one.
async fn a_paused_base_waits_to_be_resumed(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    ns.patch::<Deployment>(WEB, json!({"spec": {"paused": true}})).await?;
    set_verdict(&ns, "valid").await?;
    let kanary = until_reason(&ns, "DeploymentUpdated", "BasePaused").await?;
    assert!(text(&kanary, "/status/message").contains("kubectl rollout resume deployment web"), "{kanary}");
    assert_contains(&kanary["status"], &json!({"phase": "Promoting", "report": {"status": "Promoting: BasePaused"}}));
    assert_eq!(base_image(&ns).await?, "web:1");
    until_canary_pods(&ns, 1).await?;
    ns.patch::<Deployment>(WEB, json!({"spec": {"paused": false}})).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    Ok(())
}

async fn a_rejection_counts_until_the_base_is_written(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    ns.patch::<Deployment>(WEB, json!({"spec": {"paused": true}})).await?;
    set_verdict(&ns, "valid").await?;
    until_reason(&ns, "DeploymentUpdated", "BasePaused").await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    ns.patch::<Deployment>(WEB, json!({"spec": {"paused": false}})).await?;
    assert_eq!(base_image(&ns).await?, "web:1");
    Ok(())
}

async fn the_verdict_is_final(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    ns.patch::<Deployment>(WEB, json!({"spec": {"paused": true}})).await?;
    set_verdict(&ns, "valid").await?;
    until_reason(&ns, "DeploymentUpdated", "BasePaused").await?;
    ns.play(&canary_pod(&ns).await?, Some("never-ready")).await?;
    let unready = |kanary: &Value| condition(kanary, "CanaryReady")["status"] == "False";
    let kanary = ns.until_kanary(TRIAL, "the canary is not ready", unready).await?;
    assert_eq!(phase(&kanary), "Promoting");
    ns.patch::<Deployment>(WEB, json!({"spec": {"paused": false}})).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    let regret = change(&ns, json!({"validation": {"manual": {"reason": "too late"}, "noUpdate": true}})).await?;
    assert_eq!(phase(&until_answered(&ns, &regret).await?), "Succeeded");
    Ok(())
}

/// The original counted from the creation of the resource: one that waited longer than its period was evaluated for
/// no time at all.
async fn nothing_happens_before_the_schedule(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(merged(watching("2s"), json!({"schedule": "2099-01-01T00:00:00Z"})))).await?;
    let kanary = ns.until_phase(TRIAL, "Scheduled").await?;
    assert_contains(condition(&kanary, "Scheduled"), &json!({"status": "False", "reason": "Waiting"}));
    assert_nothing_is_left(&ns).await?;
    let soon = Timestamp::now() + SignedDuration::from_secs(3);
    change(&ns, json!({"schedule": soon.to_string()})).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(time(&kanary, "startedAt") >= Some(soon), "{kanary}");
    assert!(
        time(&kanary, "verdictAt") >= time(&kanary, "validationStartedAt").map(|at| at + SignedDuration::from_secs(2))
    );
    Ok(())
}

/// The original refused a schedule more than a minute ago, at each reconcile: a canary died a minute after its start.
async fn a_schedule_in_the_past_means_now(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({"schedule": "2020-01-01T00:00:00Z"})).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    Ok(())
}

async fn a_new_run_id_tries_the_same_template_again(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    change(&ns, json!({"runID": "again", "validation": {"manual": null}})).await?;
    let kanary = ns.until_phase(TRIAL, "Validating").await?;
    assert_contains(
        &kanary["status"],
        &json!({"run": 2, "runID": "again", "report": {"status": "Waiting for approval"}}),
    );
    assert!(condition(&kanary, "Failed").is_null(), "the first run's verdict is not this one's");
    until_event(&ns, "Retried").await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    Ok(())
}

async fn no_update_evaluates_and_leaves_the_base_alone(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({"validation": {"noUpdate": true}})).await?;
    let before = ns.get::<Deployment>(WEB).await?;
    set_verdict(&ns, "valid").await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert_contains(condition(&kanary, "DeploymentUpdated"), &json!({"status": "False", "reason": "NoUpdate"}));
    let after = ns.get::<Deployment>(WEB).await?;
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(after.annotations().get("kanary.k8s.io/promoted-by"), None);
    assert_nothing_is_left(&ns).await
}

async fn the_canary_goes_when_the_rollout_of_the_base_has_started(ns: TestNamespace) -> Result<(), Error> {
    promoting_what_is_not_ready(&ns, "rolloutStarted").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&ns).await?;
    let web = ns.get::<Deployment>(WEB).await?;
    assert!(!has_available(&web, 2), "the rollout has only started");
    Ok(())
}

/// At `maxUnavailable: 100%` the base's own condition is Available while no pod is ready: trusting it would remove the
/// canary.
async fn the_canary_stays_until_the_base_is_available_if_so_configured(ns: TestNamespace) -> Result<(), Error> {
    promoting_what_is_not_ready(&ns, "rolloutComplete").await?;
    let rolled_out = |web: &Deployment| {
        let status = web.status.clone().unwrap_or_default();
        let says_available = status.conditions.iter().flatten().any(|c| c.type_ == "Available" && c.status == "True");
        let updated = status.updated_replicas == Some(2) && status.replicas == Some(2);
        says_available && updated && status.ready_replicas.is_none()
    };
    ns.until(WEB, "is available with no ready pod", rolled_out).await?;
    until_reason(&ns, "DeploymentUpdated", "RollingOut").await?;
    let kanary = change(&ns, json!({"validation": {"noUpdate": true}})).await?;
    assert_eq!(phase(&until_answered(&ns, &kanary).await?), "Promoting");
    until_canary_pods(&ns, 1).await?;
    for pod in ns.list::<Pod>("app=web,!kanary.k8s.io/canary").await? {
        recovers(&ns, &pod.name_any()).await?;
    }
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(has_available(&ns.get(WEB).await?, 2));
    assert_nothing_is_left(&ns).await
}

async fn the_canary_stays_while_the_rollout_of_the_base_stalls(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({"validation": {"cleanup": "rolloutComplete"}})).await?;
    // Two pods of the base and one of the canary: there is no room for the base to roll.
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}});
    ns.apply(merged(quota, json!({"spec": {"hard": {"pods": "3"}}}))).await?;
    let counted = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
    ns.until("full", "pods are counted", counted).await?;
    set_verdict(&ns, "valid").await?;
    let kanary = until_reason(&ns, "DeploymentUpdated", "BaseRolloutStalled").await?;
    assert!(text(&kanary, "/status/message").contains("exceeded quota"), "{kanary}");
    until_canary_pods(&ns, 1).await?;
    ns.delete::<ResourceQuota>("full").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(has_available(&ns.get(WEB).await?, 2));
    Ok(())
}

async fn deleted_at_any_phase_it_takes_all_it_made_along(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.patch::<Deployment>(WEB, json!({"spec": {"paused": true}})).await?;
    let before = ns.get::<Deployment>(WEB).await?;
    let phases = [
        ("Scheduled", json!({"schedule": "2099-01-01T00:00:00Z"})),
        ("Starting", playing("never-ready")),
        ("Validating", json!({})),
        // Until the base is resumed.
        ("Promoting", json!({"validation": {"manual": {"status": "valid"}}})),
        ("Succeeded", json!({"validation": {"manual": {"status": "valid"}, "noUpdate": true}})),
        ("Failed", json!({"validation": {"manual": {"status": "invalid"}}})),
    ];
    for (phase, change) in phases {
        let name = phase.to_lowercase();
        ns.apply(trial_of(&name, merged(traffic("both"), change))).await?;
        ns.until_phase(&name, phase).await?;
        ns.delete_kanary(&name).await?;
        ns.until_kanary_gone(&name).await?;
        until_all_is_gone(&ns, &name).await?;
    }
    until_serves(&ns, WEB, 2, 0).await?;
    let after = ns.get::<Deployment>(WEB).await?;
    assert_eq!((after.uid(), after.metadata.generation), (before.uid(), before.metadata.generation));
    Ok(())
}

async fn deleted_while_failing_it_takes_all_it_made_along(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("both")).await?;
    let pod = canary_pod(&ns).await?;
    ns.patch::<Pod>(&pod, json!({"metadata": {"finalizers": ["lab.kanary.k8s.io/stay"]}})).await?;
    set_verdict(&ns, "invalid").await?;
    ns.until::<Pod>(&pod, "is to be deleted", |pod| pod.metadata.deletion_timestamp.is_some()).await?;
    assert_eq!(phase(&ns.kanary(TRIAL).await?), "Failing", "it is not over while a pod is left");
    ns.delete_kanary(TRIAL).await?;
    ns.until_kanary_gone(TRIAL).await?;
    ns.patch::<Pod>(&pod, json!({"metadata": {"finalizers": null}})).await?;
    until_all_is_gone(&ns, TRIAL).await
}

async fn a_new_template_while_it_runs_begins_again(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, watching("1h")).await?;
    change(&ns, image("web:3")).await?;
    let again = |kanary: &Value| kanary["status"]["run"] == 2 && phase(kanary) == "Validating";
    ns.until_kanary(TRIAL, "is evaluated again", again).await?;
    until_event(&ns, "Restarted").await?;
    assert_eq!(image_of(&ns.get(CANARY).await?), "web:3");
    change(&ns, watching("1s")).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    let sets = ns.list::<ReplicaSet>("app=web,!kanary.k8s.io/canary").await?;
    let images = sets.iter().map(|set| json!(set)["spec"]["template"]["spec"]["containers"][0]["image"].clone());
    let mut images: Vec<Value> = images.collect();
    images.sort_by_key(Value::to_string);
    assert_eq!(images, ["web:1", "web:3"], "what was not proven never was in production");
    Ok(())
}

/// The original promoted an edit after success at once, with no validation.
async fn a_new_template_after_the_end_is_evaluated_like_the_first(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    change(&ns, merged(image("web:3"), json!({"validation": {"manual": null}}))).await?;
    let again = |kanary: &Value| kanary["status"]["run"] == 2 && phase(kanary) == "Validating";
    ns.until_kanary(TRIAL, "is evaluated", again).await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    Ok(())
}

/// The original wrote the base again at each reconcile, indefinitely: a later deploy or scale was reverted.
async fn what_others_do_to_the_base_after_the_end_is_theirs(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    let others = merged(web(json!({"spec": {"replicas": 1}})), json!({"metadata": {"labels": {"by": "others"}}}));
    ns.patch::<Deployment>(WEB, others.clone()).await?;
    let provoked = change(&ns, json!({"validation": {"cleanup": "rolloutComplete"}})).await?;
    until_answered(&ns, &provoked).await?;
    let web = ns.until(WEB, "is rolled out", |web| has_available(web, 1)).await?;
    assert_contains(&json!(web), &json!({"spec": others["spec"], "metadata": others["metadata"]}));
    assert_eq!(phase(&ns.kanary(TRIAL).await?), "Succeeded");
    Ok(())
}

/// The original counted from the creation of the resource: a slow image pull used up the period.
async fn the_period_counts_from_the_moment_the_canary_is_available(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(merged(watching("2s"), playing("never-ready")))).await?;
    until_reason(&ns, "CanaryReady", "Progressing").await?;
    // As long as the period: another trial comes and goes.
    ns.apply(trial_of("other", merged(watching("2s"), json!({"validation": {"noUpdate": true}})))).await?;
    ns.until_phase("other", "Succeeded").await?;
    assert_eq!(phase(&ns.kanary(TRIAL).await?), "Starting");
    let well = Timestamp::now();
    recovers(&ns, &canary_pod(&ns).await?).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(time(&kanary, "validationStartedAt") >= Some(well), "{kanary}");
    assert!(time(&kanary, "verdictAt") >= Some(well + SignedDuration::from_secs(2)), "{kanary}");
    Ok(())
}

/// A complete Deployment, because there is none yet.
fn whole_template() -> Value {
    json!({"spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}}})
}

/// A user deploys, without Kanary.
async fn deploy(ns: &TestNamespace, image: &str) -> Result<(), Error> {
    let containers = json!([{"name": "web", "image": image}]);
    let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let generation = ns.patch::<Deployment>(WEB, change).await?.metadata.generation;
    let seen = |web: &Deployment| web.status.as_ref().is_some_and(|status| status.observed_generation == generation);
    ns.until(WEB, "the deploy is seen", seen).await.map(drop)
}

async fn fails_for(ns: &TestNamespace, reason: &str) -> Result<(), Error> {
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(condition(&kanary, "Failed")["reason"], reason);
    assert_eq!(kanary["status"]["report"]["status"], "Failed");
    until_event(ns, reason).await?;
    assert_nothing_is_left(ns).await
}

/// Proven by a pod that recovered, but no pod of the base will become ready by itself.
async fn promoting_what_is_not_ready(ns: &TestNamespace, cleanup: &str) -> Result<(), Error> {
    production(ns).await?;
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}});
    let change = json!({"template": {"spec": {"strategy": strategy}}, "validation": {"cleanup": cleanup}});
    ns.apply(trial(merged(playing("never-ready"), change))).await?;
    recovers(ns, &canary_pod(ns).await?).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    set_verdict(ns, "valid").await.map(drop)
}

/// A GitOps tool that does not know about the canary restores the old template.
async fn a_promotion_that_is_reverted_is_reported(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    put_image(&ns, "gitops", "web:1").await?;
    let kanary = until_reason(&ns, "DeploymentUpdated", "Reverted").await?;
    let message = text(condition(&kanary, "DeploymentUpdated"), "/message");
    assert!(message.contains("the field manager gitops reverted the promotion of Deployment web"), "{message}");
    assert_contains(
        &kanary["status"],
        &json!({"phase": "Succeeded", "message": message, "report": {"status": "Succeeded"}}),
    );
    until_event(&ns, "Reverted").await?;
    assert_eq!(base_image(&ns).await?, "web:1", "the base is theirs");
    put_image(&ns, "gitops", "web:2").await?;
    until_reason(&ns, "DeploymentUpdated", "Promoted").await.map(drop)
}

/// The image of the base, as applied by that field manager.
async fn put_image(ns: &TestNamespace, manager: &str, image: &str) -> Result<(), Error> {
    let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
    let containers = json!([{"name": "web", "image": image}]);
    let patch = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": containers}}}}));
    let patched = ns.api::<Deployment>().patch(WEB, &params, &patch).await;
    patched.map(drop).context(|| format!("give Deployment web {image}"))
}
