//! What a real istiod and a real Envoy make of mirrors. Kanary has no part in it: mirrors are written by hand, and copies
//! are counted where they arrive. Each test is a fact that Kanary's mirror must live with.

mod support;

use std::collections::BTreeSet;
use std::process::ExitCode;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kanary_e2e::backend::arrivals::Arrival;
use kanary_e2e::load::{Load, Report};
use kanary_e2e::mesh::envoy::Envoy;
use kanary_e2e::mesh::route::Route;
use kanary_e2e::{Error, Scene, Setup, cases, harness, manifests};
use serde_json::{Value, json};
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

/// Enough for a bound that means something.
const MANY: usize = 2_000;
/// Enough for all or nothing.
const FEW: usize = 40;

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
        scene.lab()?.mesh()?.sidecar.until_endpoints(&scene.host(name), 80, pods).await?;
    }
    Ok(())
}

fn labelled(deployment: Value, app: &str) -> Value {
    let labels = json!({"app": app});
    let spec = json!({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}});
    merged(deployment, json!({"spec": spec}))
}

/// A VirtualService of production's host with one route.
fn virtual_service(scene: &Scene, route: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": WEB, "namespace": scene.namespace()},
        "spec": {"hosts": [WEB], "http": [merged(json!({"route": [{"destination": {"host": WEB}}]}), route)]},
    })
}

/// One entry of `mirrors`.
fn to(host: &str, percent: u32) -> Value {
    json!({"destination": {"host": host}, "percentage": {"value": percent}})
}

/// Creates or changes an object, as its owner would.
async fn put(scene: &Scene, object: Value) -> Result<(), Error> {
    manifests::apply(&scene.client(), &object).await.map(drop)
}

/// Waits until the sidecar goes by the route of this name.
async fn until_named(scene: &Scene, name: &str) -> Result<Route, Error> {
    let met = |routes: &[Route]| routes.first().is_some_and(|route| route.name == name);
    first(&scene.lab()?.mesh()?.sidecar, &scene.host(WEB), name, met).await
}

async fn first(envoy: &Envoy, host: &str, awaited: &str, met: impl Fn(&[Route]) -> bool) -> Result<Route, Error> {
    let routes = envoy.until_routes(host, awaited, met).await?;
    routes.into_iter().next().ok_or_else(|| Error::wrong("no route"))
}

/// Sends requests; production answers each of them, once, and what else arrived is returned.
async fn copied(scene: &Scene, load: Load) -> Result<Vec<Arrival>, Error> {
    let report = load.run().await;
    assert_production_answers(&report);
    scene.copies(&report).await
}

fn assert_production_answers(report: &Report) {
    let strangers = report.answers.iter().find(|answer| answer.status != 200 || !is_of(WEB, &answer.from));
    assert_eq!(strangers, None, "in {:?}", report.statuses());
}

/// A pod's name is its Deployment's, a hash and five letters.
fn is_of(deployment: &str, pod: &str) -> bool {
    let rest = pod.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.split('-').count() == 2)
}

fn at(deployment: &str, copies: &[Arrival]) -> usize {
    copies.iter().filter(|copy| is_of(deployment, &copy.pod)).count()
}

/// Each request is drawn for itself, so copies have a binomial distribution. That it strays further than six standard
/// deviations has a probability of less than one in a million (Bernstein's inequality, for deviations of ten or more).
#[track_caller]
fn assert_share(copies: usize, of: usize, percent: u32) {
    let (n, p) = (of as f64, f64::from(percent) / 100.0);
    let (mean, bound) = (n * p, 6.0 * (n * p * (1.0 - p)).sqrt());
    assert!((copies as f64 - mean).abs() <= bound, "{copies} copies of {of}, not {mean} ± {bound}");
}

async fn a_share_of_requests_is_copied_and_production_answers_all(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    for percent in [0, 10, 50, 100] {
        let name = format!("copy-{percent}");
        put(&scene, virtual_service(&scene, json!({"name": name, "mirrors": [to(CANARY, percent)]}))).await?;
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
    put(&scene, virtual_service(&scene, json!({"name": "two", "mirrors": [to(CANARY, 30), to(OTHER, 60)]}))).await?;
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
    let both = json!({"name": "both", "mirror": {"host": CANARY}, "mirrors": [to(CANARY, 100)]});
    put(&scene, virtual_service(&scene, both)).await?;
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
    put(&scene, virtual_service(&scene, json!({"name": "split", "route": route, "mirrors": [to(CANARY, 100)]})))
        .await?;
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
    let delegate = virtual_service(&scene, json!({"name": "delegated", "mirrors": [to(CANARY, 100)]}));
    put(&scene, merged(delegate, json!({"metadata": {"name": "delegate"}, "spec": {"hosts": null}}))).await?;
    let root = json!({"name": "root", "route": null, "delegate": {"name": "delegate", "namespace": scene.namespace()}});
    put(&scene, virtual_service(&scene, root)).await?;
    let met = |routes: &[Route]| routes.first().is_some_and(|route| route.name.contains("delegated"));
    first(&scene.lab()?.mesh()?.sidecar, &scene.host(WEB), "the delegate's route", met).await?;
    let copies = copied(&scene, scene.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), FEW);
    Ok(())
}

/// The copies' own sidecar counts them: as requests of the Service that selects the canary, whatever their Host says.
async fn a_copy_counts_at_the_workload_that_got_it(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    put(&scene, virtual_service(&scene, json!({"name": "all", "mirrors": [to(CANARY, 100)]}))).await?;
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
    put(scene, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})).await?;
    let host = scene.host(WEB);
    let route = json!({"name": "theirs", "route": [{"destination": {"host": host}}]});
    // Istio breaks ties of a second by name.
    let meta = json!({"name": "a", "namespace": elsewhere});
    let theirs = json!({"metadata": meta, "spec": {"hosts": [host], "exportTo": [export_to]}});
    put(scene, merged(virtual_service(scene, route), theirs)).await
}

/// Of several VirtualServices of one host the oldest is obeyed, whatever its namespace; the others are accepted, and do
/// nothing.
async fn an_older_virtual_service_of_another_namespace_wins(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    put_elsewhere(&scene, "*").await?;
    until_named(&scene, "theirs").await?;
    put(&scene, virtual_service(&scene, json!({"name": "ours", "mirrors": [to(CANARY, 100)]}))).await?;
    until_all_is_known(&scene).await?;
    assert_eq!(copied(&scene, scene.calls(WEB)?.count(FEW)).await?, [], "ours is there, accepted, and does nothing");
    Ok(())
}

/// One that is exported to the caller's namespace by name is obeyed even if it is younger.
async fn a_virtual_service_that_is_exported_to_the_caller_wins(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    put(&scene, virtual_service(&scene, json!({"name": "ours", "mirrors": [to(CANARY, 100)]}))).await?;
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
    put(scene, merged(virtual_service(scene, marker), host)).await?;
    let met = |routes: &[Route]| routes.first().is_some_and(|route| route.name == "marker");
    first(&scene.lab()?.mesh()?.sidecar, &scene.host(OTHER), "marker", met).await.map(drop)
}

/// An HTTPRoute with rules of its own.
fn http_route(scene: &Scene, parent: Value, rule: Value) -> Value {
    let rule = merged(json!({"backendRefs": [{"name": WEB, "port": 80}]}), rule);
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": WEB, "namespace": scene.namespace()},
        "spec": {"parentRefs": [parent], "rules": [rule]},
    })
}

fn on_the_service() -> Value {
    json!({"group": "", "kind": "Service", "name": WEB, "port": 80})
}

/// A filter that copies.
fn request_mirror(percent: u32) -> Value {
    let mirror = json!({"backendRef": {"name": CANARY, "port": 80}, "percent": percent});
    json!({"filters": [{"type": "RequestMirror", "requestMirror": mirror}]})
}

/// To istiod an HTTPRoute on a Service is one more VirtualService of its host: the oldest is obeyed.
async fn an_older_http_route_on_the_service_wins(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    put(&scene, http_route(&scene, on_the_service(), json!({}))).await?;
    let theirs = |routes: &[Route]| routes.first().is_some_and(|route| !route.origin.is_empty());
    first(&scene.lab()?.mesh()?.sidecar, &scene.host(WEB), "the HTTPRoute", theirs).await?;
    // Istio breaks ties of a second by name.
    let ours = virtual_service(&scene, json!({"name": "ours", "mirrors": [to(CANARY, 100)]}));
    put(&scene, merged(ours, json!({"metadata": {"name": "z"}}))).await?;
    until_all_is_known(&scene).await?;
    assert_eq!(copied(&scene, scene.calls(WEB)?.count(FEW)).await?, [], "ours is there, accepted, and does nothing");
    Ok(())
}

async fn an_http_route_copies_inside_the_mesh(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    put(&scene, http_route(&scene, on_the_service(), request_mirror(30))).await?;
    let mirrors = |routes: &[Route]| routes.first().is_some_and(|route| route.mirrors.len() == 1);
    first(&scene.lab()?.mesh()?.sidecar, &scene.host(WEB), "one mirror", mirrors).await?;
    let copies = copied(&scene, scene.calls(WEB)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 30);
    assert_eq!(at(CANARY, &copies), copies.len());
    Ok(())
}

async fn an_http_route_copies_at_the_gateway(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let (gateway, host) = (&scene.lab()?.mesh()?.gateway, scene.public_host());
    let parent = json!({"name": "ingress", "namespace": "istio-ingress"});
    let route = http_route(&scene, parent, request_mirror(30));
    put(&scene, merged(route, json!({"spec": {"hostnames": [host]}}))).await?;
    first(gateway, &host, "one mirror", |routes| routes.first().is_some_and(|route| route.mirrors.len() == 1)).await?;
    gateway.until_endpoints(&scene.host(CANARY), 80, 1).await?;
    gateway.until_endpoints(&scene.host(WEB), 80, 2).await?;
    let copies = copied(&scene, scene.calls_http_route(&host)?.count(MANY)).await?;
    assert_share(copies.len(), MANY, 30);
    assert_eq!(at(CANARY, &copies), copies.len());
    Ok(())
}

async fn a_gateway_copies_for_a_virtual_service(scene: Scene) -> Result<(), Error> {
    world(&scene).await?;
    let (gateway, host) = (&scene.lab()?.mesh()?.gateway, scene.public_host());
    let outside = json!({"spec": {"hosts": [host], "gateways": ["istio-ingress/ingress"]}});
    let service = virtual_service(&scene, json!({"name": "outside", "mirrors": [to(CANARY, 50)]}));
    put(&scene, merged(service, outside)).await?;
    first(gateway, &host, "outside", |routes| routes.first().is_some_and(|route| route.name == "outside")).await?;
    gateway.until_endpoints(&scene.host(CANARY), 80, 1).await?;
    gateway.until_endpoints(&scene.host(WEB), 80, 2).await?;
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
        put(&scene, virtual_service(&scene, json!({"name": name, "mirrors": [to(form, 100)]}))).await?;
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
    let (mesh, count) = (scene.lab()?.mesh()?, if name == WEB { 2 } else { 1 });
    for (port, _) in ports {
        mesh.sidecar.until_endpoints(&scene.host(name), port, count).await?;
        mesh.gateway.until_endpoints(&scene.host(name), port, count).await?;
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
    put(&scene, virtual_service(&scene, json!({"name": "inside", "mirrors": [to(CANARY, 100)]}))).await?;
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
    let (gateway, host) = (&scene.lab()?.mesh()?.gateway, scene.public_host());
    let outside =
        json!({"metadata": {"name": "outside"}, "spec": {"hosts": [host], "gateways": ["istio-ingress/ingress"]}});
    let arrive = async |name: &str, port: Value| {
        let production = json!([{"destination": {"host": WEB, "port": {"number": 81}}}]);
        let mirror = merged(to(CANARY, 100), json!({"destination": port}));
        let route = virtual_service(&scene, json!({"name": name, "route": production, "mirrors": [mirror]}));
        put(&scene, merged(route, outside.clone())).await?;
        first(gateway, &host, name, |routes| routes.first().is_some_and(|route| route.name == name)).await?;
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
