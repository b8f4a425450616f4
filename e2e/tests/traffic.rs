//! What reaches the canary: production's Service, one of its own, both, none; and that nothing else ever does.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kanary_e2e::{Error, Setup, TestNamespace, cases, harness, test_namespace::Kind};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        service_lets_the_canary_join_production,
        a_kanary_service_reaches_the_canary_only,
        both_are_both,
        none_means_no_requests,
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

async fn service_lets_the_canary_join_production(ns: TestNamespace) -> Result<(), Error> {
    let kanary = validating(&ns, traffic("service")).await?;
    assert_contains(condition(&kanary, "Traffic"), &json!({"status": "True", "reason": "On"}));
    until_serves(&ns, WEB, 2, 1).await?;
    assert!(ns.find::<Service>(CANARY).await?.is_none());
    let pod: Pod = ns.get(&canary_pod(&ns).await?).await?;
    assert_eq!(pod.annotations().get("kanary.k8s.io/production-labels").map(String::as_str), Some("app"));
    // The original left them there: a canary that was over continued to serve customers.
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    until_serves(&ns, WEB, 2, 0).await
}

async fn a_kanary_service_reaches_the_canary_only(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("kanary-service")).await?;
    until_serves(&ns, CANARY, 0, 1).await?;
    until_serves(&ns, WEB, 2, 0).await?;
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": 9090, "protocol": "TCP"},
        {"name": "grpc", "port": 81, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
    ]);
    ns.patch::<Service>(WEB, json!({"spec": {"ports": ports}})).await?;
    let follows = |service: &Service| json!(service)["spec"]["ports"] == ports;
    let own = ns.until::<Service>(CANARY, "has production's new ports", follows).await?;
    let selector = json!({CANARY_LABEL: TRIAL});
    assert_contains(&json!(own), &json!({"spec": {"type": "ClusterIP", "selector": selector}}));
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_nothing_is_left(&ns).await
}

/// Never a silent no-op; and the mesh may be installed later.
async fn a_mirror_needs_a_mesh(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for (provider, crd) in [("istio", "virtualservices.networking.istio.io"), ("gateway-api", "httproutes.gateway")] {
        let name = format!("trial-{provider}");
        let spec = json!({"traffic": {"source": "mirror", "mirror": {"provider": provider}}});
        ns.apply(trial_of(&name, spec)).await?;
        let no_mesh = |kanary: &Value| condition(kanary, "Traffic")["reason"] == "NoMesh";
        let kanary = ns.until_kanary(&name, "there is no mesh", no_mesh).await?;
        assert_eq!(phase(&kanary), "Starting");
        let message = text(condition(&kanary, "Traffic"), "/message");
        assert!(message.contains(crd) && message.contains("install"), "{message}");
        assert_eq!(condition(&kanary, "Stalled")["reason"], "NoMesh");
    }
    assert_nothing_is_left(&ns).await
}

/// A new template and a schedule in one edit, as by GitOps: nothing evaluates the previous canary any more.
async fn a_restart_for_later_leaves_production(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("service")).await?;
    until_serves(&ns, WEB, 2, 1).await?;
    change(&ns, merged(image("web:3"), json!({"schedule": "2999-01-01T00:00:00Z"}))).await?;
    ns.until_phase(TRIAL, "Scheduled").await?;
    until_serves(&ns, WEB, 2, 0).await?;
    until_all_is_gone(&ns, TRIAL).await?;
    change(&ns, json!({"schedule": null})).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    until_serves(&ns, WEB, 2, 1).await
}

async fn both_are_both(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("both")).await?;
    until_serves(&ns, WEB, 2, 1).await?;
    until_serves(&ns, CANARY, 0, 1).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&ns).await?;
    until_serves(&ns, WEB, 2, 0).await
}

async fn none_means_no_requests(ns: TestNamespace) -> Result<(), Error> {
    let kanary = validating(&ns, traffic("none")).await?;
    assert_contains(condition(&kanary, "Traffic"), &json!({"status": "True", "reason": "NotRequested"}));
    assert!(ns.find::<Service>(CANARY).await?.is_none());
    until_serves(&ns, WEB, 2, 0).await
}

/// Creating pods with production's labels and removing these again is too late: the Service has seen them. And so would
/// be treating the first pods only: a ReplicaSet creates pods at any time.
async fn a_canary_pod_is_outside_production_from_its_first_moment(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let witness = Witness::<Pod>::of(&ns, CANARY_LABEL).await?;
    ns.apply(trial(traffic("kanary-service"))).await?;
    let first = canary_pod(&ns).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    ns.delete::<Pod>(&first).await?;
    ns.until_gone::<Pod>(&first).await?;
    assert_ne!(canary_pod(&ns).await?, first, "a pod of the ReplicaSet's own making");
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    let versions = witness.until_all_gone().await?;
    assert!(versions.iter().any(|pod| ready(pod) == Some("True")));
    assert!(!versions.iter().any(in_production));
    Ok(())
}

/// Production's labels in the canary's template would send requests to its pods in whatever state they are.
async fn only_a_ready_pod_joins_production(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let witness = Witness::<Pod>::of(&ns, CANARY_LABEL).await?;
    ns.apply(trial(merged(traffic("service"), playing("never-ready")))).await?;
    until_reason(&ns, "CanaryReady", "Progressing").await?;
    recovers(&ns, &canary_pod(&ns).await?).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    let versions = witness.until_all_gone().await?;
    let joined: Vec<&Pod> = versions.iter().filter(|pod| in_production(pod)).collect();
    assert!(!joined.is_empty());
    assert!(joined.iter().all(|pod| ready(pod) == Some("True")), "{joined:?}");
    Ok(())
}

/// Just deleting the Deployment would send requests to pods that are terminating.
async fn a_failed_canary_leaves_production_before_its_pods_go(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("service")).await?;
    until_serves(&ns, WEB, 2, 1).await?;
    let pods = Witness::<Pod>::of(&ns, CANARY_LABEL).await?;
    let slices = Witness::<EndpointSlice>::of(&ns, "kubernetes.io/service-name=web").await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    ns.delete::<Service>(WEB).await?;
    let (pods, slices) = (pods.until_all_gone().await?, slices.until_all_gone().await?);
    let deleted = pods.iter().find(|pod| pod.metadata.deletion_timestamp.is_some());
    let lists_canary = |slice: &EndpointSlice| json!(slice).to_string().contains(CANARY);
    let left = slices.iter().skip_while(|slice| lists_canary(slice)).find(|slice| !lists_canary(slice));
    assert!(lists_canary(&slices[0]));
    assert!(left.map(version) < deleted.map(version), "{left:?} comes before {deleted:?}");
    Ok(())
}

async fn the_source_may_change_while_it_runs(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("service")).await?;
    until_serves(&ns, WEB, 2, 1).await?;
    let pod = canary_pod(&ns).await?;
    for (source, in_production, has_service) in
        [("kanary-service", 0, true), ("both", 1, true), ("none", 0, false), ("service", 1, false)]
    {
        let kanary = change(&ns, traffic(source)).await?;
        until_serves(&ns, WEB, 2, in_production).await?;
        match has_service {
            true => until_serves(&ns, CANARY, 0, 1).await?,
            false => ns.until_gone::<Service>(CANARY).await?,
        }
        let kanary = until_answered(&ns, &kanary).await?;
        assert_contains(&kanary["status"], &json!({"phase": "Validating", "report": {"traffic": source}}));
        assert_eq!(canary_pod(&ns).await?, pod, "{source}: it is the same pod");
    }
    Ok(())
}

async fn the_kanary_service_may_change_its_name_while_it_runs(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("kanary-service")).await?;
    change(&ns, json!({"traffic": {"kanaryService": "preview"}})).await?;
    until_serves(&ns, "preview", 0, 1).await?;
    ns.until_gone::<Service>(CANARY).await
}

async fn more_pods_join_as_they_come(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("both")).await?;
    change(&ns, json!({"scale": {"static": {"replicas": 3}}})).await?;
    until_serves(&ns, WEB, 2, 3).await?;
    until_serves(&ns, CANARY, 0, 3).await
}

async fn a_new_selector_of_production_is_followed(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("service")).await?;
    ns.patch::<Service>(WEB, json!({"spec": {"selector": {"app": null, "color": "blue"}}})).await?;
    until_reason(&ns, "Traffic", "ServiceUnsupported").await?;
    until_serves(&ns, WEB, 0, 0).await?;
    let pod: Pod = ns.get(&canary_pod(&ns).await?).await?;
    assert!(!in_production(&pod), "no pod of the template has the label: {:?}", pod.labels());
    Ok(())
}

async fn a_service_that_goes_holds_the_clock_until_it_is_back(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, merged(traffic("service"), watching("1s"))).await?;
    ns.delete::<Service>(WEB).await?;
    change(&ns, watching("1h")).await?;
    until_reason(&ns, "Traffic", "ServiceNotFound").await?;
    let kanary = until_reason(&ns, "Running", "Paused").await?;
    assert_eq!(phase(&kanary), "Validating");
    ns.apply(service(json!({}))).await?;
    until_reason(&ns, "Running", "Evaluating").await?;
    until_serves(&ns, WEB, 2, 1).await
}

async fn a_service_that_is_gone_does_not_keep_a_failed_canary(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("both")).await?;
    ns.delete::<Service>(WEB).await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_nothing_is_left(&ns).await
}

async fn who_puts_a_canary_pod_into_production_is_answered(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, traffic("none")).await?;
    let pod = canary_pod(&ns).await?;
    let witness = Witness::<Pod>::of(&ns, CANARY_LABEL).await?;
    ns.patch::<Pod>(&pod, json!({"metadata": {"labels": {"app": "web"}}})).await?;
    ns.until::<Pod>(&pod, "is out of production", |pod| !in_production(pod)).await?;
    until_serves(&ns, WEB, 2, 0).await?;
    set_verdict(&ns, "invalid").await?;
    let versions = witness.until_all_gone().await?;
    assert!(versions.iter().any(in_production), "it was in for a moment");
    Ok(())
}

/// Dashboards and policies do not see a withheld label: none is withheld without need.
async fn as_few_labels_as_possible_are_withheld(ns: TestNamespace) -> Result<(), Error> {
    let labels = json!({"app": "web", "tier": "front", "team": "shop"});
    let both = json!({"app": "web", "tier": "front"});
    ns.apply(service(json!({"spec": {"selector": both}}))).await?;
    let selected = json!({"spec": {"selector": {"matchLabels": both}, "template": {"metadata": {"labels": labels}}}});
    ns.apply(web(selected)).await?;
    ns.apply(trial(merged(traffic("service"), pods(json!({"metadata": {"labels": labels}}))))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    assert_eq!(withheld(&ns.get(CANARY).await?), "app", "either would do; the first in the alphabet is taken");
    until_serves(&ns, WEB, 2, 1).await?;
    // Any Service of the namespace is production for some client.
    ns.apply(service(json!({"metadata": {"name": "shop"}, "spec": {"selector": {"app": null, "team": "shop"}}})))
        .await?;
    let canary = ns.until::<Deployment>(CANARY, "withholds more", |canary| withheld(canary) == "app,team").await?;
    let labels = json!(canary)["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(labels, json!({"tier": "front", CANARY_LABEL: TRIAL}));
    until_serves(&ns, WEB, 2, 1).await
}

async fn who_loses_sight_of_the_canary_is_named(ns: TestNamespace) -> Result<(), Error> {
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "guard"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}},
    });
    ns.apply(policy).await?;
    validating(&ns, json!({})).await?;
    let event = until_event(&ns, "LabelsWithheld").await?;
    let message = event.message.unwrap_or_default();
    assert!(message.contains("NetworkPolicy guard") && message.contains("app"), "{message}");
    Ok(())
}

/// Server-side apply would silently take them over, and change what they select.
async fn what_others_made_under_our_names_is_theirs(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"});
    let hpa = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": CANARY},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3}});
    let name = json!({"metadata": {"name": CANARY}});
    let other = json!({"spec": {"selector": {"matchLabels": {"app": "other"}},
        "template": {"metadata": {"labels": {"app": "other"}}}}});
    respects::<Deployment>(&ns, merged(web(name.clone()), other)).await?;
    respects::<Service>(&ns, merged(service(name), json!({"spec": {"selector": {"app": "other"}}}))).await?;
    respects::<HorizontalPodAutoscaler>(&ns, hpa).await
}

async fn several_trials_share_a_base_and_a_service(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for (name, tried) in [("first", "web:2"), ("second", "web:3")] {
        ns.apply(trial_of(name, merged(traffic("both"), image(tried)))).await?;
    }
    for name in ["first", "second"] {
        ns.until_phase(name, "Validating").await?;
        until_serves(&ns, &format!("{name}-kanary"), 0, 1).await?;
    }
    until_serves(&ns, WEB, 2, 2).await?;
    set_verdict_of(&ns, "first", "valid").await?;
    ns.until_phase("first", "Succeeded").await?;
    let second = ns.until_phase("second", "Failed").await?;
    assert_eq!(condition(&second, "Failed")["reason"], "BaseChanged");
    assert_eq!(base_image(&ns).await?, "web:2");
    assert_nothing_is_left(&ns).await?;
    until_serves(&ns, WEB, 2, 0).await
}

async fn services_of_any_type_serve(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let types = [
        ("headless", json!({"clusterIP": "None"})),
        ("node-port", json!({"type": "NodePort"})),
        ("load-balancer", json!({"type": "LoadBalancer"})),
    ];
    for (name, spec) in types {
        ns.apply(service(json!({"metadata": {"name": name}, "spec": spec}))).await?;
        ns.apply(trial_of(name, merged(traffic("both"), json!({"serviceName": name})))).await?;
        ns.until_phase(name, "Validating").await?;
        let own = format!("{name}-kanary");
        until_serves(&ns, &own, 0, 1).await?;
        let own = json!(ns.get::<Service>(&own).await?);
        assert_contains(&own, &json!({"spec": {"type": "ClusterIP", "ports": [{"nodePort": null, "port": 80}]}}));
        assert_ne!(own["spec"]["clusterIP"], "None");
    }
    Ok(())
}

async fn services_without_pods_are_refused(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(web(json!({}))).await?;
    let selectorless = service(json!({"spec": {"selector": null}}));
    let elsewhere = json!({"spec": {"type": "ExternalName", "externalName": "shop.example", "ports": null}});
    for (odd, text_part) in [(selectorless, "selector"), (merged(service(json!({})), elsewhere), "ExternalName")] {
        ns.apply(odd).await?;
        ns.apply(trial(traffic("service"))).await?;
        let kanary = until_reason(&ns, "Traffic", "ServiceUnsupported").await?;
        assert!(text(condition(&kanary, "Traffic"), "/message").contains(text_part), "{kanary}");
        assert_nothing_is_left(&ns).await?;
        ns.delete::<Service>(WEB).await?;
        ns.apply(service(json!({}))).await?;
        ns.until_phase(TRIAL, "Validating").await?;
        until_serves(&ns, WEB, 2, 1).await?;
        ns.delete_kanary(TRIAL).await?;
        ns.until_kanary_gone(TRIAL).await?;
        until_all_is_gone(&ns, TRIAL).await?;
        ns.delete::<Service>(WEB).await?;
    }
    Ok(())
}

async fn a_missing_service_is_waited_for(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(web(json!({}))).await?;
    ns.apply(trial(traffic("both"))).await?;
    let kanary = until_reason(&ns, "Traffic", "ServiceNotFound").await?;
    assert!(text(&kanary, "/status/message").contains("Service web"), "{kanary}");
    assert_nothing_is_left(&ns).await?;
    ns.apply(service(json!({}))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    until_serves(&ns, WEB, 2, 1).await
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

/// A trial whose name is taken reports that and waits; the existing object stays as it was.
async fn respects<K: Kind>(ns: &TestNamespace, theirs: Value) -> Result<(), Error> {
    ns.apply(theirs.clone()).await?;
    let hpa = json!({"scale": {"hpa": {"maxReplicas": 2}}});
    ns.apply(trial(merged(traffic("kanary-service"), hpa))).await?;
    let kanary = until_reason(ns, "Stalled", "NameTaken").await?;
    let message = format!("{} {CANARY} exists", K::kind(&()));
    assert!(text(condition(&kanary, "Stalled"), "/message").contains(&message), "{kanary}");
    assert_nothing_is_left(ns).await?;
    let spec = json_of::<K>(ns, CANARY).await?["spec"].clone();
    assert_contains(&spec, &theirs["spec"]);
    ns.delete::<K>(CANARY).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    ns.delete_kanary(TRIAL).await?;
    ns.until_kanary_gone(TRIAL).await?;
    until_all_is_gone(ns, TRIAL).await
}
