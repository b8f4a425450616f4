//! The examples, applied as written, and each run to its end with shorter periods.

use std::{path::PathBuf, process::ExitCode};

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Pod, Service},
};
use kanary_e2e::{Context, Error, Setup, TestNamespace, cases, dynamic, harness, manifests};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let cases = cases![
        every_file_is_accepted_as_written,
        manual_waits_and_is_approved,
        manual_can_be_rejected_with_a_reason,
        labelwatch_is_promoted,
        labelwatch_fails_on_a_label,
        service_is_promoted,
        kanary_service_has_a_service,
        mirror_is_in_the_users_route: lab_only,
        mirror_gateway_is_in_the_users_route: lab_only,
        both_needs_period_and_manual_verdict,
        hpa_has_an_autoscaler,
        schedule_waits_until_it_is_taken_away,
        no_update_leaves_the_base,
        multi_kanary_has_one_winner,
        base_created_stays,
    ];
    harness::main(Setup::controller(&[]).with_mesh(), cases)
}

const OLD: &str = "nginx:1.28-alpine";
const NEW: &str = "nginx:1.29-alpine";

fn files(folder: &str) -> Result<Vec<PathBuf>, Error> {
    let folder = manifests::repository().join("examples").join(folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).context(|| format!("read {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn objects(folder: &str) -> Result<Vec<Value>, Error> {
    let yaml = files(folder)?.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    Ok(yaml.map(|path| manifests::read(&path)).collect::<Result<Vec<_>, _>>()?.concat())
}

/// Applies an example, but with validation periods of at most `period`.
async fn apply_example(ns: &TestNamespace, folder: &str, period: &str) -> Result<(), Error> {
    for mut object in objects(folder)? {
        if let Some(validation) = object.pointer_mut("/spec/validation") {
            validation["validationPeriod"] = json!(period);
        }
        ns.apply(object).await?;
    }
    Ok(())
}

async fn set_verdict(ns: &TestNamespace, kanary: &str, manual: Value) -> Result<(), Error> {
    ns.patch_kanary(kanary, json!({"spec": {"validation": {"manual": manual}}})).await.map(drop)
}

fn image(deployment: &Deployment) -> Option<&str> {
    deployment.spec.as_ref()?.template.spec.as_ref()?.containers.first()?.image.as_deref()
}

async fn base_has(ns: &TestNamespace, name: &str, wanted: &str) -> Result<(), Error> {
    let base: Deployment = ns.get(name).await?;
    assert_eq!(image(&base), Some(wanted));
    Ok(())
}

/// The only canary pod, as soon as it is being evaluated.
async fn until_evaluated(ns: &TestNamespace, kanary: &str) -> Result<Pod, Error> {
    ns.until_phase(kanary, "Validating").await?;
    let pods: Vec<Pod> = ns.list(&format!("kanary.k8s.io/canary={kanary}")).await?;
    pods.into_iter().next().ok_or_else(|| Error::wrong(format!("{kanary} is evaluated without a pod")))
}

fn condition<'a>(kanary: &'a Value, type_: &str) -> &'a Value {
    let conditions = kanary["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|c| c["type"] == type_)).unwrap_or(&Value::Null)
}

async fn promoted(ns: &TestNamespace, kanary: &str) -> Result<(), Error> {
    ns.until_phase(kanary, "Succeeded").await?;
    base_has(ns, "web", NEW).await
}

async fn every_file_is_accepted_as_written(ns: TestNamespace) -> Result<(), Error> {
    let mut count = 0;
    let folders = files("")?.into_iter().filter(|path| path.is_dir());
    for folder in folders {
        for object in objects(&folder.to_string_lossy())? {
            let (api, name) = manifests::locate(&ns.client(), &object, ns.name()).await?;
            let params = PatchParams::apply("examples").dry_run().validation_strict();
            let what = || format!("{}: {}", folder.display(), manifests::describe(&object));
            api.patch(&name, &params, &Patch::Apply(&object)).await.context(what)?;
            count += 1;
        }
    }
    assert!(count >= 29, "{count} objects");
    Ok(())
}

async fn manual_waits_and_is_approved(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "manual", "1s").await?;
    let waits = |kanary: &Value| condition(kanary, "Running")["reason"] == "AwaitingEvidence";
    ns.until_kanary("web-manual", "waits for a manual verdict", waits).await?;
    base_has(&ns, "web", OLD).await?;
    set_verdict(&ns, "web-manual", json!({"status": "valid"})).await?;
    promoted(&ns, "web-manual").await
}

async fn manual_can_be_rejected_with_a_reason(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "manual", "15m").await?;
    until_evaluated(&ns, "web-manual").await?;
    set_verdict(&ns, "web-manual", json!({"status": "invalid", "reason": "the search page is slow"})).await?;
    let kanary = ns.until_phase("web-manual", "Failed").await?;
    let why = condition(&kanary, "Failed")["message"].as_str().unwrap_or_default();
    assert!(why.contains("the search page is slow"), "{why}");
    base_has(&ns, "web", OLD).await
}

async fn labelwatch_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "labelwatch", "2s").await?;
    promoted(&ns, "web-labelwatch").await
}

async fn labelwatch_fails_on_a_label(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "labelwatch", "5m").await?;
    let pod = until_evaluated(&ns, "web-labelwatch").await?.name_any();
    ns.patch::<Pod>(&pod, json!({"metadata": {"labels": {"monitoring-alert": "high-cpu"}}})).await?;
    let kanary = ns.until_phase("web-labelwatch", "Failed").await?;
    let why = kanary["status"]["message"].as_str().unwrap_or_default();
    assert!(why.contains(&pod), "{why} names {pod}");
    base_has(&ns, "web", OLD).await
}

async fn service_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "service", "2s").await?;
    promoted(&ns, "web-service").await
}

async fn kanary_service_has_a_service(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "kanary-service", "10m").await?;
    let pod = until_evaluated(&ns, "web-kanary-service").await?;
    assert!(!pod.labels().contains_key("app"), "outside production: {:?}", pod.labels());
    ns.get::<Service>("web-next").await?;
    set_verdict(&ns, "web-kanary-service", json!({"status": "valid"})).await?;
    promoted(&ns, "web-kanary-service").await?;
    ns.until_gone::<Service>("web-next").await
}

async fn mirror_is_in_the_users_route(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "mirror", "10m").await?;
    until_evaluated(&ns, "web-mirror").await?;
    let route = ns.read(dynamic::virtual_service("web")).await?;
    let (read, write) = (&route["spec"]["http"][0], &route["spec"]["http"][1]);
    assert_eq!(read["mirrors"], json!([{"destination": {"host": "web-mirror-kanary"}, "percentage": {"value": 10}}]));
    assert_eq!(write.get("mirrors"), None);
    set_verdict(&ns, "web-mirror", json!({"status": "valid"})).await?;
    promoted(&ns, "web-mirror").await?;
    let route = ns.read(dynamic::virtual_service("web")).await?;
    assert_eq!(route["spec"]["http"][0].get("mirrors"), None);
    Ok(())
}

async fn mirror_gateway_is_in_the_users_route(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "mirror-gateway", "10m").await?;
    until_evaluated(&ns, "web-mirror-gateway").await?;
    let route = ns.read(dynamic::http_route("web")).await?;
    let (read, write) = (&route["spec"]["rules"][0], &route["spec"]["rules"][1]);
    let backend = json!({"group": "", "kind": "Service", "name": "web-mirror-gateway-kanary", "port": 80});
    let filter = json!({"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": 10}});
    assert_eq!(read["filters"], json!([filter]));
    assert_eq!(write.get("filters"), None);
    set_verdict(&ns, "web-mirror-gateway", json!({"status": "valid"})).await?;
    promoted(&ns, "web-mirror-gateway").await?;
    let route = ns.read(dynamic::http_route("web")).await?;
    assert_eq!(route["spec"]["rules"][0].get("filters"), None);
    Ok(())
}

async fn both_needs_period_and_manual_verdict(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "both", "2s").await?;
    until_evaluated(&ns, "web-both").await?;
    let waits = |kanary: &Value| condition(kanary, "Running")["reason"] == "AwaitingEvidence";
    let kanary = ns.until_kanary("web-both", "waits for a manual verdict", waits).await?;
    let message = kanary["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("release-manager") && !message.contains("alerts"), "{message}");
    set_verdict(&ns, "web-both", json!({"status": "valid"})).await?;
    promoted(&ns, "web-both").await
}

async fn hpa_has_an_autoscaler(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "hpa", "2s").await?;
    let scales = |hpa: &HorizontalPodAutoscaler| hpa.spec.as_ref().is_some_and(|spec| spec.max_replicas == 5);
    ns.until("web-hpa-kanary", "up to 5 pods", scales).await?;
    promoted(&ns, "web-hpa").await?;
    ns.until_gone::<HorizontalPodAutoscaler>("web-hpa-kanary").await
}

async fn schedule_waits_until_it_is_taken_away(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "schedule", "2s").await?;
    ns.until_phase("web-schedule", "Scheduled").await?;
    assert!(ns.find::<Deployment>("web-schedule-kanary").await?.is_none());
    ns.patch_kanary("web-schedule", json!({"spec": {"schedule": null}})).await?;
    promoted(&ns, "web-schedule").await
}

async fn no_update_leaves_the_base(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "no-update", "2s").await?;
    let kanary = ns.until_phase("web-no-update", "Succeeded").await?;
    let updated = condition(&kanary, "DeploymentUpdated");
    assert_eq!((&updated["status"], &updated["reason"]), (&json!("False"), &json!("NoUpdate")));
    assert_eq!(condition(&kanary, "Succeeded")["status"], "True");
    base_has(&ns, "web", OLD).await
}

async fn multi_kanary_has_one_winner(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "multi-kanary", "15m").await?;
    until_evaluated(&ns, "web-a").await?;
    until_evaluated(&ns, "web-b").await?;
    set_verdict(&ns, "web-b", json!({"status": "valid"})).await?;
    ns.until_phase("web-b", "Succeeded").await?;
    let loser = ns.until_phase("web-a", "Failed").await?;
    assert_eq!(condition(&loser, "Failed")["reason"], "BaseChanged");
    base_has(&ns, "web", "nginx:1.29-alpine-slim").await
}

async fn base_created_stays(ns: TestNamespace) -> Result<(), Error> {
    apply_example(&ns, "base-created", "2s").await?;
    let kanary = ns.until_phase("shop", "Succeeded").await?;
    assert_eq!(kanary["status"]["base"]["created"], true);
    assert_eq!(condition(&kanary, "DeploymentUpdated")["reason"], "AlreadyUpToDate");
    ns.delete_kanary("shop").await?;
    ns.until_kanary_gone("shop").await?;
    base_has(&ns, "shop", OLD).await
}
