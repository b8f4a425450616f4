//! A mirror that would be in its place and copy nothing: it is refused by name. Each is a fact of istiod and Envoy, measured
//! in e2e/tests/facts/uncopied.rs.

use std::sync::Arc;

use kanary::{
    api::{ConditionStatus, Explanation},
    canary::withhold,
    decision::Observed,
    objects::Service,
    traffic::{Traffic, TrafficStatus},
};
use serde_json::{Value, json};

use crate::{
    given::merge,
    mirror::{carry_out, ensured, http_route, mirroring, virtual_service},
};

fn to(host: &str) -> Value {
    json!({"destination": {"host": host}})
}

fn web(spec: Value) -> Value {
    let mut route = json!({"hosts": ["web"], "http": [{"name": "ours", "route": [to("web")]}]});
    merge(&mut route, spec);
    virtual_service("web", route)
}

fn mesh(port: Value) -> Value {
    let parent = json!({"group": "", "kind": "Service", "name": "web", "port": port});
    let mut route = http_route("web", json!({"parentRefs": [parent], "rules": [{"backendRefs": [{"name": "web"}]}]}));
    route["status"] = json!({"parents": [{"controllerName": "istio.io/mesh-controller", "parentRef": parent}]});
    route
}

/// Both Services get these ports.
fn with_ports(mut seen: Observed, ports: &Value) -> Observed {
    for service in &mut seen.services {
        let mut changed: Service = (**service).clone();
        changed.spec.ports = serde_json::from_value(ports.clone()).expect("ports");
        *service = Arc::new(changed);
    }
    seen
}

fn obstacle(seen: &Observed) -> Option<Explanation> {
    Traffic::of(seen, &withhold(seen)).obstacle().cloned()
}

fn status(seen: &Observed) -> TrafficStatus {
    Traffic::of(seen, &withhold(seen)).status().clone()
}

/// Nothing is written, and the reason and these words are told.
#[track_caller]
fn assert_refused(name: &str, seen: &Observed, objects: &[Value], reason: &str, words: &[&str]) {
    let told = obstacle(seen).unwrap_or_else(|| panic!("{name}: is not refused"));
    assert_eq!(told.reason.as_str(), reason, "{name}: {}", told.message);
    assert!(words.iter().all(|word| told.message.contains(word)), "{name}: {}", told.message);
    assert_eq!(status(seen).truth, ConditionStatus::False, "{name}");
    let mut after = objects.to_vec();
    carry_out(&mut after, &ensured(seen));
    assert_eq!(after, objects, "{name}: nothing is written");
}

#[test]
fn a_port_that_is_not_http_is_refused_by_name() {
    let redis = json!([{"name": "tcp-redis", "port": 6379}]);
    let declared =
        json!([{"name": "http", "port": 80, "appProtocol": "tcp"}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
    let gateway = json!({"provider": "gateway-api"});
    let tcp = virtual_service("web", json!({"hosts": ["web"], "tcp": [{"route": [to("web")]}]}));
    let mut delegate = web(json!({"hosts": null}));
    delegate["metadata"]["name"] = json!("part");
    let root = virtual_service("root", json!({"hosts": ["web"], "http": [{"delegate": {"name": "part"}}]}));
    let cases = [
        ("with a route of our own", json!({}), &redis, vec![]),
        ("with a user's", json!({}), &redis, vec![web(json!({}))]),
        (
            "with a user's of the full name",
            json!({}),
            &redis,
            vec![web(json!({"hosts": ["web.shop.svc.cluster.local"]}))],
        ),
        ("with a user's tcp route", json!({}), &redis, vec![tcp]),
        ("with a delegate", json!({}), &redis, vec![delegate, root]),
        ("by appProtocol and protocol", json!({}), &declared, vec![]),
        ("with an HTTPRoute of the mesh", gateway, &redis, vec![mesh(Value::Null)]),
    ];
    for (name, settings, ports, objects) in cases {
        let seen = with_ports(mirroring(settings, &objects), ports);
        let title =
            if ports == &redis { "tcp-redis (6379)" } else { "http (80, appProtocol tcp) and dns (53, protocol UDP)" };
        assert_refused(name, &seen, &objects, "NotHTTP", &[title, "Service web", "http-…", "appProtocol: http"]);
    }
}

/// A gateway has read the requests as HTTP, whatever the Service calls its port; and what is not known is not refused.
#[test]
fn what_may_be_http_is_not_refused() {
    let redis = json!([{"name": "tcp-redis", "port": 80}]);
    let gateway = || json!({"provider": "gateway-api"});
    let mut linkerd = mesh(Value::Null);
    linkerd["status"]["parents"][0]["controllerName"] = json!("linkerd.io/policy-controller");
    let at_gateway = http_route(
        "web",
        json!({"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}),
    );
    let cases = [
        ("a gateway", json!({}), &redis, web(json!({"hosts": ["a.example.com"], "gateways": ["edge"]}))),
        ("a gateway beside the mesh", json!({}), &redis, web(json!({"gateways": ["edge", "mesh"]}))),
        ("a host of its own in the mesh", json!({}), &redis, web(json!({"hosts": ["shop.internal"]}))),
        ("another mesh", gateway(), &redis, linkerd),
        ("a Gateway", gateway(), &redis, at_gateway),
        ("a name that says nothing", json!({}), &json!([{"name": "web", "port": 80}]), web(json!({}))),
        ("no name", json!({}), &json!([{"port": 80}]), web(json!({}))),
        (
            "one of several ports",
            json!({}),
            &json!([{"name": "tcp-a", "port": 81}, {"name": "grpc", "port": 80}]),
            web(json!({})),
        ),
    ];
    for (name, settings, ports, object) in cases {
        let seen = with_ports(mirroring(settings, std::slice::from_ref(&object)), ports);
        assert_eq!(obstacle(&seen), None, "{name}");
    }
}

#[test]
fn ports_that_are_not_copied_are_named() {
    let ports = json!([{"name": "http", "port": 80}, {"name": "tcp-admin", "port": 81}]);
    let mirrors = json!([{"destination": {"host": "try-kanary"}, "percentage": {"value": 100}}]);
    let with = |spec: Value| {
        let mut object = web(spec);
        object["spec"]["http"][0]["mirrors"] = mirrors.clone();
        object["spec"]["http"][0]["route"][0]["destination"]["port"] = json!({"number": 80});
        object["spec"]["http"][0]["mirrors"][0]["destination"]["port"] = json!({"number": 80});
        status(&with_ports(mirroring(json!({}), &[object]), &ports))
    };
    let told = with(json!({}));
    assert_eq!(told.truth, ConditionStatus::True);
    assert!(told.why.message.contains("except at port tcp-admin (81)"), "{}", told.why.message);
    let told = with(json!({"gateways": ["edge"]}));
    assert_eq!(told.truth, ConditionStatus::True);
    assert!(!told.why.message.contains("except"), "{}", told.why.message);
}

#[test]
fn a_route_that_no_request_takes_is_refused() {
    let rules = |first: Value| {
        let mut earlier = json!({"name": "first", "route": [to("old")]});
        merge(&mut earlier, first);
        web(json!({"http": [earlier, {"name": "ours", "route": [to("web")]}]}))
    };
    let matching = |one: Value| web(json!({"http": [{"name": "ours", "match": [one], "route": [to("web")]}]}));
    let abort = |share: Value| {
        web(
            json!({"http": [{"name": "ours", "fault": {"abort": {"httpStatus": 503, "percentage": share}}, "route": [to("web")]}]}),
        )
    };
    let refused = [
        ("no match", rules(json!({})), "route first"),
        ("any prefix", rules(json!({"match": [{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/"}}]})), "route first"),
        ("any text", rules(json!({"match": [{"uri": {"regex": ".*"}, "headers": {}}]})), "route first"),
        ("any path", rules(json!({"match": [{"uri": {"regex": "^/.*$"}}]})), "route first"),
        ("any path in a group", rules(json!({"match": [{"uri": {"regex": "(.*)"}}]})), "route first"),
        (
            "any method",
            rules(json!({"match": [{"method": {"regex": ".*"}, "authority": {"regex": ".+"}}]})),
            "route first",
        ),
        ("the only port", rules(json!({"match": [{"port": 80}]})), "route first"),
        ("no name", rules(json!({"name": null})), "route number 1"),
        ("another gateway's", matching(json!({"gateways": ["edge"]})), "matches"),
        ("another port's", matching(json!({"port": 81})), "matches"),
        ("hidden", web(json!({"exportTo": ["~"]})), "exportTo"),
        ("aborted", abort(json!({"value": 100})), "fault.abort"),
    ];
    for (name, object, word) in refused {
        let objects = [object];
        let seen = mirroring(json!({}), &objects);
        assert_refused(name, &seen, &objects, "RouteUnreached", &["VirtualService web, route ours: ", word]);
    }
    let rule = json!({"name": "ours", "backendRefs": [{"name": "web", "port": 99}]});
    let objects = [http_route("web", json!({"parentRefs": [{"name": "edge"}], "rules": [rule]}))];
    let seen = mirroring(json!({"provider": "gateway-api"}), &objects);
    assert_refused(
        "a port that is absent",
        &seen,
        &objects,
        "RouteUnreached",
        &["HTTPRoute web, rule ours: ", "port 99"],
    );
    let accepted = [
        ("one of a path", rules(json!({"match": [{"uri": {"prefix": "/a"}}]}))),
        ("one of a pattern", rules(json!({"match": [{"uri": {"regex": "/api/.*"}}]}))),
        ("one of a header", rules(json!({"match": [{"uri": {"prefix": "/"}, "headers": {"x": {"exact": "y"}}}]}))),
        ("one of a port", rules(json!({"match": [{"port": 81}]}))),
        ("one of a gateway", rules(json!({"match": [{"gateways": ["edge"]}]}))),
        ("one of some clients", rules(json!({"match": [{"sourceLabels": {"app": "a"}}]}))),
        ("one that is delegated", rules(json!({"route": null, "delegate": {"name": "elsewhere"}}))),
        (
            "its own gateway's",
            web(
                json!({"gateways": ["mesh", "shop/edge"], "http": [{"match": [{"gateways": ["edge"]}], "route": [to("web")]}]}),
            ),
        ),
        ("aborted in part", abort(json!({"value": 50}))),
        ("aborted by default", abort(Value::Null)),
        ("some namespaces", web(json!({"exportTo": [".", "front"]}))),
    ];
    for (name, object) in accepted {
        assert_eq!(obstacle(&mirroring(json!({}), &[object])), None, "{name}");
    }
}

/// It answers for itself, so production gets nothing from it.
#[test]
fn a_route_that_sends_nothing_to_its_destinations_does_not_point_to_production() {
    for field in ["redirect", "directResponse", "delegate"] {
        let mut object = web(json!({}));
        object["spec"]["http"][0][field] = json!({"status": 204});
        let objects = [object];
        assert_refused(field, &mirroring(json!({}), &objects), &objects, "HostTaken", &["VirtualService shop/web"]);
    }
}

/// Of the VirtualServices of a host the mesh applies the one with the more exact host, then the oldest, then by name.
#[test]
fn a_virtual_service_that_another_goes_before_is_refused() {
    let second = |mut object: Value, second: u32| {
        merge(&mut object, json!({"metadata": {"creationTimestamp": format!("2026-01-01T00:00:0{second}Z")}}));
        object
    };
    let theirs = |spec: Value| {
        let mut route = json!({"hosts": ["web"], "http": [{"route": [to("old")]}]});
        merge(&mut route, spec);
        virtual_service("theirs", route)
    };
    let full = json!(["web.shop.svc.cluster.local"]);
    let mut elsewhere = theirs(json!({"hosts": full}));
    elsewhere["metadata"]["namespace"] = json!("front");
    let refused = [
        ("an older one", second(theirs(json!({})), 1), second(web(json!({})), 2), "shop/theirs"),
        ("one of the same second", second(theirs(json!({})), 2), second(web(json!({})), 2), "shop/theirs"),
        ("one elsewhere", second(elsewhere.clone(), 1), second(web(json!({})), 2), "front/theirs"),
    ];
    for (name, other, own, word) in refused {
        let objects = [other, own];
        let seen = mirroring(json!({}), &objects);
        assert_refused(name, &seen, &objects, "VirtualServiceWins", &["VirtualService web, route ours", word]);
    }
    let mut private = elsewhere;
    private["spec"]["exportTo"] = json!(["."]);
    let at_gateway = json!({"gateways": ["edge"]});
    let accepted = [
        ("a younger one", second(theirs(json!({})), 3)),
        ("an older wildcard", second(theirs(json!({"hosts": ["*"]})), 1)),
        ("one of tcp", second(theirs(json!({"http": null, "tcp": [{"route": [to("web")]}]})), 1)),
        ("one of another port", second(theirs(json!({"http": [{"match": [{"port": 81}], "route": [to("old")]}]})), 1)),
        ("one of a gateway", second(theirs(at_gateway), 1)),
        ("one of a shorter name", second(theirs(json!({"hosts": ["web.shop"]})), 1)),
        ("one for other clients", second(private, 1)),
        ("one that copies itself", second(theirs(json!({"http": [{"route": [to("web")]}]})), 1)),
    ];
    for (name, other) in accepted {
        assert_eq!(obstacle(&mirroring(json!({}), &[other, second(web(json!({})), 2)])), None, "{name}");
    }
}

/// The whole route reports it, whichever rule it is about.
#[test]
fn a_backend_of_another_rule_that_does_not_resolve_is_not_our_failure() {
    let filter = |service: &str| json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": service, "port": 80}}});
    let ours = json!({"name": "ours", "backendRefs": [{"name": "web", "port": 80}], "filters": [filter("try-kanary")]});
    let bad = |to: Value| json!({"name": "bad", "backendRefs": [to]});
    let gone = || bad(json!({"name": "gone", "port": 80}));
    let with = |rules: Value, reason: &str, message: &str| {
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 2});
        let mut route = http_route("web", json!({"parentRefs": [{"name": "edge"}], "rules": rules}));
        route["status"] = json!({"parents": [{"parentRef": {"name": "edge"}, "conditions": [condition("Accepted", "True"), condition("ResolvedRefs", "False")]}]});
        status(&mirroring(json!({"provider": "gateway-api"}), &[route]))
    };
    let not_found = "backend(gone.shop.svc.cluster.local) not found";
    let bucket = bad(json!({"group": "example.com", "kind": "Bucket", "name": "files"}));
    let mut audited = gone();
    audited["filters"] = json!([filter("audit")]);
    let on = [
        (json!([gone(), ours]), "BackendNotFound", not_found, "Service gone in rule bad"),
        (
            json!([bad(json!({"name": "else", "port": 80})), {"backendRefs": [{"name": "gone"}]}, ours]),
            "BackendNotFound",
            not_found,
            "Service gone in an unnamed rule",
        ),
        (json!([gone(), ours]), "BackendNotFound", "rule 0 does not resolve", "Service gone in rule bad"),
        (json!([bucket, ours]), "InvalidKind", "unsupported backendRef", "Bucket files in rule bad"),
        (
            json!([bad(json!({"name": "web", "namespace": "other", "port": 80})), ours]),
            "RefNotPermitted",
            "web/other not accessible",
            "Service web in rule bad",
        ),
        (json!([audited, ours]), "BackendNotFound", "backend(audit.shop) not found", "Service audit in rule bad"),
    ];
    for (rules, reason, message, words) in on {
        let told = with(rules, reason, message);
        assert_eq!((told.truth, told.why.reason.as_str()), (ConditionStatus::True, "Accepted"), "{}", told.why.message);
        assert!(told.why.message.contains(words), "{words}: {}", told.why.message);
        assert!(told.why.message.contains("HTTPRoute web"), "{}", told.why.message);
    }
    let off = [
        (json!([gone(), ours]), "BackendNotFound", "backend(try-kanary.shop.svc.cluster.local) not found"),
        (json!([ours]), "BackendNotFound", not_found),
        (json!([gone(), ours]), "InvalidFilter", "unsupported filter type"),
    ];
    for (rules, reason, message) in off {
        let told = with(rules, reason, message);
        let found = (told.truth, told.why.reason.as_str());
        assert_eq!(found, (ConditionStatus::False, "NotAccepted"), "{}", told.why.message);
        assert!(told.why.message.contains(message), "{}", told.why.message);
    }
}

#[test]
fn a_rule_that_sends_nothing_to_production_is_not_one_of_its() {
    let rule = |weight: i64| json!({"name": "ours", "backendRefs": [{"name": "web", "port": 80, "weight": weight}]});
    let reason = |weight: i64| {
        let route = http_route("web", json!({"parentRefs": [{"name": "edge"}], "rules": [rule(weight)]}));
        obstacle(&mirroring(json!({"provider": "gateway-api"}), &[route])).map(|why| why.reason.as_str().to_owned())
    };
    assert_eq!(reason(1), None);
    assert_eq!(reason(0).as_deref(), Some("NoRoute"));
}

/// istiod applies it until it is gone, however long its finalizers take.
#[test]
fn a_route_of_the_host_that_is_being_deleted_still_claims_it() {
    let mut claims = virtual_service("other", json!({"hosts": ["web"], "http": [{"route": [to("old")]}]}));
    let told = obstacle(&mirroring(json!({}), &[claims.clone()])).expect("an obstacle");
    claims["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(obstacle(&mirroring(json!({}), &[claims])), Some(told));
}
