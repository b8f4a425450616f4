//! In which ways istiod accepts a route with a mirror, and no copy arrives: what Kanary refuses, and what it cannot know.

use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Service;
use kanary_e2e::{
    Error, TestNamespace,
    dynamic::{self, ObjectRef},
};
use serde_json::{Value, json};

use super::{OTHER, world};
use crate::support::{mesh::*, *};

/// A port of its own for each protocol: in the lab a port of bytes has the sidecar's listener for itself.
const FIRST_PORT: u16 = 84;

/// Istio routes a port as HTTP by `appProtocol`, else by what its name begins with; where neither says anything it looks
/// at the bytes. To all others `http` routes do not apply.
pub async fn only_ports_of_http_are_copied(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let ports = [
        ("http-a", None, true),
        ("HTTP", None, true),
        ("tcp-http", None, false),
        ("redis", None, false),
        ("mysql-http", None, false),
        ("mongo", None, false),
        ("tls", None, false),
        ("https-web", None, false),
        ("http-b", Some("tcp"), false),
        ("tcp-c", Some("http"), true),
        ("tcp-d", Some("kubernetes.io/ws"), true),
        ("http-e", Some("kubernetes.io/wss"), false),
        ("tcp-f", Some("example.com/own"), true),
        ("web", None, true),
        ("httpd", None, true),
    ];
    let numbered = || (FIRST_PORT..).zip(ports);
    let of_service = numbered().map(|(number, (name, protocol, _))| {
        let name = format!("{}{}", name.to_lowercase(), if name == "HTTP" { "-upper" } else { "" });
        json!({"name": name, "port": number, "targetPort": 8080, "appProtocol": protocol})
    });
    let of_service: Vec<Value> = of_service.collect();
    ns.patch::<Service>(WEB, json!({"spec": {"ports": of_service}})).await?;
    let mirror = merged(mirror(CANARY, 100), json!({"destination": {"port": {"number": 80}}}));
    ns.put(virtual_service(json!({"name": "ours", "mirrors": [mirror]}))).await?;
    let mut measured = Vec::new();
    for (number, (name, protocol, _)) in numbered() {
        ns.until_known(WEB, number, 2).await?;
        until_all_is_known(&ns).await?;
        let report = ns.calls_port(WEB, number)?.count(FEW).run().await;
        assert_production_answers(&report);
        measured.push((name, protocol, at(CANARY, &ns.copies(&report).await?)));
    }
    let expected = ports.map(|(name, protocol, copied)| (name, protocol, if copied { FEW } else { 0 }));
    assert_eq!(measured, expected);
    Ok(())
}

/// istiod pushes everything it knows at once: a proxy that has the effect of a later write has that of an earlier one.
pub async fn until_all_is_known(ns: &TestNamespace) -> Result<(), Error> {
    static NTH: AtomicUsize = AtomicUsize::new(0);
    let name = format!("marker-{}", NTH.fetch_add(1, Ordering::Relaxed));
    let marker = json!({"name": name, "route": [{"destination": {"host": OTHER}}]});
    let host = json!({"metadata": {"name": "marker"}, "spec": {"hosts": [OTHER]}});
    ns.put(merged(virtual_service(marker), host)).await?;
    ns.until_route(OTHER, "the marker", |route| route.name == name).await.map(drop)
}

/// The copies of a few requests, whatever their answers are.
async fn count(ns: &TestNamespace) -> Result<usize, Error> {
    until_all_is_known(ns).await?;
    let report = ns.calls(WEB)?.count(FEW).run().await;
    Ok(at(CANARY, &ns.copies(&report).await?))
}

/// An `http` route to production that copies all, changed by this patch.
fn ours(change: Value) -> Value {
    let route = json!({"name": "ours", "route": [{"destination": {"host": WEB}}], "mirrors": [mirror(CANARY, 100)]});
    merged(route, change)
}

/// The VirtualService that has it, changed by this patch of its spec.
fn ours_in(spec: Value) -> Value {
    merged(virtual_service(ours(json!({}))), json!({"spec": spec}))
}

pub async fn a_route_that_no_request_takes_is_not_copied(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let after = |first: Value| {
        let first = merged(json!({"route": [{"destination": {"host": OTHER}}]}), first);
        ours_in(json!({"http": [first, ours(json!({}))]}))
    };
    let changed = |change: Value| ours_in(json!({"http": [ours(change)]}));
    let matching = |one: Value| changed(json!({"match": [one]}));
    let abort = |share: Value| changed(json!({"fault": {"abort": {"httpStatus": 418, "percentage": share}}}));
    let cases = [
        ("as it should be", ours_in(json!({})), FEW),
        ("after one without a match", after(json!({})), 0),
        ("after one of any prefix", after(json!({"match": [{"uri": {"prefix": "/"}}]})), 0),
        ("after one of any text", after(json!({"match": [{"uri": {"regex": ".*"}}]})), 0),
        ("after one of this port", after(json!({"match": [{"port": 80}]})), 0),
        ("after one of another port", after(json!({"match": [{"port": 81}]})), FEW),
        ("after one of a gateway", after(json!({"match": [{"gateways": ["edge"]}]})), FEW),
        ("after one of a header", after(json!({"match": [{"headers": {"x": {"exact": "y"}}}]})), FEW),
        ("for a gateway only", matching(json!({"gateways": ["edge"]})), 0),
        ("for the mesh", matching(json!({"gateways": ["mesh"]})), FEW),
        ("for another port", matching(json!({"port": 81})), 0),
        ("for other clients", matching(json!({"sourceLabels": {"app": "nobody"}})), 0),
        ("for another namespace", matching(json!({"sourceNamespace": "nowhere"})), 0),
        ("with a redirect", changed(json!({"redirect": {"uri": "/new"}})), 0),
        ("with a response", changed(json!({"directResponse": {"status": 204}})), 0),
        ("with a delegate", changed(json!({"delegate": {"name": "nobody"}})), 0),
        ("with a full abort", abort(json!({"value": 100})), 0),
        ("with an abort of no percentage", abort(json!({})), FEW),
        ("exported to none", ours_in(json!({"exportTo": ["~"]})), 0),
        ("exported to its namespace", ours_in(json!({"exportTo": ["."]})), 0),
        ("exported to the client's", ours_in(json!({"exportTo": ["default"]})), FEW),
        ("at a gateway that does not exist", ours_in(json!({"gateways": ["nowhere"]})), 0),
        ("in the mesh as well", ours_in(json!({"gateways": ["nowhere", "mesh"]})), FEW),
        ("of any host", ours_in(json!({"hosts": ["*"]})), FEW),
        ("of no host", ours_in(json!({"hosts": null})), 0),
    ];
    let mut measured = Vec::new();
    for (name, object, _) in &cases {
        // A merge would leave what the case before has.
        let _ = ns.remove(dynamic::virtual_service(WEB)).await;
        ns.put(object.clone()).await?;
        measured.push((*name, count(&ns).await?));
    }
    assert_eq!(measured, cases.map(|(name, _, copies)| (name, copies)));
    Ok(())
}

/// A delegate gets what its root lets through; one that has hosts is none.
pub async fn a_delegate_that_gets_nothing_copies_nothing(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let prefix = |prefix: &str| json!({"match": [{"uri": {"prefix": prefix}}]});
    let root = |change: Value| {
        virtual_service(merged(json!({"name": "root", "route": null, "delegate": {"name": "part"}}), change))
    };
    let part = |change: Value, hosts: Value| {
        merged(virtual_service(ours(change)), json!({"metadata": {"name": "part"}, "spec": {"hosts": hosts}}))
    };
    let cases = [
        ("all", root(json!({})), part(json!({}), Value::Null), FEW),
        ("other paths", root(prefix("/a")), part(prefix("/b"), Value::Null), 0),
        ("hosts", root(json!({})), part(json!({}), json!(["x"])), 0),
    ];
    for (name, root, part, expected) in cases {
        ns.put(part).await?;
        ns.put(root).await?;
        assert_eq!(count(&ns).await?, expected, "{name}");
    }
    Ok(())
}

/// A Service may be hidden from clients, as production or as the canary; no route applies to a host that they do not know.
pub async fn a_hidden_service_is_not_copied(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    ns.put(ours_in(json!({}))).await?;
    for (name, export_to, expected) in [(WEB, "~", 0), (WEB, ".", 0), (WEB, "*", FEW), (CANARY, "~", 0)] {
        let annotations = json!({"networking.istio.io/exportTo": export_to});
        ns.patch::<Service>(name, json!({"metadata": {"annotations": annotations}})).await?;
        assert_eq!(count(&ns).await?, expected, "{name}: {export_to}");
    }
    Ok(())
}

/// Objects that are older, and what they do to a VirtualService and to an HTTPRoute that copy.
pub async fn an_older_route_may_go_before_ours(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let of = |kind: &str, rule: Value| {
        let rule = merged(json!({"backendRefs": [{"name": WEB, "port": 80}]}), rule);
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": "a"},
            "spec": {"parentRefs": [the_service()], "rules": [rule]},
        })
    };
    let grpc = || of("GRPCRoute", json!({"matches": [{"method": {"service": "shop.Cart"}}]}));
    let tls = merged(of("TLSRoute", json!({})), json!({"spec": {"hostnames": ["a.example.com"]}}));
    let http = |port: Value| {
        merged(
            of("HTTPRoute", json!({})),
            json!({"spec": {"parentRefs": [merged(the_service(), json!({"port": port}))]}}),
        )
    };
    let theirs = |spec: Value| {
        merged(virtual_service(json!({"name": "theirs"})), json!({"metadata": {"name": "a"}, "spec": spec}))
    };
    let of_port = json!([{"match": [{"port": 81}], "route": [{"destination": {"host": WEB}}]}]);
    let of_tcp = json!([{"route": [{"destination": {"host": WEB}}]}]);
    let ours = || ours_in(json!({}));
    let ours_of_api = || http_route(the_service(), request_mirror(100));
    let short = format!("{WEB}.{}", ns.name());
    let cases = [
        ("GRPCRoute", of("GRPCRoute", json!({})), ours(), 0),
        ("GRPCRoute of a method", grpc(), ours(), 0),
        ("GRPCRoute", of("GRPCRoute", json!({})), ours_of_api(), FEW),
        ("GRPCRoute of a method", grpc(), ours_of_api(), FEW),
        ("TLSRoute", tls, ours(), FEW),
        ("HTTPRoute of another port", http(json!(81)), ours(), FEW),
        ("HTTPRoute of another port", http(json!(81)), ours_of_api(), FEW),
        ("HTTPRoute of every port", http(Value::Null), ours_of_api(), FEW),
        ("HTTPRoute", http(json!(80)), ours_of_api(), 0),
        ("VirtualService", theirs(json!({})), ours(), 0),
        ("VirtualService", theirs(json!({})), ours_in(json!({"hosts": ["*"]})), 0),
        ("VirtualService of tcp", theirs(json!({"http": null, "tcp": of_tcp})), ours(), FEW),
        ("VirtualService of any host", theirs(json!({"hosts": ["*"]})), ours(), FEW),
        ("VirtualService of a shorter host", theirs(json!({"hosts": [short]})), ours(), FEW),
        ("VirtualService of a gateway", theirs(json!({"gateways": ["edge"]})), ours(), FEW),
        ("VirtualService of another port", theirs(json!({"http": of_port})), ours(), FEW),
    ];
    let mut measured = Vec::new();
    for (name, first, second, _) in &cases {
        for object in [first, second] {
            ns.put(object.clone()).await?;
        }
        measured.push((*name, text(second, "/kind"), count(&ns).await?));
        for object in [first, second] {
            ns.remove(reference(object)).await?;
        }
    }
    let expected = cases.iter().map(|(name, _, second, copies)| (*name, text(second, "/kind"), *copies));
    assert_eq!(measured, expected.collect::<Vec<_>>());
    Ok(())
}

fn reference(object: &Value) -> ObjectRef<'_> {
    ObjectRef {
        api_version: text(object, "/apiVersion"),
        kind: text(object, "/kind"),
        name: text(object, "/metadata/name"),
    }
}

/// istiod reports one reference that does not resolve, for the whole HTTPRoute. The other rules work, and so does a mirror in
/// them; but of an unknown filter it leaves out more. A port that a Service does not have counts as resolved.
pub async fn a_backend_that_does_not_resolve_stops_its_own_rule_only(ns: TestNamespace) -> Result<(), Error> {
    world(&ns).await?;
    let of_path = |rule: Value| merged(json!({"matches": [{"path": {"type": "PathPrefix", "value": "/bad"}}]}), rule);
    let bad = |to: Value| of_path(json!({"backendRefs": [to]}));
    let copying = |to: &str, port: u16| {
        let mut rule = merged(json!({"backendRefs": [{"name": WEB, "port": 80}]}), request_mirror(100));
        rule["filters"][0]["requestMirror"]["backendRef"] = json!({"name": to, "port": port});
        rule
    };
    let gone = || bad(json!({"name": "gone", "port": 80}));
    let unknown = json!({"filters": [{"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "X", "name": "x"}}]});
    let cases = [
        ("gone", vec![gone(), copying(CANARY, 80)], "BackendNotFound", "gone", FEW),
        (
            "kind",
            vec![bad(json!({"group": "example.com", "kind": "Bucket", "name": "x"})), copying(CANARY, 80)],
            "InvalidKind",
            "Bucket",
            FEW,
        ),
        ("ours", vec![gone(), copying("nobody", 80)], "BackendNotFound", "nobody", 0),
        ("our port", vec![copying(CANARY, 99)], "ResolvedRefs", "", 0),
        ("filter", vec![of_path(unknown), copying(CANARY, 80)], "InvalidFilter", "", 0),
    ];
    for (name, rules, reason, word, expected) in cases {
        ns.put(merged(http_route(the_service(), json!({})), json!({"spec": {"rules": rules}}))).await?;
        let route = ns.until_dynamic(dynamic::http_route(WEB), "reported", is_reported).await?;
        let condition = conditions(&route).find(|one| one["type"] == "ResolvedRefs").cloned().unwrap_or_default();
        assert_eq!(condition["reason"], reason, "{name}: {condition}");
        assert!(text(&condition, "/message").contains(word), "{name}: {condition}");
        assert!(conditions(&route).any(|one| one["type"] == "Accepted" && one["status"] == "True"), "{name}: {route}");
        assert_eq!(count(&ns).await?, expected, "{name}");
    }
    Ok(())
}

fn conditions(route: &Value) -> impl Iterator<Item = &Value> {
    route["status"]["parents"][0]["conditions"].as_array().into_iter().flatten()
}

fn is_reported(route: &Value) -> bool {
    let generation = &route["metadata"]["generation"];
    conditions(route).count() > 1 && conditions(route).all(|one| one["observedGeneration"] == *generation)
}
