//! What a real istiod and a real Envoy make of mirrors. Kanary has no part in it: mirrors are written by hand, and copies
//! are counted where they arrive. Each test is a fact that Kanary's mirror must live with.

mod support;

use std::collections::BTreeSet;
use std::process::ExitCode;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kanary_e2e::any;
use kanary_e2e::backend::arrivals::Arrival;
use kanary_e2e::{Error, Scene, Setup, cases, harness};
use serde_json::{Value, json};
use support::mesh::*;
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        a_share_of_requests_is_copied_and_production_answers_all: lab_only,
        mirrors_are_drawn_each_for_itself: lab_only,
        mirror_and_mirrors_both_copy: lab_only,
        a_split_route_is_copied_whole: lab_only,
        a_delegate_copies_as_its_root_would: lab_only,
        a_copy_counts_at_the_workload_that_got_it: lab_only,
        an_older_virtual_service_of_another_namespace_wins: lab_only,
        a_virtual_service_that_is_exported_to_the_caller_wins: lab_only,
        an_older_http_route_on_the_service_wins: lab_only,
        a_name_resolves_in_the_namespace_of_its_virtual_service: lab_only,
        inside_a_mirror_without_a_port_goes_to_the_port_that_was_called: lab_only,
        at_a_gateway_a_mirror_needs_a_port_where_the_service_has_several: lab_only,
        a_gateway_copies_for_a_virtual_service: lab_only,
        an_http_route_copies_inside_the_mesh: lab_only,
        an_http_route_copies_at_the_gateway: lab_only,
    ];
    harness::main(Setup::bare().with_mesh(), cases)
}

/// The Service that gets copies, as Kanary would make it; its Deployment has the same name.
const OTHER: &str = "other-kanary";

/// Production, and two canaries that nothing but a mirror reaches, all of them known to the sidecar.
async fn world(scene: &Scene) -> Result<(), Error> {
    scene.apply(service(json!({}))).await?;
    scene.apply(web(json!({}))).await?;
    for name in [CANARY, OTHER] {
        scene.apply(labelled(web(json!({"metadata": {"name": name}, "spec": {"replicas": 1}})), name)).await?;
        scene.apply(service(json!({"metadata": {"name": name}, "spec": {"selector": {"app": name}}}))).await?;
    }
    for (name, pods) in [(WEB, 2), (CANARY, 1), (OTHER, 1)] {
        scene.until::<Deployment>(name, "is available", |found| has_available(found, pods)).await?;
        let pods = usize::try_from(pods).unwrap_or_default();
        scene.until_known(name, 80, pods).await?;
    }
    Ok(())
}

fn labelled(deployment: Value, app: &str) -> Value {
    let labels = json!({"app": app});
    let spec = json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}});
    merged(deployment, json!({"spec": spec}))
}

async fn a_share_of_requests_is_copied_and_production_answers_all(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    for percent in [0, 10, 50, 100] {
        let name = format!("copy-{percent}");
        scene.put(virtual_service(json!({"name": name, "mirrors": [mirror(CANARY, percent)]}))).await?;
        until_named(&scene, &name).await?;
        let copies = copied(&scene, scene.calls(WEB)?.count(MANY)).await?;
        assert_share(copies.len(), MANY, percent);
        assert_eq!(at(CANARY, &copies), copies.len(), "copies go nowhere else");
        // Istio has Envoy leave out its suffix `-shadow`: a copy looks like the request, so nobody can tell it by its Host.
        assert!(copies.iter().all(|copy| copy.host == scene.host(WEB)));
    }
    Ok(())
}

async fn mirrors_are_drawn_each_for_itself(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    scene.put(virtual_service(json!({"name": "two", "mirrors": [mirror(CANARY, 30), mirror(OTHER, 60)]}))).await?;
    until_named(&scene, "two").await?;
    let copies = copied(&scene, scene.calls(WEB)?.count(MANY)).await?;
    assert_share(at(CANARY, &copies), MANY, 30);
    assert_share(at(OTHER, &copies), MANY, 60);
    assert_eq!(at(CANARY, &copies) + at(OTHER, &copies), copies.len());
    Ok(())
}

/// Istio's webhook refuses the two together; without it both are obeyed, and the canary gets everything twice.
async fn mirror_and_mirrors_both_copy(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let both = json!({"name": "both", "mirror": {"host": CANARY}, "mirrors": [mirror(CANARY, 100)]});
    scene.put(virtual_service(both)).await?;
    until_named(&scene, "both").await?;
    let copies = copied(&scene, scene.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), 2 * FEW);
    Ok(())
}

/// A mirror belongs to the route, not to a destination: requests that went elsewhere are copied as well.
async fn a_split_route_is_copied_whole(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let route = json!([
        {"destination": {"host": WEB}, "weight": 50},
        {"destination": {"host": OTHER}, "weight": 50},
    ]);
    scene.put(virtual_service(json!({"name": "split", "route": route, "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&scene, "split").await?;
    let report = scene.calls(WEB)?.count(MANY).run().await;
    let elsewhere = report.answers.iter().filter(|answer| is_of(OTHER, &answer.from)).count();
    assert_share(elsewhere, MANY, 50);
    assert_eq!(at(CANARY, &scene.copies(&report).await?), MANY);
    Ok(())
}

/// A delegate has no hosts; its routes are those of whoever delegates to it.
async fn a_delegate_copies_as_its_root_would(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let delegate = virtual_service(json!({"name": "delegated", "mirrors": [mirror(CANARY, 100)]}));
    scene.put(merged(delegate, json!({"metadata": {"name": "delegate"}, "spec": {"hosts": null}}))).await?;
    let root = json!({"name": "root", "route": null, "delegate": {"name": "delegate", "namespace": scene.namespace()}});
    scene.put(virtual_service(root)).await?;
    scene.until_route(WEB, "the delegate's route", |route| route.name.contains("delegated")).await?;
    let copies = copied(&scene, scene.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), FEW);
    Ok(())
}

/// The copies' own sidecar counts them: as requests of the Service that selects the canary, whatever their Host says.
async fn a_copy_counts_at_the_workload_that_got_it(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    scene.put(virtual_service(json!({"name": "all", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&scene, "all").await?;
    copied(&scene, scene.calls(WEB)?.count(FEW)).await?;
    let metrics = scene.lab()?.backend()?.metrics();
    let of = |label: &str, value: &str| format!("{label}={value:?}");
    let counted = metrics.lines().filter(|line| {
        line.starts_with("istio_requests_total{")
            && line.contains(&of("destination_workload_namespace", scene.namespace()))
            && line.contains(&of("destination_workload", CANARY))
            && line.contains(&of("destination_service_name", CANARY))
    });
    let counts: Vec<&str> = counted.filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(counts, [FEW.to_string()]);
    Ok(())
}

/// Another namespace's VirtualService of production's host, which copies nothing.
async fn put_elsewhere(scene: &Scene, export_to: &str) -> Result<(), Error> {
    let elsewhere = format!("{}-elsewhere", scene.namespace());
    scene.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})).await?;
    let host = scene.host(WEB);
    let route = json!({"name": "theirs", "route": [{"destination": {"host": host}}]});
    // Istio breaks ties of a second by name.
    let meta = json!({"name": "a", "namespace": elsewhere});
    let theirs = json!({"metadata": meta, "spec": {"hosts": [host], "exportTo": [export_to]}});
    scene.put(merged(virtual_service(route), theirs)).await
}

/// Of several VirtualServices of one host the oldest is obeyed, whatever its namespace; the others are accepted, and do
/// nothing.
async fn an_older_virtual_service_of_another_namespace_wins(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    put_elsewhere(&scene, "*").await?;
    until_named(&scene, "theirs").await?;
    scene.put(virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_all_is_known(&scene).await?;
    assert_eq!(copied(&scene, scene.calls(WEB)?.count(FEW)).await?, [], "ours is there, accepted, and does nothing");
    Ok(())
}

/// One that is exported to the caller's namespace by name is obeyed even if it is younger.
async fn a_virtual_service_that_is_exported_to_the_caller_wins(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    scene.put(virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&scene, "ours").await?;
    assert_eq!(copied(&scene, scene.calls(WEB)?.count(FEW)).await?.len(), FEW);
    put_elsewhere(&scene, "default").await?;
    until_named(&scene, "theirs").await?;
    assert_eq!(copied(&scene, scene.calls(WEB)?.count(FEW)).await?, [], "ours was obeyed, and is no more");
    Ok(())
}

/// istiod tells all it knows at once: who has its answer to a later write has that to an earlier one.
async fn until_all_is_known(scene: &Scene) -> Result<(), Error> {
    let marker = json!({"name": "marker", "route": [{"destination": {"host": OTHER}}]});
    let host = json!({"metadata": {"name": "marker"}, "spec": {"hosts": [OTHER]}});
    scene.put(merged(virtual_service(marker), host)).await?;
    scene.until_route(OTHER, "the marker", |route| route.name == "marker").await.map(drop)
}

/// To istiod an HTTPRoute on a Service is one more VirtualService of its host: the oldest is obeyed.
async fn an_older_http_route_on_the_service_wins(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    scene.put(http_route(the_service(), json!({}))).await?;
    scene.until_route(WEB, "the HTTPRoute", |route| !route.origin.is_empty()).await?;
    // Istio breaks ties of a second by name.
    let ours = virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}));
    scene.put(merged(ours, json!({"metadata": {"name": "z"}}))).await?;
    until_all_is_known(&scene).await?;
    assert_eq!(copied(&scene, scene.calls(WEB)?.count(FEW)).await?, [], "ours is there, accepted, and does nothing");
    Ok(())
}

async fn an_http_route_copies_inside_the_mesh(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    scene.put(http_route(the_service(), request_mirror(30))).await?;
    until_accepted(&scene).await?;
    let canary = scene.host(CANARY);
    scene.until_route(WEB, "copies", |route| route.copies_to(&canary) == 30.0).await?;
    let copies = copied(&scene, scene.calls(WEB)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 30);
    assert_eq!(at(CANARY, &copies), copies.len());
    Ok(())
}

async fn an_http_route_copies_at_the_gateway(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let (host, canary) = (scene.public_host(), scene.host(CANARY));
    let route = http_route(the_gateway(), request_mirror(30));
    scene.put(merged(route, json!({"spec": {"hostnames": [host]}}))).await?;
    until_accepted(&scene).await?;
    scene.until_gateway_route(&host, "copies", |route| route.copies_to(&canary) == 30.0).await?;
    let copies = copied(&scene, scene.calls_http_route(&host)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 30);
    assert_eq!(at(CANARY, &copies), copies.len());
    Ok(())
}

/// Unlike for its own kinds, istiod says what it makes of an HTTPRoute, for each parent and of which generation.
async fn until_accepted(scene: &Scene) -> Result<(), Error> {
    let met = |route: &Value| {
        let generation = &route["metadata"]["generation"];
        let conditions = route["status"]["parents"][0]["conditions"].as_array().into_iter().flatten();
        let holds = |kind: &str| {
            let mut of_kind = conditions.clone().filter(|condition| condition["type"] == kind);
            of_kind.any(|condition| condition["status"] == "True" && condition["observedGeneration"] == *generation)
        };
        holds("Accepted") && holds("ResolvedRefs")
    };
    scene.until_any(any::http_route(WEB), "accepted, references resolved", met).await.map(drop)
}

async fn a_gateway_copies_for_a_virtual_service(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let host = scene.public_host();
    let route = virtual_service(json!({"name": "outside", "mirrors": [mirror(CANARY, 50)]}));
    scene.put(merged(route, at_the_gateway(&host))).await?;
    scene.until_gateway_route(&host, "outside", |route| route.name == "outside").await?;
    let copies = copied(&scene, scene.calls_gateway(&host)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 50);
    assert_eq!(at(CANARY, &copies), copies.len());
    // It is a route of the gateway only: inside, the Service has none.
    assert_eq!(copied(&scene, scene.calls(WEB)?.count(FEW)).await?, []);
    Ok(())
}

/// Istio completes a name without dots by the namespace of the VirtualService that says it, and takes a name with dots for
/// a full one. So `web.shop` and `web.shop.svc` are names of nothing: Envoy gets a mirror that goes nowhere.
async fn a_name_resolves_in_the_namespace_of_its_virtual_service(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let namespace = scene.namespace();
    let full = scene.host(CANARY);
    let forms = [CANARY.into(), format!("{CANARY}.{namespace}"), format!("{CANARY}.{namespace}.svc"), full.clone()];
    let mut measured = Vec::new();
    for (nth, form) in forms.iter().enumerate() {
        let name = format!("form-{nth}");
        scene.put(virtual_service(json!({"name": name, "mirrors": [mirror(form, 100)]}))).await?;
        let mirrors = until_named(&scene, &name).await?.mirrors;
        let copies = copied(&scene, scene.calls(WEB)?.count(FEW)).await?;
        measured.push((form.clone(), mirrors, copies.len()));
    }
    let expected = forms.iter().map(|form| {
        let taken_for = if form == CANARY { &full } else { form };
        let mirrors = vec![(format!("outbound|80||{taken_for}"), 100.0)];
        (form.clone(), mirrors, if *taken_for == full { FEW } else { 0 })
    });
    assert_eq!(measured, expected.collect::<Vec<_>>());
    Ok(())
}

/// A Service gets other ports: the number in the Service, and the pods'.
async fn ports(scene: &Scene, name: &str, ports: [(u16, u16); 2]) -> Result<(), Error> {
    let [first, second] =
        ports.map(|(port, target)| json!({"name": format!("http-{port}"), "port": port, "targetPort": target}));
    scene.patch::<Service>(name, json!({"spec": {"ports": [first, second]}})).await?;
    let pods = if name == WEB { 2 } else { 1 };
    for (port, _) in ports {
        scene.until_known(name, port, pods).await?;
    }
    Ok(())
}

/// The pods' ports at which copies arrived, without repetition.
fn arrived_at(copies: &[Arrival]) -> BTreeSet<u16> {
    copies.iter().map(|copy| copy.port).collect()
}

async fn inside_a_mirror_without_a_port_goes_to_the_port_that_was_called(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    for name in [WEB, CANARY] {
        ports(&scene, name, [(80, 80), (81, 8081)]).await?;
    }
    scene.put(virtual_service(json!({"name": "inside", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&scene, "inside").await?;
    for (port, pods_port) in [(80, 80), (81, 8081)] {
        let copies = copied(&scene, scene.calls_port(WEB, port)?.count(FEW)).await?;
        assert_eq!((copies.len(), arrived_at(&copies)), (FEW, [pods_port].into()));
    }
    Ok(())
}

/// A gateway was called at a port of its own. That a Service has a port of the same number is chance: copies go to the
/// wrong one, or nowhere, and nobody is told.
async fn at_a_gateway_a_mirror_needs_a_port_where_the_service_has_several(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    ports(&scene, WEB, [(80, 8080), (81, 8081)]).await?;
    let host = scene.public_host();
    let arrive = async |name: &str, port: Value| {
        let production = json!([{"destination": {"host": WEB, "port": {"number": 81}}}]);
        let mirror = merged(mirror(CANARY, 100), json!({"destination": port}));
        let route = virtual_service(json!({"name": name, "route": production, "mirrors": [mirror]}));
        scene.put(merged(route, at_the_gateway(&host))).await?;
        scene.until_gateway_route(&host, name, |route| route.name == name).await?;
        let copies = copied(&scene, scene.calls_gateway(&host)?.count(FEW)).await?;
        Ok::<_, Error>((copies.len(), arrived_at(&copies)))
    };
    ports(&scene, CANARY, [(80, 8080), (81, 8081)]).await?;
    assert_eq!(arrive("wrong", json!({})).await?, (FEW, [8080].into()), "production is called at 8081");
    assert_eq!(arrive("right", json!({"port": {"number": 81}})).await?, (FEW, [8081].into()));
    ports(&scene, CANARY, [(81, 8081), (82, 8080)]).await?;
    assert_eq!(arrive("nowhere", json!({})).await?, (0, [].into()));
    Ok(())
}
