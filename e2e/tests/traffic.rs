//! Who reaches the canary: production's Service, one of its own, both, nobody; and that nothing else ever does.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kanary_e2e::{Error, Scene, Setup, cases, harness, scene::Kind};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        service_lets_the_canary_join_production,
        a_kanary_service_of_its_own_reaches_nobody_else,
        both_are_both,
        none_is_nobody,
        a_canary_pod_is_outside_production_from_its_first_moment,
        only_a_ready_pod_joins_production: lab_only,
        a_failed_canary_leaves_production_before_its_pods_go,
        the_source_may_change_while_it_runs,
        a_restart_for_later_leaves_production,
        the_kanary_service_may_change_its_name_while_it_runs,
        more_pods_join_as_they_come,
        a_new_selector_of_production_is_followed,
        a_service_that_goes_holds_the_clock_until_it_is_back,
        a_service_that_is_gone_does_not_keep_a_failed_canary,
        who_puts_a_canary_pod_into_production_is_answered,
        as_few_labels_as_possible_are_withheld,
        who_loses_sight_of_the_canary_is_named,
        what_others_made_under_our_names_is_theirs,
        several_trials_share_a_base_and_a_service,
        services_of_any_type_serve,
        services_without_pods_are_refused,
        a_missing_service_is_waited_for,
        a_mirror_needs_a_mesh,
    ];
    harness::main(Setup::controller(&[]), cases)
}

async fn service_lets_the_canary_join_production(scene: Scene) -> Result<(), Error> {
    let kd = validating(&scene, traffic("service")).await?;
    assert_contains(condition(&kd, "Traffic"), &json!({"status": "True", "reason": "On"}));
    until_serves(&scene, WEB, 2, 1).await?;
    assert!(scene.find::<Service>(CANARY).await?.is_none());
    let pod: Pod = scene.get(&canary_pod(&scene).await?).await?;
    assert_eq!(pod.annotations().get("kanary.k8s.io/production-labels").map(String::as_str), Some("app"));
    // The original left them there: a canary that was over went on to answer customers.
    say(&scene, "valid").await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    until_serves(&scene, WEB, 2, 0).await
}

async fn a_kanary_service_of_its_own_reaches_nobody_else(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("kanary-service")).await?;
    until_serves(&scene, CANARY, 0, 1).await?;
    until_serves(&scene, WEB, 2, 0).await?;
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": 9090, "protocol": "TCP"},
        {"name": "grpc", "port": 81, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
    ]);
    scene.patch::<Service>(WEB, json!({"spec": {"ports": ports}})).await?;
    let follows = |service: &Service| json!(service)["spec"]["ports"] == ports;
    let own = scene.until::<Service>(CANARY, "has production's new ports", follows).await?;
    let selector = json!({CANARY_LABEL: TRIAL});
    assert_contains(&json!(own), &json!({"spec": {"type": "ClusterIP", "selector": selector}}));
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    assert_nothing_is_left(&scene).await
}

/// Never a silent no-op; and the mesh may come later.
async fn a_mirror_needs_a_mesh(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    for (provider, crd) in [("istio", "virtualservices.networking.istio.io"), ("gateway-api", "httproutes.gateway")] {
        let name = format!("trial-{provider}");
        let spec = json!({"traffic": {"source": "mirror", "mirror": {"provider": provider}}});
        scene.apply(trial_of(&name, spec)).await?;
        let no_mesh = |kd: &Value| condition(kd, "Traffic")["reason"] == "NoMesh";
        let kd = scene.until_kd(&name, "there is no mesh", no_mesh).await?;
        assert_eq!(phase(&kd), "Starting");
        let message = text(condition(&kd, "Traffic"), "/message");
        assert!(message.contains(crd) && message.contains("install"), "{message}");
        assert_eq!(condition(&kd, "Errored")["reason"], "NoMesh");
    }
    assert_nothing_is_left(&scene).await
}

/// A new template and a schedule in one edit, as GitOps makes it: nobody judges the canary of before any more.
async fn a_restart_for_later_leaves_production(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("service")).await?;
    until_serves(&scene, WEB, 2, 1).await?;
    change(&scene, merged(image("web:3"), json!({"schedule": "2999-01-01T00:00:00Z"}))).await?;
    scene.kd_phase(TRIAL, "Scheduled").await?;
    until_serves(&scene, WEB, 2, 0).await?;
    until_all_is_gone(&scene, TRIAL).await?;
    change(&scene, json!({"schedule": null})).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    until_serves(&scene, WEB, 2, 1).await
}

async fn both_are_both(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("both")).await?;
    until_serves(&scene, WEB, 2, 1).await?;
    until_serves(&scene, CANARY, 0, 1).await?;
    say(&scene, "valid").await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&scene).await?;
    until_serves(&scene, WEB, 2, 0).await
}

async fn none_is_nobody(scene: Scene) -> Result<(), Error> {
    let kd = validating(&scene, traffic("none")).await?;
    assert_contains(condition(&kd, "Traffic"), &json!({"status": "True", "reason": "NoneAsked"}));
    assert!(scene.find::<Service>(CANARY).await?.is_none());
    until_serves(&scene, WEB, 2, 0).await
}

/// Who makes pods with production's labels and takes these off again is too late: the Service has seen them. So is who
/// thinks of the first pods only: a ReplicaSet makes pods at any time.
async fn a_canary_pod_is_outside_production_from_its_first_moment(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    let witness = Witness::<Pod>::of(&scene, CANARY_LABEL).await?;
    scene.apply(trial(traffic("kanary-service"))).await?;
    let first = canary_pod(&scene).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    scene.delete::<Pod>(&first).await?;
    scene.until_gone::<Pod>(&first).await?;
    assert_ne!(canary_pod(&scene).await?, first, "a pod of the ReplicaSet's own making");
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    let versions = witness.until_all_gone().await?;
    assert!(versions.iter().any(|pod| ready(pod) == Some("True")));
    assert!(!versions.iter().any(in_production));
    Ok(())
}

/// Who puts production's labels into the canary's template sends requests to whatever the pod is at that moment.
async fn only_a_ready_pod_joins_production(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    let witness = Witness::<Pod>::of(&scene, CANARY_LABEL).await?;
    scene.apply(trial(merged(traffic("service"), playing("never-ready")))).await?;
    until_reason(&scene, "CanaryReady", "Progressing").await?;
    recovers(&scene, &canary_pod(&scene).await?).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    let versions = witness.until_all_gone().await?;
    let joined: Vec<&Pod> = versions.iter().filter(|pod| in_production(pod)).collect();
    assert!(!joined.is_empty());
    assert!(joined.iter().all(|pod| ready(pod) == Some("True")), "{joined:?}");
    Ok(())
}

/// Who just deletes the Deployment has requests sent to pods that are going.
async fn a_failed_canary_leaves_production_before_its_pods_go(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("service")).await?;
    until_serves(&scene, WEB, 2, 1).await?;
    let pods = Witness::<Pod>::of(&scene, CANARY_LABEL).await?;
    let slices = Witness::<EndpointSlice>::of(&scene, "kubernetes.io/service-name=web").await?;
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    scene.delete::<Service>(WEB).await?;
    let (pods, slices) = (pods.until_all_gone().await?, slices.until_all_gone().await?);
    let deleted = pods.iter().find(|pod| pod.metadata.deletion_timestamp.is_some());
    let lists_canary = |slice: &EndpointSlice| json!(slice).to_string().contains(CANARY);
    let left = slices.iter().skip_while(|slice| lists_canary(slice)).find(|slice| !lists_canary(slice));
    assert!(lists_canary(&slices[0]));
    assert!(left.map(version) < deleted.map(version), "{left:?} comes before {deleted:?}");
    Ok(())
}

async fn the_source_may_change_while_it_runs(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("service")).await?;
    until_serves(&scene, WEB, 2, 1).await?;
    let pod = canary_pod(&scene).await?;
    for (source, in_production, has_service) in
        [("kanary-service", 0, true), ("both", 1, true), ("none", 0, false), ("service", 1, false)]
    {
        let kd = change(&scene, traffic(source)).await?;
        until_serves(&scene, WEB, 2, in_production).await?;
        match has_service {
            true => until_serves(&scene, CANARY, 0, 1).await?,
            false => scene.until_gone::<Service>(CANARY).await?,
        }
        let kd = until_answered(&scene, &kd).await?;
        assert_contains(&kd["status"], &json!({"phase": "Validating", "report": {"traffic": source}}));
        assert_eq!(canary_pod(&scene).await?, pod, "{source}: it is the same pod");
    }
    Ok(())
}

async fn the_kanary_service_may_change_its_name_while_it_runs(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("kanary-service")).await?;
    change(&scene, json!({"traffic": {"kanaryService": "preview"}})).await?;
    until_serves(&scene, "preview", 0, 1).await?;
    scene.until_gone::<Service>(CANARY).await
}

async fn more_pods_join_as_they_come(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("both")).await?;
    change(&scene, json!({"scale": {"static": {"replicas": 3}}})).await?;
    until_serves(&scene, WEB, 2, 3).await?;
    until_serves(&scene, CANARY, 0, 3).await
}

async fn a_new_selector_of_production_is_followed(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("service")).await?;
    scene.patch::<Service>(WEB, json!({"spec": {"selector": {"app": null, "color": "blue"}}})).await?;
    until_serves(&scene, WEB, 0, 1).await?;
    let pod: Pod = scene.get(&canary_pod(&scene).await?).await?;
    assert!(!in_production(&pod), "what is no longer asked for is taken off: {:?}", pod.labels());
    change(&scene, traffic("none")).await?;
    until_serves(&scene, WEB, 0, 0).await
}

async fn a_service_that_goes_holds_the_clock_until_it_is_back(scene: Scene) -> Result<(), Error> {
    validating(&scene, merged(traffic("service"), watching("1s"))).await?;
    scene.delete::<Service>(WEB).await?;
    change(&scene, watching("1h")).await?;
    until_reason(&scene, "Traffic", "ServiceNotFound").await?;
    let kd = until_reason(&scene, "Running", "Held").await?;
    assert_eq!(phase(&kd), "Validating");
    scene.apply(service(json!({}))).await?;
    until_reason(&scene, "Running", "Judging").await?;
    until_serves(&scene, WEB, 2, 1).await
}

async fn a_service_that_is_gone_does_not_keep_a_failed_canary(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("both")).await?;
    scene.delete::<Service>(WEB).await?;
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    assert_nothing_is_left(&scene).await
}

async fn who_puts_a_canary_pod_into_production_is_answered(scene: Scene) -> Result<(), Error> {
    validating(&scene, traffic("none")).await?;
    let pod = canary_pod(&scene).await?;
    let witness = Witness::<Pod>::of(&scene, CANARY_LABEL).await?;
    scene.patch::<Pod>(&pod, json!({"metadata": {"labels": {"app": "web"}}})).await?;
    scene.until::<Pod>(&pod, "is out of production", |pod| !in_production(pod)).await?;
    until_serves(&scene, WEB, 2, 0).await?;
    say(&scene, "invalid").await?;
    let versions = witness.until_all_gone().await?;
    assert!(versions.iter().any(in_production), "it was in for a moment");
    Ok(())
}

/// Each label that is withheld is one that dashboards and policies do not see: one that need not be is one too many.
async fn as_few_labels_as_possible_are_withheld(scene: Scene) -> Result<(), Error> {
    let labels = json!({"app": "web", "tier": "front", "team": "shop"});
    let both = json!({"app": "web", "tier": "front"});
    scene.apply(service(json!({"spec": {"selector": both}}))).await?;
    let selected = json!({"spec": {"selector": {"matchLabels": both}, "template": {"metadata": {"labels": labels}}}});
    scene.apply(web(selected)).await?;
    scene.apply(trial(merged(traffic("service"), pods(json!({"metadata": {"labels": labels}}))))).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    assert_eq!(withheld(&scene.get(CANARY).await?), "app", "either would do; the first in the alphabet is taken");
    until_serves(&scene, WEB, 2, 1).await?;
    // Any Service of the namespace is production for somebody.
    scene
        .apply(service(json!({"metadata": {"name": "shop"}, "spec": {"selector": {"app": null, "team": "shop"}}})))
        .await?;
    let canary = scene.until::<Deployment>(CANARY, "withholds more", |canary| withheld(canary) == "app,team").await?;
    let labels = json!(canary)["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(labels, json!({"tier": "front", CANARY_LABEL: TRIAL}));
    until_serves(&scene, WEB, 2, 1).await
}

async fn who_loses_sight_of_the_canary_is_named(scene: Scene) -> Result<(), Error> {
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "guard"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}},
    });
    scene.apply(policy).await?;
    validating(&scene, json!({})).await?;
    let event = until_event(&scene, "LabelsWithheld").await?;
    let message = event.message.unwrap_or_default();
    assert!(message.contains("NetworkPolicy guard") && message.contains("app"), "{message}");
    Ok(())
}

/// Server-side apply would take them over without a word, and change what they select.
async fn what_others_made_under_our_names_is_theirs(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"});
    let hpa = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": CANARY},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3}});
    let name = json!({"metadata": {"name": CANARY}});
    let other = json!({"spec": {"selector": {"matchLabels": {"app": "other"}},
        "template": {"metadata": {"labels": {"app": "other"}}}}});
    respects::<Deployment>(&scene, merged(web(name.clone()), other)).await?;
    respects::<Service>(&scene, merged(service(name), json!({"spec": {"selector": {"app": "other"}}}))).await?;
    respects::<HorizontalPodAutoscaler>(&scene, hpa).await
}

async fn several_trials_share_a_base_and_a_service(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    for (name, tried) in [("first", "web:2"), ("second", "web:3")] {
        scene.apply(trial_of(name, merged(traffic("both"), image(tried)))).await?;
    }
    for name in ["first", "second"] {
        scene.kd_phase(name, "Validating").await?;
        until_serves(&scene, &format!("{name}-kanary"), 0, 1).await?;
    }
    until_serves(&scene, WEB, 2, 2).await?;
    say_of(&scene, "first", "valid").await?;
    scene.kd_phase("first", "Succeeded").await?;
    let second = scene.kd_phase("second", "Failed").await?;
    assert_eq!(condition(&second, "Failed")["reason"], "BaseChanged");
    assert_eq!(base_image(&scene).await?, "web:2");
    assert_nothing_is_left(&scene).await?;
    until_serves(&scene, WEB, 2, 0).await
}

async fn services_of_any_type_serve(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    let types = [
        ("headless", json!({"clusterIP": "None"})),
        ("node-port", json!({"type": "NodePort"})),
        ("load-balancer", json!({"type": "LoadBalancer"})),
    ];
    for (name, spec) in types {
        scene.apply(service(json!({"metadata": {"name": name}, "spec": spec}))).await?;
        scene.apply(trial_of(name, merged(traffic("both"), json!({"serviceName": name})))).await?;
        scene.kd_phase(name, "Validating").await?;
        let own = format!("{name}-kanary");
        until_serves(&scene, &own, 0, 1).await?;
        let own = json!(scene.get::<Service>(&own).await?);
        assert_contains(&own, &json!({"spec": {"type": "ClusterIP", "ports": [{"nodePort": null, "port": 80}]}}));
        assert_ne!(own["spec"]["clusterIP"], "None");
    }
    Ok(())
}

async fn services_without_pods_are_refused(scene: Scene) -> Result<(), Error> {
    scene.apply(web(json!({}))).await?;
    let selectorless = service(json!({"spec": {"selector": null}}));
    let elsewhere = json!({"spec": {"type": "ExternalName", "externalName": "shop.example", "ports": null}});
    for (odd, word) in [(selectorless, "selector"), (merged(service(json!({})), elsewhere), "ExternalName")] {
        scene.apply(odd).await?;
        scene.apply(trial(traffic("service"))).await?;
        let kd = until_reason(&scene, "Traffic", "ServiceUnsupported").await?;
        assert!(text(condition(&kd, "Traffic"), "/message").contains(word), "{kd}");
        assert_nothing_is_left(&scene).await?;
        scene.delete::<Service>(WEB).await?;
        scene.apply(service(json!({}))).await?;
        scene.kd_phase(TRIAL, "Validating").await?;
        until_serves(&scene, WEB, 2, 1).await?;
        scene.delete_kd(TRIAL).await?;
        scene.until_kd_gone(TRIAL).await?;
        until_all_is_gone(&scene, TRIAL).await?;
        scene.delete::<Service>(WEB).await?;
    }
    Ok(())
}

async fn a_missing_service_is_waited_for(scene: Scene) -> Result<(), Error> {
    scene.apply(web(json!({}))).await?;
    scene.apply(trial(traffic("both"))).await?;
    let kd = until_reason(&scene, "Traffic", "ServiceNotFound").await?;
    assert!(text(&kd, "/status/message").contains("Service web"), "{kd}");
    assert_nothing_is_left(&scene).await?;
    scene.apply(service(json!({}))).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    until_serves(&scene, WEB, 2, 1).await
}

fn in_production(pod: &Pod) -> bool {
    pod.labels().get("app").is_some_and(|app| app == "web")
}

fn withheld(canary: &Deployment) -> &str {
    canary.annotations().get("kanary.k8s.io/withheld-labels").map_or("", String::as_str)
}

/// Of two objects of one API server, the one with the smaller version was written first.
fn version<K: Kind>(object: &K) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// A trial that finds its name taken says so and waits; what was there stays as it was.
async fn respects<K: Kind>(scene: &Scene, theirs: Value) -> Result<(), Error> {
    scene.apply(theirs.clone()).await?;
    let hpa = json!({"scale": {"hpa": {"maxReplicas": 2}}});
    scene.apply(trial(merged(traffic("kanary-service"), hpa))).await?;
    let kd = until_reason(scene, "Errored", "NameTaken").await?;
    let message = format!("{} {CANARY} exists", K::kind(&()));
    assert!(text(condition(&kd, "Errored"), "/message").contains(&message), "{kd}");
    assert_nothing_is_left(scene).await?;
    let spec = json_of::<K>(scene, CANARY).await?["spec"].clone();
    assert_contains(&spec, &theirs["spec"]);
    scene.delete::<K>(CANARY).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    scene.delete_kd(TRIAL).await?;
    scene.until_kd_gone(TRIAL).await?;
    until_all_is_gone(scene, TRIAL).await
}
