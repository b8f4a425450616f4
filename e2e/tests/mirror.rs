//! The mirror on a real mesh: Kanary adds it to users' routes and removes it again, copies are counted where they
//! arrive, and whatever happens users' routes stay as they wrote them.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::core::v1::Service;
use kanary_e2e::{
    Error, Setup, TestNamespace, cases,
    dynamic::{self, ObjectRef},
    harness,
};
use serde_json::{Value, json};
use support::{mesh::*, plugin::good, *};

fn main() -> ExitCode {
    let cases = cases![
        every_request_is_copied_while_it_runs_and_none_after: lab_only,
        the_percentage_may_change_while_it_runs: lab_only,
        what_users_change_meanwhile_stays: lab_only,
        a_revert_is_undone_and_reported: lab_only,
        without_a_virtual_service_it_makes_one: lab_only,
        its_own_gives_way_to_one_of_the_users: lab_only,
        a_deleted_trial_leaves_no_mirror: lab_only,
        two_trials_share_a_route: lab_only,
        the_source_may_change_while_it_runs: lab_only,
        its_own_goes_with_the_source: lab_only,
        the_kanary_service_may_change_its_name_while_it_runs: lab_only,
        an_http_route_copies_too: lab_only,
        what_cannot_be_mirrored_is_refused_by_name: lab_only,
        what_no_request_takes_is_refused_by_name: lab_only,
        a_rule_with_a_backend_that_is_gone_does_not_hold_it: lab_only,
        another_namespace_is_left_alone: lab_only,
        copies_that_must_be_seen_are_waited_for: lab_only,
        generated_for_a_mirror_it_is_promoted: lab_only,
        what_gitops_must_ignore_is_what_is_written: lab_only,
    ];
    let url = format!("--prometheus-url=http://127.0.0.1:{}", kanary_e2e::network::FIRST_PROMETHEUS_PORT);
    harness::main(Setup::controller(&[&url]).with_mesh().with_prometheus(), cases)
}

const WEB_ROUTE: ObjectRef<'static> =
    ObjectRef { api_version: "networking.istio.io/v1", kind: "VirtualService", name: WEB };

fn mirroring(settings: Value) -> Value {
    json!({"traffic": {"source": "mirror", "mirror": settings}})
}

/// The user's VirtualService, with what must survive.
/// Settings of a mirror are refused with another source.
fn without_settings(source: &str) -> Value {
    json!({"traffic": {"source": source, "mirror": null}})
}

fn user_route() -> Value {
    virtual_service(json!({"name": "all", "retries": {"attempts": 2}, "mirrors": [mirror("audit", 1)]}))
}

/// How many mirrors to a Service the first route of an object has, and their percentages.
fn percentages(object: &Value, host: &str) -> Vec<f64> {
    let entries = object["spec"]["http"][0]["mirrors"].as_array().cloned().unwrap_or_default();
    let ours = entries.iter().filter(|entry| entry["destination"]["host"] == host);
    ours.filter_map(|entry| entry["percentage"]["value"].as_f64()).collect()
}

async fn until_mirrored(ns: &TestNamespace, percentage: f64) -> Result<Value, Error> {
    let awaited = format!("has a mirror of {percentage} %");
    ns.until_dynamic(WEB_ROUTE, &awaited, |route| percentages(route, CANARY) == [percentage]).await
}

/// The run is over, nothing of it is left, and the user's spec is what it was.
async fn assert_all_is_as_before(ns: &TestNamespace, of: ObjectRef<'_>, spec: &Value) -> Result<(), Error> {
    assert_nothing_is_left(ns).await?;
    assert_eq!(ns.read(of).await?["spec"], *spec);
    assert_eq!(ns.kanary(TRIAL).await?["metadata"].get("finalizers"), None);
    Ok(())
}

/// The mesh knows both Services and the mirror between them, and each of a few requests arrives at the canary as well.
async fn assert_all_is_copied(ns: &TestNamespace) -> Result<(), Error> {
    let host = ns.host(CANARY);
    ns.until_known(WEB, 80, 2).await?;
    ns.until_known(CANARY, 80, 1).await?;
    ns.until_route(WEB, "copies all", |route| route.copies_to(&host) == 100.0).await?;
    let copies = copied(ns, ns.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), FEW);
    Ok(())
}

async fn every_request_is_copied_while_it_runs_and_none_after(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    let kanary = validating(&ns, mirroring(json!({}))).await?;
    assert_contains(condition(&kanary, "Traffic"), &json!({"status": "True", "reason": "AcceptedUnverified"}));
    assert_contains(&kanary, &json!({"status": {"canary": {"routes": ["VirtualService/web"]}}}));
    assert_contains(&kanary, &json!({"metadata": {"finalizers": ["kanary.k8s.io/mirror"]}}));
    until_event(&ns, "MirrorCopiesWrites").await?;
    assert_all_is_copied(&ns).await?;
    until_serves(&ns, WEB, 2, 0).await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_all_is_as_before(&ns, WEB_ROUTE, &before).await?;
    let host = ns.host(CANARY);
    ns.until_route(WEB, "copies nothing", |route| route.copies_to(&host) == 0.0).await?;
    let copies = copied(&ns, ns.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), 0);
    Ok(())
}

async fn the_percentage_may_change_while_it_runs(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    validating(&ns, mirroring(json!({"percentage": 5}))).await?;
    until_mirrored(&ns, 5.0).await?;
    for percentage in [50, 0, 100] {
        change(&ns, mirroring(json!({"percentage": percentage}))).await?;
        until_mirrored(&ns, f64::from(percentage)).await?;
    }
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_all_is_as_before(&ns, WEB_ROUTE, &before).await
}

async fn what_users_change_meanwhile_stays(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    validating(&ns, mirroring(json!({}))).await?;
    let carrying = until_mirrored(&ns, 100.0).await?;
    let mut http = carrying["spec"]["http"].clone();
    http[0]["timeout"] = json!("3s");
    http[0]["mirrors"] = json!([mirror("late", 3), http[0]["mirrors"][0], http[0]["mirrors"][1]]);
    let front = json!({"name": "front", "match": [{"uri": {"prefix": "/front"}}], "route": [{"destination": {"host": "front"}}]});
    ns.change(WEB_ROUTE, json!({"spec": {"http": [front, http[0]], "exportTo": ["*"]}})).await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    http[0]["mirrors"] = json!([mirror("late", 3), mirror("audit", 1)]);
    let spec = json!({"hosts": [WEB], "exportTo": ["*"], "http": [front, http[0]]});
    assert_all_is_as_before(&ns, WEB_ROUTE, &spec).await
}

async fn a_revert_is_undone_and_reported(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    validating(&ns, mirroring(json!({}))).await?;
    until_mirrored(&ns, 100.0).await?;
    ns.put(user_route()).await?;
    let event = until_event(&ns, "MirrorReverted").await?;
    let note = event.message.unwrap_or_default();
    assert!(note.contains("the field manager owner") && note.contains("VirtualService web"), "{note}");
    until_mirrored(&ns, 100.0).await?;
    until_reason(&ns, "Traffic", "AcceptedUnverified").await.map(drop)
}

async fn without_a_virtual_service_it_makes_one(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, mirroring(json!({"percentage": 100}))).await?;
    let own = ns.read(dynamic::virtual_service(CANARY)).await?;
    assert_eq!(own["spec"]["hosts"], json!([WEB]));
    assert_all_is_copied(&ns).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&ns).await?;
    assert!(ns.read(dynamic::virtual_service(CANARY)).await.is_err());
    Ok(())
}

async fn its_own_gives_way_to_one_of_the_users(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, mirroring(json!({}))).await?;
    ns.read(dynamic::virtual_service(CANARY)).await?;
    ns.put(user_route()).await?;
    until_mirrored(&ns, 100.0).await?;
    ns.until_kanary(TRIAL, "only the user's route has it", |kanary| {
        kanary["status"]["canary"]["routes"] == json!(["VirtualService/web"])
    })
    .await?;
    assert!(ns.read(dynamic::virtual_service(CANARY)).await.is_err());
    // It is created again when the user's route is deleted.
    ns.remove(WEB_ROUTE).await?;
    let has_mirror = |route: &Value| percentages(route, CANARY) == [100.0];
    ns.until_dynamic(dynamic::virtual_service(CANARY), "exists again", has_mirror).await?;
    Ok(())
}

async fn a_deleted_trial_leaves_no_mirror(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    production(&ns).await?;
    for phase in ["Starting", "Validating", "Failing"] {
        let spec = if phase == "Starting" {
            merged(mirroring(json!({})), playing("never-ready"))
        } else {
            mirroring(json!({}))
        };
        ns.apply(trial(spec)).await?;
        ns.until_phase(TRIAL, if phase == "Starting" { phase } else { "Validating" }).await?;
        if phase == "Failing" {
            set_verdict(&ns, "invalid").await?;
        }
        ns.delete_kanary(TRIAL).await?;
        ns.until_kanary_gone(TRIAL).await?;
        until_all_is_gone(&ns, TRIAL).await?;
        assert_eq!(ns.read(WEB_ROUTE).await?["spec"], before, "{phase}");
    }
    Ok(())
}

async fn two_trials_share_a_route(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    validating(&ns, mirroring(json!({"percentage": 10}))).await?;
    ns.apply(trial_of("other", mirroring(json!({"percentage": 20})))).await?;
    ns.until_phase("other", "Validating").await?;
    let both = |route: &Value| percentages(route, CANARY) == [10.0] && percentages(route, "other-kanary") == [20.0];
    ns.until_dynamic(WEB_ROUTE, "has both", both).await?;
    set_verdict_of(&ns, "other", "invalid").await?;
    ns.until_phase("other", "Failed").await?;
    let one = ns.read(WEB_ROUTE).await?;
    assert_eq!((percentages(&one, CANARY), percentages(&one, "other-kanary")), (vec![10.0], vec![]));
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_all_is_as_before(&ns, WEB_ROUTE, &before).await
}

async fn the_source_may_change_while_it_runs(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    validating(&ns, mirroring(json!({}))).await?;
    for source in ["none", "mirror", "kanary-service"] {
        let written = change(&ns, without_settings(source)).await?;
        until_answered(&ns, &written).await?;
        let held = source == "mirror";
        ns.until_kanary(TRIAL, "the finalizer is as it must be", |kanary| {
            kanary["metadata"].get("finalizers").is_some() == held
        })
        .await?;
        let route = ns
            .until_dynamic(WEB_ROUTE, "is as it must be", |route| percentages(route, CANARY).is_empty() != held)
            .await?;
        assert!(held || route["spec"] == before, "{source}: {route}");
    }
    Ok(())
}

/// No user's route was changed, so no finalizer is needed.
async fn its_own_goes_with_the_source(ns: TestNamespace) -> Result<(), Error> {
    for source in ["kanary-service", "none"] {
        let kanary = match source {
            "kanary-service" => validating(&ns, mirroring(json!({}))).await?,
            _ => change(&ns, mirroring(json!({}))).await?,
        };
        let has_mirror = |route: &Value| percentages(route, CANARY) == [100.0];
        ns.until_dynamic(dynamic::virtual_service(CANARY), "has the mirror", has_mirror).await?;
        assert!(kanary["metadata"].get("finalizers").is_none(), "{kanary}");
        change(&ns, without_settings(source)).await?;
        ns.until_dynamic_gone(dynamic::virtual_service(CANARY)).await?;
    }
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_nothing_is_left(&ns).await
}

async fn the_kanary_service_may_change_its_name_while_it_runs(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    validating(&ns, mirroring(json!({}))).await?;
    change(&ns, json!({"traffic": {"kanaryService": "shadow"}})).await?;
    let moved = |route: &Value| percentages(route, CANARY).is_empty() && percentages(route, "shadow") == [100.0];
    ns.until_dynamic(WEB_ROUTE, "leads to the new Service", moved).await?;
    ns.until_gone::<Service>(CANARY).await?;
    set_verdict(&ns, "invalid").await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert_all_is_as_before(&ns, WEB_ROUTE, &before).await
}

async fn an_http_route_copies_too(ns: TestNamespace) -> Result<(), Error> {
    let of = dynamic::http_route(WEB);
    ns.put(http_route(the_service(), json!({"name": "all"}))).await?;
    let before = ns.read(of).await?["spec"].clone();
    let kanary = validating(&ns, mirroring(json!({"provider": "gateway-api", "percentage": 100}))).await?;
    assert_contains(condition(&kanary, "Traffic"), &json!({"status": "True", "reason": "Accepted"}));
    assert_all_is_copied(&ns).await?;
    change(&ns, mirroring(json!({"percentage": 30}))).await?;
    let host = ns.host(CANARY);
    ns.until_route(WEB, "copies a part", |route| route.copies_to(&host) == 30.0).await?;
    set_verdict(&ns, "valid").await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_all_is_as_before(&ns, of, &before).await
}

/// One after the other; each is fixed by the next, and the last lets the run continue.
async fn what_cannot_be_mirrored_is_refused_by_name(ns: TestNamespace) -> Result<(), Error> {
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
    production(&ns).await?;
    ns.put(cases[0].0.clone()).await?;
    ns.apply(trial(mirroring(json!({"percentage": 1})))).await?;
    for (object, settings, reason) in cases {
        // In this order nothing is right in between.
        change(&ns, mirroring(settings)).await?;
        ns.put(object).await?;
        let before = ns.read(WEB_ROUTE).await?["spec"].clone();
        let kanary = until_reason(&ns, "Traffic", reason).await?;
        assert_contains(condition(&kanary, "Stalled"), &json!({"status": "True", "reason": reason}));
        assert_eq!(phase(&kanary), "Starting");
        assert_eq!(ns.read(WEB_ROUTE).await?["spec"], before, "{reason}");
        until_canary_pods(&ns, 0).await?;
    }
    ns.remove(dynamic::http_route(WEB)).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    until_mirrored(&ns, 1.0).await.map(drop)
}

/// The port is bytes, then the route comes too late; then all is copied.
async fn what_no_request_takes_is_refused_by_name(ns: TestNamespace) -> Result<(), Error> {
    let as_tcp = json!({"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080, "appProtocol": "tcp"}]}});
    let as_http = json!({"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080, "appProtocol": "http"}]}});
    production(&ns).await?;
    ns.patch::<Service>(WEB, as_tcp).await?;
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    ns.apply(trial(mirroring(json!({})))).await?;
    let kanary = until_reason(&ns, "Traffic", "NotHTTP").await?;
    assert_contains(condition(&kanary, "Stalled"), &json!({"status": "True", "reason": "NotHTTP"}));
    let message = text(condition(&kanary, "Traffic"), "/message");
    assert!(message.contains("http (80, appProtocol tcp)"), "{message}");
    let late = json!({"http": [{"name": "first", "route": [{"destination": {"host": "old"}}]}, before["http"][0]]});
    ns.change(WEB_ROUTE, json!({"spec": late})).await?;
    ns.patch::<Service>(WEB, as_http).await?;
    until_reason(&ns, "Traffic", "RouteUnreached").await?;
    until_canary_pods(&ns, 0).await?;
    ns.change(WEB_ROUTE, json!({"spec": before})).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    assert_all_is_copied(&ns).await
}

async fn a_rule_with_a_backend_that_is_gone_does_not_hold_it(ns: TestNamespace) -> Result<(), Error> {
    let bad = json!({"name": "bad", "backendRefs": [{"name": "gone", "port": 80}]});
    let ours = json!({"name": "all", "matches": [{"method": "GET"}], "backendRefs": [{"name": WEB, "port": 80}]});
    ns.put(merged(http_route(the_service(), json!({})), json!({"spec": {"rules": [bad, ours]}}))).await?;
    let kanary = validating(&ns, mirroring(json!({"provider": "gateway-api"}))).await?;
    assert_contains(condition(&kanary, "Traffic"), &json!({"status": "True", "reason": "Accepted"}));
    let message = text(condition(&kanary, "Traffic"), "/message");
    assert!(message.contains("HTTPRoute web, Service gone in rule bad does not resolve"), "{message}");
    assert_all_is_copied(&ns).await
}

/// A route in another namespace would take requests that the mirrored route never gets.
async fn another_namespace_is_left_alone(ns: TestNamespace) -> Result<(), Error> {
    let namespace = format!("{}-front", ns.name());
    ns.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await?;
    let host = ns.host(WEB);
    ns.put(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "edge", "namespace": namespace},
        "spec": {"hosts": ["shop.example.com"], "gateways": ["edge"], "http": [{"route": [{"destination": {"host": host}}]}]},
    })).await?;
    production(&ns).await?;
    ns.apply(trial(mirroring(json!({})))).await?;
    let kanary = until_reason(&ns, "Traffic", "ForeignRoute").await?;
    let message = text(condition(&kanary, "Traffic"), "/message");
    assert!(message.contains(&format!("VirtualService {namespace}/edge")), "{message}");
    ns.delete_kanary(TRIAL).await
}

async fn copies_that_must_be_seen_are_waited_for(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.put(user_route()).await?;
    ns.apply(trial(mirroring(json!({"confirm": "requests"})))).await?;
    let kanary = until_reason(&ns, "Traffic", "NoCopiesSeen").await?;
    assert_contains(condition(&kanary, "Traffic"), &json!({"status": "Unknown"}));
    assert_eq!(phase(&kanary), "Starting");
    let host = ns.host(CANARY);
    ns.until_route(WEB, "copies all", |route| route.copies_to(&host) == 100.0).await?;
    let load = ns.calls(WEB)?.count(100_000).per_second(20.0).start();
    let kanary = ns.until_phase(TRIAL, "Validating").await?;
    assert_contains(condition(&kanary, "Traffic"), &json!({"status": "True", "reason": "CopiesSeen"}));
    drop(load);
    Ok(())
}

/// From the CLI's `generate` to its `approve`, with copies in between.
async fn generated_for_a_mirror_it_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.put(user_route()).await?;
    let before = ns.read(WEB_ROUTE).await?["spec"].clone();
    let words = ["generate", WEB, "--name", TRIAL, "--service", WEB, "--traffic", "mirror"];
    let yaml = good(&ns, &words).await?;
    ns.apply(yaml.replace("image: web:1", "image: web:2")).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    assert_all_is_copied(&ns).await?;
    good(&ns, &["approve", TRIAL]).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(&ns).await?, "web:2");
    assert_all_is_as_before(&ns, WEB_ROUTE, &before).await
}

/// The rules select exactly the mirror in the user's route; the rest of the route is the user's.
async fn what_gitops_must_ignore_is_what_is_written(ns: TestNamespace) -> Result<(), Error> {
    ns.put(user_route()).await?;
    let mut before = ns.read(WEB_ROUTE).await?["spec"].clone();
    validating(&ns, mirroring(json!({}))).await?;
    let mut during = until_mirrored(&ns, 100.0).await?["spec"].clone();
    let rules = good(&ns, &["gitops-ignore", TRIAL, "--for", "argocd"]).await?;
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

/// Removes what the rule's expressions select: the entries that point to this host.
fn without(spec: &mut Value, host: &str) {
    for route in spec["http"].as_array_mut().into_iter().flatten() {
        if let Some(mirrors) = route["mirrors"].as_array_mut() {
            mirrors.retain(|entry| entry["destination"]["host"] != host);
        }
    }
}
