//! What happens to the template: in the canary, and in the base once it is proven.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kanary_e2e::{Error, Setup, TestNamespace, cases, harness, tool::Tool};
use serde_json::{Value, json};
use support::*;
use tokio::process::Command;

fn main() -> ExitCode {
    let cases = cases![
        a_field_that_this_build_does_not_know_survives: lab_only,
        what_the_api_server_takes_is_taken,
        a_misspelt_field_is_not_dropped_in_silence,
        a_selector_that_the_labels_do_not_match_is_found_before_any_pod_is_made,
        the_pod_template_is_replaced_whole,
        labels_and_annotations_are_merged,
        what_the_template_sets_follows_and_the_rest_stays,
        replicas_follow_where_the_template_sets_them,
        replicas_of_an_autoscaled_base_are_the_autoscalers,
        a_template_that_is_paused_pauses_nothing,
        kubectl_shows_the_history_and_undoes: lab_only,
        the_base_is_named_by_the_resource_or_by_the_template,
    ];
    harness::main(Setup::controller(&[]).with_kubectl(), cases)
}

/// Kubernetes 1.35 has it; the types that this is built with, of 1.33, do not: reading a pod into them and writing it
/// back would lose it.
async fn a_field_that_this_build_does_not_know_survives(ns: TestNamespace) -> Result<(), Error> {
    let newer = json!({"hostnameOverride": "canary.example"});
    let typed: k8s_openapi::api::core::v1::PodSpec = serde_json::from_value(newer.clone())?;
    assert!(json!(typed)["hostnameOverride"].is_null(), "choose a newer field");
    validating(&ns, pods(json!({"spec": newer}))).await?;
    let spec = |deployment: Value| deployment["spec"]["template"]["spec"].clone();
    assert_contains(&spec(json_of::<Deployment>(&ns, CANARY).await?), &newer);
    promoted(&ns).await?;
    assert_contains(&spec(json_of::<Deployment>(&ns, WEB).await?), &newer);
    Ok(())
}

/// Server-side apply rejects both lists, because their keys are not unique; `kubectl create` and `replace` accept them.
async fn what_the_api_server_takes_is_taken(ns: TestNamespace) -> Result<(), Error> {
    let twice = json!([{
        "name": "web", "image": "web:2",
        "env": [{"name": "MODE", "value": "a"}, {"name": "MODE", "value": "b"}],
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 8080}],
    }]);
    validating(&ns, pods(json!({"spec": {"containers": twice}}))).await?;
    let containers = |deployment: Deployment| json!(deployment)["spec"]["template"]["spec"]["containers"].clone();
    assert_contains(&containers(ns.get(CANARY).await?), &twice);
    promoted(&ns).await?;
    assert_contains(&containers(ns.get(WEB).await?), &twice);
    Ok(())
}

/// Without strict validation the API server drops unknown fields, and the canary is not what was written.
async fn a_misspelt_field_is_not_dropped_in_silence(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(pods(json!({"spec": {"terminationGracePeriod": 5}})))).await?;
    let names_it = |kanary: &Value| text(condition(kanary, "Stalled"), "/message").contains("terminationGracePeriod");
    let kanary = ns.until_kanary(TRIAL, "the error names the field", names_it).await?;
    assert_eq!(phase(&kanary), "Starting");
    assert_nothing_is_left(&ns).await?;
    change(&ns, pods(json!({"spec": {"terminationGracePeriod": null}}))).await?;
    ns.until_phase(TRIAL, "Validating").await.map(drop)
}

/// If the promotion were tried only once the canary is proven, the canary would have run for nothing.
async fn a_selector_that_the_labels_do_not_match_is_found_before_any_pod_is_made(
    ns: TestNamespace,
) -> Result<(), Error> {
    production(&ns).await?;
    let labels = |app: &str| pods(json!({"metadata": {"labels": {"app": app}}}));
    ns.apply(trial(labels("other"))).await?;
    let kanary = until_reason(&ns, "Stalled", "PromotionRefused").await?;
    let message = text(&kanary, "/status/message");
    assert!(message.contains("`selector` does not match template `labels`"), "{message}");
    until_event(&ns, "PromotionRefused").await?;
    assert_nothing_is_left(&ns).await?;
    change(&ns, labels("web")).await?;
    let kanary = ns.until_phase(TRIAL, "Validating").await?;
    assert_eq!(condition(&kanary, "Stalled")["status"].as_str().unwrap_or("False"), "False");
    Ok(())
}

/// A merge, and also an apply, keeps fields that the template no longer has: the base would be something that no canary
/// was.
async fn the_pod_template_is_replaced_whole(ns: TestNamespace) -> Result<(), Error> {
    let old = json!({
        "metadata": {"annotations": {"old": "yes"}},
        "spec": {
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "containers": [
                {"name": "web", "image": "web:1", "env": [{"name": "OLD", "value": "yes"}]},
                {"name": "sidecar", "image": "sidecar:1"},
            ],
        },
    });
    ns.apply(web(json!({"spec": {"template": old}}))).await?;
    ns.apply(trial(json!({}))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    promoted(&ns).await?;
    let template = json!(ns.get::<Deployment>(WEB).await?)["spec"]["template"].clone();
    assert_eq!(template["spec"]["containers"].as_array().map(Vec::len), Some(1));
    let none =
        json!({"metadata": {"annotations": null}, "spec": {"nodeSelector": null, "containers": [{"env": null}]}});
    assert_contains(&template, &none);
    Ok(())
}

/// The original replaced them: teams, tools and the Deployment controller's own revision lost theirs.
async fn labels_and_annotations_are_merged(ns: TestNamespace) -> Result<(), Error> {
    let meta = json!({"labels": {"team": "shop", "tier": "old"}, "annotations": {"pager": "ann", "note": "old"}});
    ns.apply(web(json!({"metadata": meta}))).await?;
    let last_applied = "kubectl.kubernetes.io/last-applied-configuration";
    let new = json!({
        "labels": {"tier": "new"},
        "annotations": {"note": "new", "kubernetes.io/change-cause": "faster search", last_applied: "{}"},
    });
    ns.apply(trial(json!({"template": {"metadata": new}}))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    promoted(&ns).await?;
    let web = ns.until(WEB, "is rolled out", |web| has_available(web, 2)).await?;
    let expected = json!({
        "labels": {"app": "web", "team": "shop", "tier": "new"},
        "annotations": {
            "pager": "ann", "note": "new", "kubernetes.io/change-cause": "faster search",
            "deployment.kubernetes.io/revision": "2", last_applied: null,
        },
    });
    assert_contains(&json!(web)["metadata"], &expected);
    Ok(())
}

async fn what_the_template_sets_follows_and_the_rest_stays(ns: TestNamespace) -> Result<(), Error> {
    let labels = json!({"app": "web", "version": "2"});
    ns.apply(web(json!({"spec": {"revisionHistoryLimit": 3, "progressDeadlineSeconds": 100}}))).await?;
    let sets = json!({
        "strategy": {"type": "Recreate"}, "minReadySeconds": 1, "progressDeadlineSeconds": 200,
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}},
    });
    ns.apply(trial(json!({"template": {"spec": sets}}))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    // A canary that is recreated has a moment without pods, so it does not adopt the strategy.
    let canary = json!(ns.get::<Deployment>(CANARY).await?)["spec"].clone();
    assert_contains(&canary, &json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}}));
    promoted(&ns).await?;
    let web = json!(ns.get::<Deployment>(WEB).await?)["spec"].clone();
    let expected = json!({
        "strategy": {"type": "Recreate", "rollingUpdate": null}, "minReadySeconds": 1, "progressDeadlineSeconds": 200,
        "revisionHistoryLimit": 3,
    });
    assert_contains(&web, &expected);
    assert_eq!(web["selector"], json!({"matchLabels": {"app": "web"}}), "the selector is never touched");
    Ok(())
}

async fn replicas_follow_where_the_template_sets_them(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({"template": {"spec": {"replicas": 5}}})).await?;
    assert_eq!(replicas_of(&ns.get(CANARY).await?), 1, "the canary's number is spec.scale's business");
    promoted(&ns).await?;
    assert_eq!(replicas_of(&ns.get(WEB).await?), 5);
    Ok(())
}

/// In the original each promotion, and then each reconcile, overwrote the autoscaler's number.
async fn replicas_of_an_autoscaled_base_are_the_autoscalers(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": WEB});
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "peak"},
        "spec": {"scaleTargetRef": target, "minReplicas": 4, "maxReplicas": 9},
    });
    ns.apply(autoscaler).await?;
    ns.until(WEB, "is scaled up", |web| has_available(web, 4)).await?;
    let witness = Witness::<Deployment>::of(&ns, "app=web").await?;
    ns.apply(trial(json!({"template": {"spec": {"replicas": 1}}}))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    promoted(&ns).await?;
    ns.delete::<HorizontalPodAutoscaler>("peak").await?;
    ns.delete::<Deployment>(WEB).await?;
    let versions = witness.until_all_gone().await?;
    assert!(versions.iter().any(|web| image_of(web) == "web:2"));
    assert!(versions.iter().all(|web| replicas_of(web) == 4));
    Ok(())
}

async fn a_template_that_is_paused_pauses_nothing(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({"template": {"spec": {"paused": true}}})).await?;
    promoted(&ns).await?;
    ns.until(WEB, "is rolled out", |web| image_of(web) == "web:2" && has_available(web, 2)).await.map(drop)
}

/// The base is written once: Kanary does not repeat it when a user undoes it.
async fn kubectl_shows_the_history_and_undoes(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    promoted(&ns).await?;
    ns.until(WEB, "is rolled out", |web| has_available(web, 2)).await?;
    kubectl(&ns, &["wait", "--for=condition=Ready", "kd/trial", "--timeout=60s"]).await?;
    let history = kubectl(&ns, &["rollout", "history", "deployment/web"]).await?;
    assert!(history.contains("promoted by KanaryDeployment trial, run 1"), "{history}");
    kubectl(&ns, &["rollout", "undo", "deployment/web"]).await?;
    let kanary = change(&ns, json!({"validation": {"cleanup": "rolloutComplete"}})).await?;
    until_answered(&ns, &kanary).await?;
    ns.until(WEB, "is rolled back", |web| image_of(web) == "web:1" && has_available(web, 2)).await.map(drop)
}

async fn the_base_is_named_by_the_resource_or_by_the_template(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let name = json!({"template": {"metadata": {"name": WEB}}});
    let spared = json!({"deploymentName": null, "validation": {"noUpdate": true}});
    ns.apply(trial_of("other", merged(spared.clone(), name))).await?;
    ns.apply(trial_of(WEB, spared)).await?;
    for trial in ["other", WEB] {
        let kanary = ns.until_phase(trial, "Validating").await?;
        assert_eq!(kanary["status"]["base"]["name"], WEB);
    }
    Ok(())
}

async fn promoted(ns: &TestNamespace) -> Result<(), Error> {
    set_verdict(ns, "valid").await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(condition(&kanary, "DeploymentUpdated")["reason"], "Promoted");
    Ok(())
}

/// What kubectl prints.
async fn kubectl(ns: &TestNamespace, args: &[&str]) -> Result<String, Error> {
    let lab = ns.lab()?;
    let mut command = Command::new(lab.artifacts().tools.path(Tool::Kubectl)?);
    command.env("KUBECONFIG", lab.kubeconfig()).arg("--namespace").arg(ns.name()).args(args);
    let output = command.output().await?;
    let (printed, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(Error::wrong(format!("kubectl {}: {complaint}", args.join(" "))));
    }
    Ok(printed.into_owned())
}
