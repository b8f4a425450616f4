//! Which of several routes of a host applies, and what the names in it mean.

use kanary_e2e::{Error, TestNamespace, dynamic};
use serde_json::json;

use super::{uncopied::until_all_is_known, world};
use crate::support::{mesh::*, *};

/// A delegate has no hosts; its routes belong to the VirtualService that delegates to it.
pub async fn a_delegate_copies_as_its_root_would(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let delegate = virtual_service(json!({"name": "delegated", "mirrors": [mirror(CANARY, 100)]}));
    ns.put(merged(delegate, json!({"metadata": {"name": "delegate"}, "spec": {"hosts": null}}))).await?;
    let root = json!({"name": "root", "route": null, "delegate": {"name": "delegate", "namespace": ns.name()}});
    ns.put(virtual_service(root)).await?;
    ns.until_route(WEB, "the delegate's route", |route| route.name.contains("delegated")).await?;
    let copies = copied(&ns, ns.calls(WEB)?.count(FEW)).await?;
    assert_eq!(at(CANARY, &copies), FEW);
    Ok(())
}

/// Another namespace's VirtualService of production's host, which copies nothing.
async fn put_elsewhere(ns: &TestNamespace, export_to: &str) -> Result<(), Error> {
    let elsewhere = format!("{}-elsewhere", ns.name());
    ns.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})).await?;
    let host = ns.host(WEB);
    let route = json!({"name": "theirs", "route": [{"destination": {"host": host}}]});
    // Istio breaks ties of a second by name.
    let meta = json!({"name": "a", "namespace": elsewhere});
    let theirs = json!({"metadata": meta, "spec": {"hosts": [host], "exportTo": [export_to]}});
    ns.put(merged(virtual_service(route), theirs)).await
}

/// Of several VirtualServices of one host the oldest applies, whatever its namespace; the others are accepted, and do
/// nothing.
pub async fn an_older_virtual_service_of_another_namespace_wins(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    put_elsewhere(&ns, "*").await?;
    until_named(&ns, "theirs").await?;
    ns.put(virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_all_is_known(&ns).await?;
    assert_eq!(copied(&ns, ns.calls(WEB)?.count(FEW)).await?, [], "ours is there, accepted, and does nothing");
    Ok(())
}

/// One that is exported to the client's namespace by name applies even if it is younger.
pub async fn a_virtual_service_that_is_exported_to_the_caller_wins(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "ours").await?;
    assert_eq!(copied(&ns, ns.calls(WEB)?.count(FEW)).await?.len(), FEW);
    put_elsewhere(&ns, "default").await?;
    until_named(&ns, "theirs").await?;
    assert_eq!(copied(&ns, ns.calls(WEB)?.count(FEW)).await?, [], "ours was obeyed, and is no more");
    Ok(())
}

/// To istiod an HTTPRoute on a Service is one more VirtualService of its host: the oldest applies.
pub async fn an_older_http_route_on_the_service_wins(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(http_route(the_service(), json!({}))).await?;
    ns.until_route(WEB, "the HTTPRoute", |route| !route.origin.is_empty()).await?;
    // Istio breaks ties of a second by name.
    let ours = virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}));
    ns.put(merged(ours, json!({"metadata": {"name": "z"}}))).await?;
    until_all_is_known(&ns).await?;
    assert_eq!(copied(&ns, ns.calls(WEB)?.count(FEW)).await?, [], "ours is there, accepted, and does nothing");
    Ok(())
}

/// Istio completes a name without dots with the namespace of the VirtualService, and takes a name with dots for a full
/// one. So `web.shop` and `web.shop.svc` do not resolve: Envoy gets a mirror that goes nowhere.
pub async fn a_name_resolves_in_the_namespace_of_its_virtual_service(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let namespace = ns.name();
    let full = ns.host(CANARY);
    let forms = [CANARY.into(), format!("{CANARY}.{namespace}"), format!("{CANARY}.{namespace}.svc"), full.clone()];
    let mut measured = Vec::new();
    for (nth, form) in forms.iter().enumerate() {
        let name = format!("form-{nth}");
        ns.put(virtual_service(json!({"name": name, "mirrors": [mirror(form, 100)]}))).await?;
        let mirrors = until_named(&ns, &name).await?.mirrors;
        let copies = copied(&ns, ns.calls(WEB)?.count(FEW)).await?;
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

/// Clients may use a shorter name of a Service, and its route applies. A VirtualService with a shorter host is not the
/// Service's, but if it is the oldest, it takes the requests that use the same name.
pub async fn a_client_may_use_a_shorter_name(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(virtual_service(json!({"name": "ours", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "ours").await?;
    assert_eq!(copied_under_each_name(&ns).await?, [FEW; 3]);

    ns.remove(dynamic::virtual_service(WEB)).await?;
    let short = json!({"name": "short", "route": [{"destination": {"host": ns.host(WEB)}}]});
    let host = format!("{WEB}.{}.svc", ns.name());
    let named = json!({"metadata": {"name": "a"}, "spec": {"hosts": [host]}});
    ns.put(merged(virtual_service(short), named)).await?;
    ns.put(virtual_service(json!({"name": "again", "mirrors": [mirror(CANARY, 100)]}))).await?;
    until_named(&ns, "again").await?;
    assert_eq!(copied_under_each_name(&ns).await?, [FEW, 0, FEW]);
    Ok(())
}

/// Copies of as many requests to `web.shop`, to `web.shop.svc` and to `web.shop.svc.cluster.local`.
async fn copied_under_each_name(ns: &TestNamespace) -> Result<[usize; 3], Error> {
    let namespace = ns.name();
    let mut copies = [0; 3];
    for (count, name) in
        copies.iter_mut().zip([format!("{WEB}.{namespace}"), format!("{WEB}.{namespace}.svc"), ns.host(WEB)])
    {
        *count = copied(ns, ns.calls(WEB)?.host(&name).count(FEW)).await?.len();
    }
    Ok(copies)
}
