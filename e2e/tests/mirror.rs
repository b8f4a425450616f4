//! The mirror on a real mesh: Kanary writes it into people's routes and takes it out again, copies are counted where they
//! arrive, and whatever happens people's routes are theirs.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::core::v1::Service;
use kanary_e2e::{
    Error, Scene, Setup,
    any::{self, Named},
    cases, harness,
};
use serde_json::{Value, json};
use support::{mesh::*, plugin::good, *};

fn main() -> ExitCode {
    let cases = cases![
        every_request_is_copied_while_it_runs_and_none_after: lab_only,
        the_percentage_may_change_while_it_runs: lab_only,
        what_people_change_meanwhile_stays: lab_only,
        a_revert_is_put_back_and_told: lab_only,
        without_a_virtual_service_it_makes_one: lab_only,
        its_own_gives_way_to_one_of_the_users: lab_only,
        a_deleted_trial_leaves_no_mirror: lab_only,
        two_trials_share_a_route: lab_only,
        the_source_may_change_while_it_runs: lab_only,
        its_own_goes_with_the_source: lab_only,
        the_kanary_service_may_change_its_name_while_it_runs: lab_only,
        an_http_route_copies_too: lab_only,
        what_cannot_be_mirrored_is_refused_by_name: lab_only,
        another_namespace_is_left_alone: lab_only,
        copies_that_must_be_seen_are_waited_for: lab_only,
        generated_for_a_mirror_it_is_promoted: lab_only,
        what_gitops_must_ignore_is_what_is_written: lab_only,
    ];
    let url = format!("--prometheus-url=http://127.0.0.1:{}", kanary_e2e::network::FIRST_PROMETHEUS_PORT);
    harness::main(Setup::controller(&[&url]).with_mesh().with_prometheus(), cases)
}

const WEB_ROUTE: Named<'static> = Named { api_version: "networking.istio.io/v1", kind: "VirtualService", name: WEB };

fn mirroring(settings: Value) -> Value {
    json!({"traffic": {"source": "mirror", "mirror": settings}})
}

/// The user's VirtualService, with what must survive.
fn user_route() -> Value {
    virtual_service(json!({"name": "all", "retries": {"attempts": 2}, "mirrors": [mirror("audit", 1)]}))
}

/// How many mirrors to a Service the first route of an object has, and their percentages.
fn percentages(object: &Value, host: &str) -> Vec<f64> {
    let entries = object["spec"]["http"][0]["mirrors"].as_array().cloned().unwrap_or_default();
    let ours = entries.iter().filter(|entry| entry["destination"]["host"] == host);
    ours.filter_map(|entry| entry["percentage"]["value"].as_f64()).collect()
}

async fn until_carries(scene: &Scene, percentage: f64) -> Result<Value, Error> {
    let awaited = format!("carries a mirror of {percentage} %");
    scene.until_any(WEB_ROUTE, &awaited, |route| percentages(route, CANARY) == [percentage]).await
}

/// The run is over, nothing of it is left, and the user's spec is what it was.
async fn assert_all_is_as_before(scene: &Scene, of: Named<'_>, spec: &Value) -> Result<(), Error> {
    assert_nothing_is_left(scene).await?;
    assert_eq!(scene.read(of).await?["spec"], *spec);
    assert_eq!(scene.kd(TRIAL).await?["metadata"].get("finalizers"), None);
    Ok(())
}

/// The mesh knows both Services and the mirror between them, and each of a few requests arrives at the canary as well.
async fn assert_all_is_copied(scene: &Scene) -> Result<(), Error> {
    let host = scene.host(CANARY);
    scene.until_known(WEB, 80, 2).await?;
    scene.until_known(CANARY, 80, 1).await?;
    scene.until_route(WEB, "copies all", |route| route.copies_to(&host) == 100.0).await?;
    let copies = copied(scene, scene.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), FEW);
    Ok(())
}

async fn every_request_is_copied_while_it_runs_and_none_after(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    let before = scene.read(WEB_ROUTE).await?["spec"].clone();
    let kd = validating(&scene, mirroring(json!({}))).await?;
    assert_contains(condition(&kd, "Traffic"), &json!({"status": "True", "reason": "AcceptedUnverified"}));
    assert_contains(&kd, &json!({"status": {"canary": {"routes": ["VirtualService/web"]}}}));
    assert_contains(&kd, &json!({"metadata": {"finalizers": ["kanary.k8s.io/mirror"]}}));
    until_event(&scene, "MirrorCopiesWrites").await?;
    assert_all_is_copied(&scene).await?;
    until_serves(&scene, WEB, 2, 0).await?;
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    assert_all_is_as_before(&scene, WEB_ROUTE, &before).await?;
    let host = scene.host(CANARY);
    scene.until_route(WEB, "copies nothing", |route| route.copies_to(&host) == 0.0).await?;
    let copies = copied(&scene, scene.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), 0);
    Ok(())
}

async fn the_percentage_may_change_while_it_runs(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    let before = scene.read(WEB_ROUTE).await?["spec"].clone();
    validating(&scene, mirroring(json!({"percentage": 5}))).await?;
    until_carries(&scene, 5.0).await?;
    for percentage in [50, 0, 100] {
        change(&scene, mirroring(json!({"percentage": percentage}))).await?;
        until_carries(&scene, f64::from(percentage)).await?;
    }
    say(&scene, "valid").await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_all_is_as_before(&scene, WEB_ROUTE, &before).await
}

async fn what_people_change_meanwhile_stays(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    validating(&scene, mirroring(json!({}))).await?;
    let carrying = until_carries(&scene, 100.0).await?;
    let mut http = carrying["spec"]["http"].clone();
    http[0]["timeout"] = json!("3s");
    http[0]["mirrors"] = json!([mirror("late", 3), http[0]["mirrors"][0], http[0]["mirrors"][1]]);
    let front = json!({"name": "front", "match": [{"uri": {"prefix": "/front"}}], "route": [{"destination": {"host": "front"}}]});
    scene.change(WEB_ROUTE, json!({"spec": {"http": [front, http[0]], "exportTo": ["*"]}})).await?;
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    http[0]["mirrors"] = json!([mirror("late", 3), mirror("audit", 1)]);
    let spec = json!({"hosts": [WEB], "exportTo": ["*"], "http": [front, http[0]]});
    assert_all_is_as_before(&scene, WEB_ROUTE, &spec).await
}

async fn a_revert_is_put_back_and_told(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    validating(&scene, mirroring(json!({}))).await?;
    until_carries(&scene, 100.0).await?;
    scene.put(user_route()).await?;
    let event = until_event(&scene, "MirrorReverted").await?;
    let note = event.message.unwrap_or_default();
    assert!(note.contains("the field manager owner") && note.contains("VirtualService web"), "{note}");
    until_carries(&scene, 100.0).await?;
    until_reason(&scene, "Traffic", "AcceptedUnverified").await.map(drop)
}

async fn without_a_virtual_service_it_makes_one(scene: Scene) -> Result<(), Error> {
    validating(&scene, mirroring(json!({"percentage": 100}))).await?;
    let own = scene.read(any::virtual_service(CANARY)).await?;
    assert_eq!(own["spec"]["hosts"], json!([WEB]));
    assert_all_is_copied(&scene).await?;
    say(&scene, "valid").await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&scene).await?;
    assert!(scene.read(any::virtual_service(CANARY)).await.is_err());
    Ok(())
}

async fn its_own_gives_way_to_one_of_the_users(scene: Scene) -> Result<(), Error> {
    validating(&scene, mirroring(json!({}))).await?;
    scene.read(any::virtual_service(CANARY)).await?;
    scene.put(user_route()).await?;
    until_carries(&scene, 100.0).await?;
    scene
        .until_kd(TRIAL, "only the user's carries it", |kd| {
            kd["status"]["canary"]["routes"] == json!(["VirtualService/web"])
        })
        .await?;
    assert!(scene.read(any::virtual_service(CANARY)).await.is_err());
    // And is made again, when the user's goes.
    scene.remove(WEB_ROUTE).await?;
    let carries = |route: &Value| percentages(route, CANARY) == [100.0];
    scene.until_any(any::virtual_service(CANARY), "is there again", carries).await?;
    Ok(())
}

async fn a_deleted_trial_leaves_no_mirror(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    let before = scene.read(WEB_ROUTE).await?["spec"].clone();
    production(&scene).await?;
    for phase in ["Starting", "Validating", "Failing"] {
        let spec = if phase == "Starting" {
            merged(mirroring(json!({})), playing("never-ready"))
        } else {
            mirroring(json!({}))
        };
        scene.apply(trial(spec)).await?;
        scene.kd_phase(TRIAL, if phase == "Starting" { phase } else { "Validating" }).await?;
        if phase == "Failing" {
            say(&scene, "invalid").await?;
        }
        scene.delete_kd(TRIAL).await?;
        scene.until_kd_gone(TRIAL).await?;
        until_all_is_gone(&scene, TRIAL).await?;
        assert_eq!(scene.read(WEB_ROUTE).await?["spec"], before, "{phase}");
    }
    Ok(())
}

async fn two_trials_share_a_route(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    let before = scene.read(WEB_ROUTE).await?["spec"].clone();
    validating(&scene, mirroring(json!({"percentage": 10}))).await?;
    scene.apply(trial_of("other", mirroring(json!({"percentage": 20})))).await?;
    scene.kd_phase("other", "Validating").await?;
    let both = |route: &Value| percentages(route, CANARY) == [10.0] && percentages(route, "other-kanary") == [20.0];
    scene.until_any(WEB_ROUTE, "carries both", both).await?;
    say_of(&scene, "other", "invalid").await?;
    scene.kd_phase("other", "Failed").await?;
    let one = scene.read(WEB_ROUTE).await?;
    assert_eq!((percentages(&one, CANARY), percentages(&one, "other-kanary")), (vec![10.0], vec![]));
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    assert_all_is_as_before(&scene, WEB_ROUTE, &before).await
}

async fn the_source_may_change_while_it_runs(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    let before = scene.read(WEB_ROUTE).await?["spec"].clone();
    validating(&scene, mirroring(json!({}))).await?;
    for source in ["none", "mirror", "kanary-service"] {
        let written = change(&scene, traffic(source)).await?;
        until_answered(&scene, &written).await?;
        let held = source == "mirror";
        scene
            .until_kd(TRIAL, "the finalizer is as it must be", |kd| kd["metadata"].get("finalizers").is_some() == held)
            .await?;
        let route = scene
            .until_any(WEB_ROUTE, "is as it must be", |route| percentages(route, CANARY).is_empty() != held)
            .await?;
        assert!(held || route["spec"] == before, "{source}: {route}");
    }
    Ok(())
}

/// Nobody else's route was touched, so no finalizer reminds of it.
async fn its_own_goes_with_the_source(scene: Scene) -> Result<(), Error> {
    for source in ["kanary-service", "none"] {
        let kd = match source {
            "kanary-service" => validating(&scene, mirroring(json!({}))).await?,
            _ => change(&scene, mirroring(json!({}))).await?,
        };
        let carries = |route: &Value| percentages(route, CANARY) == [100.0];
        scene.until_any(any::virtual_service(CANARY), "carries the mirror", carries).await?;
        assert!(kd["metadata"].get("finalizers").is_none(), "{kd}");
        change(&scene, traffic(source)).await?;
        scene.until_none(any::virtual_service(CANARY)).await?;
    }
    say(&scene, "valid").await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&scene).await
}

async fn the_kanary_service_may_change_its_name_while_it_runs(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    let before = scene.read(WEB_ROUTE).await?["spec"].clone();
    validating(&scene, mirroring(json!({}))).await?;
    change(&scene, json!({"traffic": {"kanaryService": "shadow"}})).await?;
    let moved = |route: &Value| percentages(route, CANARY).is_empty() && percentages(route, "shadow") == [100.0];
    scene.until_any(WEB_ROUTE, "leads to the new Service", moved).await?;
    scene.until_gone::<Service>(CANARY).await?;
    say(&scene, "invalid").await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    assert_all_is_as_before(&scene, WEB_ROUTE, &before).await
}

async fn an_http_route_copies_too(scene: Scene) -> Result<(), Error> {
    let of = any::http_route(WEB);
    scene.put(http_route(the_service(), json!({"name": "all"}))).await?;
    let before = scene.read(of).await?["spec"].clone();
    let kd = validating(&scene, mirroring(json!({"provider": "gateway-api", "percentage": 100}))).await?;
    assert_contains(condition(&kd, "Traffic"), &json!({"status": "True", "reason": "Accepted"}));
    assert_all_is_copied(&scene).await?;
    change(&scene, mirroring(json!({"percentage": 30}))).await?;
    let host = scene.host(CANARY);
    scene.until_route(WEB, "copies a part", |route| route.copies_to(&host) == 30.0).await?;
    say(&scene, "valid").await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_all_is_as_before(&scene, of, &before).await
}

/// One after the other; each is cured by the next, and the last lets the run go on.
async fn what_cannot_be_mirrored_is_refused_by_name(scene: Scene) -> Result<(), Error> {
    let split = json!([{"destination": {"host": WEB}, "weight": 90}, {"destination": {"host": "old"}, "weight": 10}]);
    let mesh_route = http_route(the_service(), json!({"name": "all"}));
    let cases = [
        (virtual_service(json!({"mirror": {"host": "audit"}})), json!({}), "SingularMirror"),
        (virtual_service(json!({"name": "s", "route": split})), json!({}), "SplitRoute"),
        (virtual_service(json!({"route": [{"destination": {"host": "old"}}]})), json!({}), "HostTaken"),
        (user_route(), json!({"virtualService": {"name": "nobody"}}), "VirtualServiceNotFound"),
        (user_route(), json!({"virtualService": {"name": WEB, "routes": ["none"]}}), "RouteNotFound"),
        (user_route(), json!({"provider": "gateway-api", "virtualService": null}), "NoRoute"),
        (mesh_route, json!({"provider": "gateway-api", "httpRoute": {"name": "nobody"}}), "HTTPRouteNotFound"),
        (user_route(), json!({"provider": "istio", "httpRoute": null}), "HTTPRouteWins"),
    ];
    production(&scene).await?;
    scene.put(cases[0].0.clone()).await?;
    scene.apply(trial(mirroring(json!({"percentage": 1})))).await?;
    for (object, settings, reason) in cases {
        // In this order nothing is in order in between.
        change(&scene, mirroring(settings)).await?;
        scene.put(object).await?;
        let before = scene.read(WEB_ROUTE).await?["spec"].clone();
        let kd = until_reason(&scene, "Traffic", reason).await?;
        assert_contains(condition(&kd, "Errored"), &json!({"status": "True", "reason": reason}));
        assert_eq!(phase(&kd), "Starting");
        assert_eq!(scene.read(WEB_ROUTE).await?["spec"], before, "{reason}");
        until_canary_pods(&scene, 0).await?;
    }
    scene.remove(any::http_route(WEB)).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    until_carries(&scene, 1.0).await.map(drop)
}

/// A route in another namespace would take requests that ours never see.
async fn another_namespace_is_left_alone(scene: Scene) -> Result<(), Error> {
    let namespace = format!("{}-front", scene.namespace());
    scene.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await?;
    let host = scene.host(WEB);
    scene.put(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "edge", "namespace": namespace},
        "spec": {"hosts": ["shop.example.com"], "gateways": ["edge"], "http": [{"route": [{"destination": {"host": host}}]}]},
    })).await?;
    production(&scene).await?;
    scene.apply(trial(mirroring(json!({})))).await?;
    let kd = until_reason(&scene, "Traffic", "ForeignRoute").await?;
    let message = text(condition(&kd, "Traffic"), "/message");
    assert!(message.contains(&format!("VirtualService {namespace}/edge")), "{message}");
    scene.delete_kd(TRIAL).await
}

async fn copies_that_must_be_seen_are_waited_for(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    scene.put(user_route()).await?;
    scene.apply(trial(mirroring(json!({"confirm": "requests"})))).await?;
    let kd = until_reason(&scene, "Traffic", "NoCopiesSeen").await?;
    assert_contains(condition(&kd, "Traffic"), &json!({"status": "Unknown"}));
    assert_eq!(phase(&kd), "Starting");
    let host = scene.host(CANARY);
    scene.until_route(WEB, "copies all", |route| route.copies_to(&host) == 100.0).await?;
    let load = scene.calls(WEB)?.count(100_000).per_second(20.0).start();
    let kd = scene.kd_phase(TRIAL, "Validating").await?;
    assert_contains(condition(&kd, "Traffic"), &json!({"status": "True", "reason": "CopiesSeen"}));
    drop(load);
    Ok(())
}

/// From the hand tool's `generate` to the hand tool's `approve`, with copies in between.
async fn generated_for_a_mirror_it_is_promoted(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    scene.put(user_route()).await?;
    let before = scene.read(WEB_ROUTE).await?["spec"].clone();
    let words = ["generate", WEB, "--name", TRIAL, "--service", WEB, "--traffic", "mirror"];
    let yaml = good(&scene, &words).await?;
    scene.apply(yaml.replace("image: web:1", "image: web:2")).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    assert_all_is_copied(&scene).await?;
    good(&scene, &["approve", TRIAL]).await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&scene).await?, "web:2");
    assert_all_is_as_before(&scene, WEB_ROUTE, &before).await
}

/// Where the rules point in the user's route, the mirror is; elsewhere the route is the user's.
async fn what_gitops_must_ignore_is_what_is_written(scene: Scene) -> Result<(), Error> {
    scene.put(user_route()).await?;
    let mut before = scene.read(WEB_ROUTE).await?["spec"].clone();
    validating(&scene, mirroring(json!({}))).await?;
    let mut during = until_carries(&scene, 100.0).await?["spec"].clone();
    let rules = good(&scene, &["gitops-ignore", TRIAL, "--for", "argocd"]).await?;
    let rules = kanary_e2e::manifests::parse(&rules)?;
    let all = rules.iter().flat_map(|rules| rules["ignoreDifferences"].as_array().into_iter().flatten());
    let of_route: Vec<&Value> = all.filter(|rule| rule["kind"] == "VirtualService").collect();
    let [rule] = of_route.as_slice() else { panic!("one rule for the route: {rules:#?}") };
    assert_contains(rule, &json!({"group": "networking.istio.io", "name": WEB}));
    assert_ne!(before, during);
    let expressions = rule["jqPathExpressions"].as_array().cloned().unwrap_or_default();
    assert_eq!(expressions.len(), 2, "{rule:#}");
    for spec in [&mut before, &mut during] {
        without(spec, CANARY);
    }
    assert_eq!(before, during, "but for what is ignored");
    assert!(expressions[0].as_str().is_some_and(|jq| jq.contains(CANARY)), "{rule:#}");
    Ok(())
}

/// Takes out what the rule's expressions select: the entries that lead to this host.
fn without(spec: &mut Value, host: &str) {
    for route in spec["http"].as_array_mut().into_iter().flatten() {
        if let Some(mirrors) = route["mirrors"].as_array_mut() {
            mirrors.retain(|entry| entry["destination"]["host"] != host);
        }
    }
}
