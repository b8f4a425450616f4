//! The mirror: which routes contain it, by what patches, and what is in its way.

use std::sync::Arc;

use jiff::SignedDuration;
use kanary::{
    api::{ConditionStatus, Reason, names::MIRROR_FINALIZER},
    canary::withhold,
    decision::{Action, Kind, Lookup, Observed, Patch, Routes},
    lifecycle,
    objects::{Listed, Unavailable, VirtualService},
    promql::{ClockMark, Evidence, Outcome, QueryHistory},
    traffic::{Extent, Traffic, TrafficStatus},
    validation::promql,
};
use serde_json::{Value, json};

use crate::given::{UID, merge, observed, service, status, with_canary};

/// A route of Istio's: `VirtualService` and `spec`, in `shop` unless it says otherwise.
pub fn virtual_service(name: &str, spec: Value) -> Value {
    object("VirtualService", name, spec)
}

/// A route of the Gateway API's.
pub fn http_route(name: &str, spec: Value) -> Value {
    object("HTTPRoute", name, spec)
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "3", "generation": 2},
        "spec": spec,
    })
}

fn of_kind<K: serde::de::DeserializeOwned>(objects: &[Value], kind: &str) -> Listed<K> {
    let parse = |object: &Value| Arc::new(serde_json::from_value(object.clone()).expect("as the API server sends it"));
    Listed::All(objects.iter().filter(|object| object["kind"] == kind).map(parse).collect())
}

/// A canary that is ready and has its Service, with `spec.traffic.mirror` and these routes; the finalizer is on.
pub fn mirroring(settings: Value, objects: &[Value]) -> Observed {
    let spec = json!({"traffic": {"source": "mirror", "mirror": settings}});
    let mut seen = with_canary(observed(spec.clone(), status(&spec, "Validating", json!({}))));
    let made = traffic(&seen).ensure(Extent::All { available: true });
    for action in made {
        if let Action::Create { mut object, .. } = action {
            merge(&mut object, json!({"metadata": {"uid": "service-uid", "resourceVersion": "4"}}));
            seen.services.push(Arc::new(serde_json::from_value(object).expect("a Service")));
        }
    }
    seen.routes = Routes {
        domain: "cluster.local".into(),
        virtual_services: of_kind(objects, "VirtualService"),
        http_routes: of_kind(objects, "HTTPRoute"),
        is_fresh: false,
    };
    Arc::make_mut(&mut seen.kanary).metadata.finalizers = Some(vec![MIRROR_FINALIZER.into()]);
    seen
}

/// Applies the patches to the routes they are for; the other actions are left alone.
pub fn carry_out(objects: &mut [Value], actions: &[Action]) {
    for action in actions {
        let Action::Patch { target, patch: Patch::Json(operations) } = action else { continue };
        let meant = |object: &&mut Value| {
            object["kind"] == target.kind.as_str() && object["metadata"]["name"] == target.name.as_str()
        };
        let Some(object) = objects.iter_mut().find(meant) else { continue };
        let guard = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]});
        assert_eq!(operations[0], guard, "every write is guarded, first of all");
        let patch: json_patch::Patch = serde_json::from_value(json!(operations)).expect("a JSON patch");
        json_patch::patch(object, &patch).expect("it fits what was observed");
    }
}

/// What is written into routes while a run lasts, and what the finalizer needs.
pub fn ensured(seen: &Observed) -> Vec<Action> {
    let all = Extent::All { available: true };
    let mut actions = traffic(seen).ensure(all);
    actions.extend(traffic(seen).ensure_routes(all));
    actions.retain(|action| {
        matches!(action.target().kind, Kind::VirtualService | Kind::HTTPRoute | Kind::KanaryDeployment)
    });
    actions
}

/// What removes our entries from the routes of others.
pub fn cleared(seen: &Observed) -> Vec<Action> {
    traffic(seen).clear_routes()
}

fn web() -> Value {
    virtual_service("web", json!({"hosts": ["web"], "http": [{"name": "all", "route": [to("web")]}]}))
}

fn to(host: &str) -> Value {
    json!({"destination": {"host": host}})
}

fn copies(percentage: i32) -> Value {
    json!({"destination": {"host": "try-kanary"}, "percentage": {"value": percentage}})
}

/// The routes after everything that is planned was done, once.
fn after(settings: Value, objects: &[Value]) -> Vec<Value> {
    let mut objects = objects.to_vec();
    let actions = ensured(&mirroring(settings, &objects));
    carry_out(&mut objects, &actions);
    objects
}

fn traffic(seen: &Observed) -> Traffic<'_> {
    Traffic::of(seen, &withhold(seen))
}

fn status_of(seen: &Observed) -> TrafficStatus {
    traffic(seen).status().clone()
}

fn reason_of(seen: &Observed) -> Reason {
    status_of(seen).why.reason
}

fn none_left(seen: &Observed) -> bool {
    lifecycle::children::none_left(seen, &traffic(seen))
}

/// Where the mirrors of the first VirtualService are, by route.
fn mirrors(objects: &[Value]) -> Vec<Value> {
    let routes = objects[0]["spec"]["http"].as_array().expect("http routes");
    routes.iter().map(|route| route["mirrors"].clone()).collect()
}

#[test]
fn every_route_that_points_to_production_contains_it() {
    let domain = "web.shop.svc.cluster.local";
    let leads = [
        ("a short name", json!({"route": [to("web")]})),
        ("the full name", json!({"route": [to(domain)]})),
        ("a subset", json!({"route": [{"destination": {"host": "web", "subset": "v1"}}]})),
        (
            "two subsets",
            json!({"route": [{"destination": {"host": "web", "subset": "v1"}, "weight": 90}, {"destination": {"host": "web", "subset": "v2"}, "weight": 10}]}),
        ),
        (
            "another that gets nothing",
            json!({"route": [{"destination": {"host": "web"}, "weight": 100}, {"destination": {"host": "old"}, "weight": 0}]}),
        ),
        ("with retries", json!({"route": [to("web")], "retries": {"attempts": 3}, "timeout": "1s"})),
    ];
    for (name, route) in leads {
        let after = after(
            json!({"percentage": 30}),
            &[virtual_service("any", json!({"hosts": ["shop.example.com"], "gateways": ["edge"], "http": [route]}))],
        );
        assert_eq!(mirrors(&after), [json!([copies(30)])], "{name}");
    }
    let others = [
        ("half a name", json!({"route": [to("web.shop")]})),
        ("a name of another namespace", json!({"route": [to("web.other.svc.cluster.local")]})),
        ("another Service", json!({"route": [to("shop")]})),
        ("a redirect", json!({"redirect": {"uri": "/new"}})),
        ("a delegation", json!({"delegate": {"name": "elsewhere"}})),
    ];
    for (name, mut route) in others {
        merge(&mut route, json!({"match": [{"uri": {"prefix": "/old"}}]}));
        let after = after(
            json!({}),
            &[virtual_service("any", json!({"hosts": ["a"], "http": [route, {"route": [to("web")]}]}))],
        );
        assert_eq!(mirrors(&after), [Value::Null, json!([copies(100)])], "{name}");
    }
}

#[test]
fn its_port_is_that_of_the_route() {
    let route = json!({"route": [{"destination": {"host": "web", "port": {"number": 80}}}]});
    let after = after(json!({}), &[virtual_service("web", json!({"hosts": ["web"], "http": [route]}))]);
    assert_eq!(
        after[0]["spec"]["http"][0]["mirrors"][0]["destination"],
        json!({"host": "try-kanary", "port": {"number": 80}})
    );
}

#[test]
fn others_mirrors_stay_and_ours_is_recognized_by_its_destination() {
    let foreign = json!({"destination": {"host": "audit"}});
    let cases = [
        (json!([foreign]), json!([foreign, copies(50)])),
        (json!([copies(10), foreign]), json!([copies(50), foreign])),
        (
            json!([{"destination": {"host": "try-kanary.shop.svc.cluster.local"}, "percentage": {"value": 50.0}}]),
            json!([{"destination": {"host": "try-kanary.shop.svc.cluster.local"}, "percentage": {"value": 50.0}}]),
        ),
        (json!([{"destination": {"host": "try-kanary"}}]), json!([copies(50)])),
        (json!([copies(50), foreign, copies(50), copies(7)]), json!([copies(50), foreign])),
    ];
    for (before, expected) in cases {
        let route = json!({"route": [to("web")], "mirrors": before});
        let objects = [virtual_service("web", json!({"hosts": ["web"], "http": [route]}))];
        assert_eq!(mirrors(&after(json!({"percentage": 50}), &objects)), [expected], "{before}");
    }
}

#[test]
fn only_what_is_named_contains_it() {
    let routes = json!([
        {"name": "a", "route": [to("web")]},
        {"name": "b", "route": [to("web"), to("old")], "mirrors": [copies(100)]},
        {"route": [to("web")]},
    ]);
    let objects = [virtual_service("web", json!({"hosts": ["web"], "http": routes})), web()];
    let mut other = objects.to_vec();
    other[1]["metadata"]["name"] = json!("other");
    other[1]["spec"]["hosts"] = json!(["shop.example.com"]);
    let after = after(json!({"virtualService": {"name": "web", "routes": ["a"]}}), &other);
    assert_eq!(
        mirrors(&after),
        [json!([copies(100)]), Value::Null, Value::Null],
        "and what is not named does no longer"
    );
    assert_eq!(after[1], other[1]);
}

/// What it is, the settings, the routes, the reason, and words of the message.
type Refused = (&'static str, Value, Vec<Value>, &'static str, &'static [&'static str]);

#[test]
fn what_cannot_be_mirrored_is_refused_by_name() {
    let split = json!({"name": "s", "route": [{"destination": {"host": "web"}, "weight": 90}, {"destination": {"host": "old"}, "weight": 10}]});
    let with = |http: Value| virtual_service("web", json!({"hosts": ["web"], "http": [http]}));
    let mut foreign = virtual_service(
        "edge",
        json!({"hosts": ["*"], "gateways": ["gw"], "http": [{"route": [to("web.shop.svc.cluster.local")]}]}),
    );
    foreign["metadata"]["namespace"] = json!("front");
    let mesh = http_route("mesh", json!({"parentRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80}]}));
    let delegate = virtual_service("part", json!({"http": [{"route": [to("web")]}]}));
    let root = virtual_service(
        "root",
        json!({"hosts": ["a"], "http": [{"delegate": {"name": "part"}, "mirrors": [to("audit")]}]}),
    );
    let gateway = json!({"provider": "gateway-api"});
    let mut elsewhere =
        http_route("theirs", json!({"rules": [{"backendRefs": [{"name": "web", "namespace": "shop", "port": 80}]}]}));
    elsewhere["metadata"]["namespace"] = json!("front");
    let backends = |refs: Value| http_route("web", json!({"rules": [{"name": "s", "backendRefs": refs}]}));
    let cases: Vec<Refused> = vec![
        (
            "a singular mirror",
            json!({}),
            vec![with(json!({"route": [to("web")], "mirror": {"host": "audit"}}))],
            "SingularMirror",
            &["VirtualService web", "mirrors"],
        ),
        (
            "a split route",
            json!({}),
            vec![with(split.clone())],
            "SplitRoute",
            &["route s", "old.shop.svc.cluster.local", "virtualService.routes"],
        ),
        (
            "a split route without a name",
            json!({}),
            vec![with(json!({"route": split["route"]}))],
            "SplitRoute",
            &[
                "give the route a name: kubectl patch virtualservices.networking.istio.io web -n shop --type=json",
                r#"-p '[{"op":"add","path":"/spec/http/0/name","value":"web"}]'"#,
                r#"in spec.traffic.mirror: {"virtualService":{"name":"web","routes":["web"]}}"#,
            ],
        ),
        (
            "a split route beside a named one",
            json!({"virtualService": {"name": "web"}}),
            vec![with(split.clone())],
            "SplitRoute",
            &["virtualService.routes"],
        ),
        (
            "a named object that is not there",
            json!({"virtualService": {"name": "shop"}}),
            vec![web()],
            "VirtualServiceNotFound",
            &["spec.traffic.mirror.virtualService", "shop"],
        ),
        (
            "a named route that is not there",
            json!({"virtualService": {"name": "web", "routes": ["all", "none"]}}),
            vec![web()],
            "RouteNotFound",
            &["no route none"],
        ),
        (
            "a named object that leads elsewhere",
            json!({"virtualService": {"name": "web"}}),
            vec![with(json!({"route": [to("old")]}))],
            "NoRoute",
            &["VirtualService web"],
        ),
        (
            "a route in another namespace",
            json!({}),
            vec![web(), foreign.clone()],
            "ForeignRoute",
            &["VirtualService front/edge", "shop"],
        ),
        ("only a route in another namespace", json!({}), vec![foreign], "ForeignRoute", &["front/edge"]),
        (
            "an HTTPRoute on the Service",
            json!({}),
            vec![web(), mesh.clone()],
            "HTTPRouteWins",
            &["HTTPRoute shop/mesh", "gateway-api"],
        ),
        (
            "a host that is claimed",
            json!({}),
            vec![virtual_service("tcp", json!({"hosts": ["web.shop"], "tcp": []}))],
            "HostTaken",
            &["VirtualService shop/tcp"],
        ),
        ("inherited mirrors", json!({}), vec![delegate, root], "InheritedMirrors", &["shop/root", "repeat them"]),
        ("no HTTPRoute", gateway.clone(), vec![web()], "NoRoute", &["HTTPRoute"]),
        (
            "a named HTTPRoute that is not there",
            json!({"provider": "gateway-api", "httpRoute": {"name": "x"}}),
            vec![],
            "HTTPRouteNotFound",
            &["spec.traffic.mirror.httpRoute", "x"],
        ),
        (
            "an HTTPRoute in another namespace",
            gateway.clone(),
            vec![elsewhere],
            "ForeignRoute",
            &["HTTPRoute front/theirs"],
        ),
        (
            "a split rule",
            gateway.clone(),
            vec![backends(json!([{"name": "web", "port": 80}, {"name": "old", "port": 80}]))],
            "SplitRoute",
            &["httpRoute.rules"],
        ),
        (
            "a split rule without a name, between two Services of one name",
            gateway,
            vec![http_route(
                "web",
                json!({"rules": [
                    {"name": "web", "backendRefs": [{"name": "web", "port": 80}]},
                    {"backendRefs": [{"name": "web", "port": 80}, {"name": "web", "namespace": "blue", "port": 80}]},
                ]}),
            )],
            "SplitRoute",
            &[
                "an unnamed rule: points to Service blue/web too",
                r#"-p '[{"op":"add","path":"/spec/rules/1/name","value":"web-2"}]'"#,
                r#"{"httpRoute":{"name":"web","rules":["web-2"]}}"#,
            ],
        ),
    ];
    for (name, settings, objects, reason, words) in cases {
        let seen = mirroring(settings, &objects);
        let obstacle = traffic(&seen).obstacle().cloned().unwrap_or_else(|| panic!("{name}: is not refused"));
        assert_eq!(obstacle.reason.as_str(), reason, "{name}: {}", obstacle.message);
        assert!(words.iter().all(|word| obstacle.message.contains(word)), "{name}: {}", obstacle.message);
        let mut after = objects.clone();
        carry_out(&mut after, &ensured(&seen));
        assert_eq!(after, objects, "{name}: nothing is written");
        assert_eq!(status_of(&seen).truth, ConditionStatus::False, "{name}");
    }
}

/// Inside the mesh the oldest route of a host is applied, whatever its kind.
#[test]
fn an_older_virtual_service_beats_an_http_route_of_the_mesh() {
    let reason = |settings: Value, second: u32, gateways: Value| {
        let parent = json!({"kind": "Service", "group": "", "name": "web", "port": 80});
        let rule = json!({"backendRefs": [{"name": "web", "port": 80}]});
        let mut route = http_route("web", json!({"parentRefs": [parent], "rules": [rule]}));
        merge(&mut route, json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:05Z"}}));
        let mut other =
            virtual_service("web", json!({"hosts": ["web"], "gateways": gateways, "http": [{"route": [to("web")]}]}));
        merge(&mut other, json!({"metadata": {"creationTimestamp": format!("2026-01-01T00:00:0{second}Z")}}));
        traffic(&mirroring(settings, &[route, other])).obstacle().map(|obstacle| obstacle.reason.clone())
    };
    let gateway = || json!({"provider": "gateway-api"});
    assert_eq!(reason(gateway(), 4, json!(["mesh"])), Some(Reason::VirtualServiceWins));
    assert_eq!(reason(gateway(), 6, json!(["mesh"])), None, "a younger one is ignored");
    assert_eq!(reason(gateway(), 4, json!(["edge"])), None, "nor is one of a gateway, inside the mesh");
    assert_eq!(reason(json!({}), 4, json!(["mesh"])), Some(Reason::HTTPRouteWins));
}

#[test]
fn a_split_route_that_is_named_contains_it() {
    let split = json!({"name": "s", "route": [to("web"), {"destination": {"host": "old"}, "weight": 10}]});
    let objects = [virtual_service("web", json!({"hosts": ["web"], "http": [split]}))];
    let after = after(json!({"virtualService": {"name": "web", "routes": ["s"]}}), &objects);
    assert_eq!(mirrors(&after), [json!([copies(100)])]);
}

#[test]
fn a_gateways_route_to_several_ports_must_name_one() {
    let ports = json!({"selector": {"app": "web"}, "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]});
    let cases = [
        (json!({"hosts": ["a"], "gateways": ["edge"], "http": [{"route": [to("web")]}]}), true),
        (
            json!({"hosts": ["a"], "gateways": ["edge", "mesh"], "http": [{"match": [{"gateways": ["mesh"]}], "route": [to("web")]}]}),
            false,
        ),
        (json!({"hosts": ["web"], "http": [{"match": [{"gateways": ["edge"]}], "route": [to("web")]}]}), true),
        (json!({"hosts": ["web"], "http": [{"route": [to("web")]}]}), false),
        (
            json!({"hosts": ["a"], "gateways": ["edge"], "http": [{"route": [{"destination": {"host": "web", "port": {"number": 80}}}]}]}),
            false,
        ),
    ];
    for (spec, refused) in cases {
        let mut seen = mirroring(json!({}), &[virtual_service("web", spec.clone())]);
        seen.services.retain(|service| service.metadata.name.as_deref() != Some("web"));
        seen.services.push(service("web", ports.clone()));
        let reason = traffic(&seen).obstacle().map(|obstacle| obstacle.reason.clone());
        assert_eq!(reason, refused.then_some(Reason::PortRequired), "{spec}");
    }
}

#[test]
fn what_is_not_known_is_reported_and_nothing_is_created() {
    let cases = [
        (Unavailable::NoCrd, "NoMesh", true),
        (Unavailable::NotServed, "NoMesh", true),
        (Unavailable::NotPermitted, "NotPermitted", true),
        (Unavailable::Loading, "RoutesNotListed", false),
    ];
    for (why, reason, is_errored) in cases {
        let spec = json!({"traffic": {"source": "mirror"}});
        let mut seen = observed(spec.clone(), status(&spec, "Starting", json!({})));
        seen.routes.virtual_services = Listed::Not(why);
        seen.routes.http_routes = Listed::All(Vec::new());
        let plan = lifecycle::plan(&seen);
        assert_eq!(plan.actions, [], "{why:?}");
        let conditions = plan.status.expect("a new status").status.conditions;
        let of = |type_: &str| conditions.iter().find(|c| format!("{:?}", c.type_) == type_);
        assert_eq!(
            of("Traffic").map(|c| (c.status, c.reason.as_str())),
            Some((ConditionStatus::False, reason)),
            "{why:?}"
        );
        assert_eq!(of("Stalled").is_some(), is_errored, "{why:?}");
    }
}

/// The finalizer comes before the first write to a user's route, alone, and with a status only after a fault.
#[test]
fn the_finalizer_comes_first() {
    let mut seen = mirroring(json!({}), &[web()]);
    Arc::make_mut(&mut seen.kanary).metadata.finalizers = Some(vec!["other.io/x".into()]);
    let plan = lifecycle::plan(&seen);
    let [Action::Patch { target, patch: Patch::Merge(patch) }] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    assert_eq!((target.kind, target.name.as_str()), (Kind::KanaryDeployment, "try"));
    assert_eq!(*patch, json!({"metadata": {"resourceVersion": "1", "finalizers": ["other.io/x", MIRROR_FINALIZER]}}));
    assert!(plan.status.is_none(), "its resourceVersion would be that of before");
}

/// A deleted resource whose run would succeed is not asked for its canary: it would keep its finalizer indefinitely.
#[test]
fn a_deleted_resource_that_would_succeed_reads_its_routes() {
    let mut seen = mirroring(json!({}), &[]);
    seen.is_fresh = false;
    Arc::make_mut(&mut seen.kanary).spec.validation.manual =
        Some(serde_json::from_value(json!({"status": "valid"})).expect("a manual verdict"));
    Arc::make_mut(&mut seen.kanary).spec.traffic.source = kanary::api::Source::None;
    seen.routes.virtual_services = of_kind(&[], "VirtualService");
    assert_eq!(lifecycle::lookup(&seen), Some(Lookup::ReadCanary), "it would succeed");
    (seen.canary, seen.pods) = (None, Vec::new());
    seen.services.retain(|service| service.metadata.name.as_deref() == Some("web"));
    Arc::make_mut(&mut seen.kanary).metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time"));
    assert_eq!(lifecycle::lookup(&seen), Some(Lookup::ReadRoutes));
}

/// What a run that is over or deleted does, one after the other.
#[test]
fn at_the_end_the_entry_goes_then_the_children_then_the_finalizer() {
    let carrying =
        virtual_service("web", json!({"hosts": ["web"], "http": [{"route": [to("web")], "mirrors": [copies(100)]}]}));
    for phase in ["Failing", "Succeeded", "Failed", "deleted"] {
        let mut seen = mirroring(json!({}), std::slice::from_ref(&carrying));
        let kanary = Arc::make_mut(&mut seen.kanary);
        if phase == "deleted" {
            kanary.metadata.deletion_timestamp =
                Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time"));
        } else {
            kanary.status = Some(
                serde_json::from_value(status(&json!({"traffic": {"source": "mirror"}}), phase, json!({})))
                    .expect("a status"),
            );
        }
        let kinds = |seen: &Observed| {
            lifecycle::plan(seen).actions.iter().map(|action| action.target().kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&seen), [Kind::VirtualService], "{phase}");
        assert!(!none_left(&seen));
        let mut objects = [carrying.clone()];
        carry_out(&mut objects, &lifecycle::plan(&seen).actions);
        assert_eq!(objects[0]["spec"]["http"][0].get("mirrors"), None, "{phase}");
        seen.routes.virtual_services = of_kind(&objects, "VirtualService");
        assert_eq!(kinds(&seen), [Kind::Deployment, Kind::Service], "{phase}");
        assert_eq!(lifecycle::lookup(&seen), None, "{phase}: not while children are there");
        seen.canary = None;
        seen.pods.clear();
        seen.services.retain(|service| service.metadata.name.as_deref() == Some("web"));
        assert_eq!(kinds(&seen), [], "{phase}: the memory alone is not believed");
        assert_eq!(lifecycle::lookup(&seen), Some(Lookup::ReadRoutes), "{phase}");
        seen.routes.is_fresh = true;
        assert_eq!(kinds(&seen), [Kind::KanaryDeployment], "{phase}");
        assert_eq!(lifecycle::lookup(&seen), None, "{phase}");
        Arc::make_mut(&mut seen.kanary).metadata.finalizers = None;
        assert_eq!(kinds(&seen), [], "{phase}");
        assert!(phase == "deleted" || none_left(&seen), "{phase}");
    }
}

#[test]
fn another_source_takes_it_away_first() {
    let carrying =
        virtual_service("web", json!({"hosts": ["web"], "http": [{"route": [to("web")], "mirrors": [copies(100)]}]}));
    let mut seen = mirroring(json!({}), std::slice::from_ref(&carrying));
    Arc::make_mut(&mut seen.kanary).spec.traffic.source = kanary::api::Source::None;
    let kinds: Vec<Kind> = lifecycle::plan(&seen).actions.iter().map(|action| action.target().kind).collect();
    assert_eq!(kinds, [Kind::VirtualService], "the Service stays until nothing points to it");
    let mut promoting = seen.clone();
    let status = Arc::make_mut(&mut promoting.kanary).status.as_mut().expect("a status");
    status.phase = Some(kanary::api::Phase::Promoting);
    Arc::make_mut(promoting.base.as_mut().expect("a base")).spec.paused = true;
    let kinds: Vec<Kind> = lifecycle::plan(&promoting).actions.iter().map(|action| action.target().kind).collect();
    assert_eq!(kinds, [Kind::VirtualService], "as well while the base is paused");
    // Without the finalizer it was never ours to write: a mirror to the kanary service belongs to another client.
    Arc::make_mut(&mut seen.kanary).metadata.finalizers = None;
    let kinds: Vec<Kind> = lifecycle::plan(&seen).actions.iter().map(|action| action.target().kind).collect();
    assert_eq!(kinds, [Kind::Service]);
}

/// It belongs to this canary alone, so it needs no finalizer; but not only children must be removed.
#[test]
fn another_source_takes_our_own_virtual_service_away_first() {
    let made = ensured(&mirroring(json!({}), &[]));
    let [Action::Create { object, .. }] = &made[..] else { panic!("{made:?}") };
    let mut own = object.clone();
    merge(&mut own, json!({"metadata": {"uid": "own", "resourceVersion": "8"}}));
    let mut seen = mirroring(json!({}), &[own]);
    let kanary = Arc::make_mut(&mut seen.kanary);
    kanary.metadata.finalizers = None;
    kanary.spec.traffic.source = kanary::api::Source::None;
    let reported: Vec<String> = lifecycle::plan(&seen).actions.iter().map(Action::describe).collect();
    assert_eq!(reported, ["delete VirtualService try-kanary"], "the Service stays until nothing points to it");
    assert!(!none_left(&seen));
}

#[test]
fn a_mirror_to_a_service_that_is_not_ours_is_theirs() {
    let theirs =
        virtual_service("web", json!({"hosts": ["web"], "http": [{"route": [to("web")], "mirrors": [copies(10)]}]}));
    let foreign = |routes: Value| {
        let mut seen = mirroring(json!({}), std::slice::from_ref(&theirs));
        seen.services = vec![service("web", json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}))];
        seen.services.push(service("try-kanary", json!({"selector": {"app": "mine"}, "ports": [{"port": 80}]})));
        let status = Arc::make_mut(&mut seen.kanary).status.as_mut().expect("a status");
        status.canary =
            Some(serde_json::from_value(json!({"deployment": "try-kanary", "routes": routes})).expect("it"));
        seen
    };
    let refused = foreign(json!([]));
    assert_eq!(lifecycle::plan(&refused).actions, [], "the name is taken: nothing is written");
    assert_eq!(cleared(&refused), []);
    let replaced = foreign(json!(["VirtualService/web"]));
    assert_eq!(cleared(&replaced).len(), 1, "but what we put there goes, whoever took the name since");
}

#[test]
fn what_keeps_a_deleted_resource_is_reported() {
    let reported = |seen: &Observed| {
        let tell = lifecycle::plan(seen).status?;
        let problem = tell.status.problem()?;
        Some((problem.reason.clone(), problem.message.clone()))
    };
    let mut seen = mirroring(json!({}), &[web()]);
    Arc::make_mut(&mut seen.kanary).metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time"));
    assert_eq!(reported(&seen), None);
    let fault =
        kanary::decision::Fault { action: "patch VirtualService web".into(), error: "denied by a webhook".into() };
    let faulty = Observed { faults: vec![fault], ..seen.clone() };
    let (reason, message) = reported(&faulty).expect("the fault");
    assert_eq!((reason.as_str(), message.as_str()), ("RequestFailed", "patch VirtualService web: denied by a webhook"));
    seen.routes.virtual_services = Listed::Not(Unavailable::NotPermitted);
    let (reason, message) = reported(&seen).expect("the permission");
    assert!(reason == Reason::NotPermitted && message.contains("deploy/rbac.yaml"), "{message}");
}

#[test]
fn nothing_is_added_before_a_pod_can_receive_it() {
    let mut no_pod = mirroring(json!({}), &[web()]);
    no_pod.pods.clear();
    assert_eq!(ensured(&no_pod), []);
    let mut no_service = mirroring(json!({}), &[web()]);
    no_service.services.pop();
    assert_eq!(ensured(&no_service), []);
    assert_eq!(reason_of(&no_service), Reason::Pending);
}

#[test]
fn a_virtual_service_of_our_own_where_there_is_none() {
    let seen = mirroring(json!({"percentage": 5}), &[]);
    let actions = ensured(&seen);
    let [Action::Create { target, object }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((target.kind, target.name.as_str()), (Kind::VirtualService, "try-kanary"));
    assert_eq!(object["spec"]["hosts"], json!(["web"]));
    assert_eq!(object["spec"]["http"], json!([{"name": "all", "route": [to("web")], "mirrors": [copies(5)]}]));
    assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], UID);
    assert_eq!(reason_of(&seen), Reason::Pending);

    let own = |percentage: i32| {
        let mut own = object.clone();
        merge(&mut own, json!({"metadata": {"uid": "own", "resourceVersion": "8"}}));
        own["spec"]["http"][0]["mirrors"] = json!([copies(percentage)]);
        own
    };
    let seen = mirroring(json!({"percentage": 5}), &[own(5)]);
    assert_eq!(ensured(&seen), []);
    assert_eq!((status_of(&seen).truth, reason_of(&seen)), (ConditionStatus::True, Reason::AcceptedUnverified));
    let mut objects = [own(100)];
    let actions = ensured(&mirroring(json!({"percentage": 5}), &objects));
    carry_out(&mut objects, &actions);
    assert_eq!(objects[0], own(5), "a change is spliced in as anywhere");

    let giving_way = ensured(&mirroring(json!({"percentage": 5}), &[own(5), web()]));
    let reported: Vec<String> = giving_way.iter().map(Action::describe).collect();
    assert_eq!(reported, ["patch VirtualService web", "delete VirtualService try-kanary"]);
}

/// Two canaries of one Service create one each, without seeing the other's: the older one stays.
#[test]
fn of_two_of_our_own_the_older_one_stays() {
    let made = |name: &str, owner: &str, second: u32| {
        let mut route =
            virtual_service(name, json!({"hosts": ["web"], "http": [{"name": "all", "route": [to("web")]}]}));
        merge(
            &mut route,
            json!({"metadata": {
                "labels": {"kanary.k8s.io/canary": name}, "creationTimestamp": format!("2026-01-01T00:00:0{second}Z"),
                "ownerReferences": [{"apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "name": name, "uid": owner, "controller": true}],
            }}),
        );
        route
    };
    let reported = |seen: &Observed| ensured(seen).iter().map(Action::describe).collect::<Vec<_>>();
    let older = mirroring(json!({}), &[made("try-kanary", UID, 1), made("b-kanary", "b", 2)]);
    assert_eq!(reported(&older), ["patch VirtualService try-kanary"]);
    let younger = mirroring(json!({}), &[made("try-kanary", UID, 2), made("b-kanary", "b", 1)]);
    assert_eq!(reported(&younger), ["patch VirtualService b-kanary", "delete VirtualService try-kanary"]);
}

#[test]
fn the_client_that_removes_it_is_named() {
    let mut route: VirtualService = serde_json::from_value(web()).expect("a VirtualService");
    route.last_manager = Some("argocd-controller".into());
    let mut seen = mirroring(json!({}), &[]);
    seen.routes.virtual_services = Listed::All(vec![Arc::new(route)]);
    let kanary = Arc::make_mut(&mut seen.kanary);
    kanary.status.as_mut().expect("a status").canary = Some(
        serde_json::from_value(json!({"deployment": "try-kanary", "routes": ["VirtualService/web"]}))
            .expect("a status"),
    );
    let plan = lifecycle::plan(&seen);
    assert!(plan.actions.iter().any(|action| action.describe() == "patch VirtualService web"), "it is put back");
    let reported = plan.status.expect("a new status");
    let event = reported.notices.iter().find(|notice| notice.reason == Reason::MirrorReverted).expect("an event");
    assert!(event.note.contains("argocd-controller") && event.note.contains("VirtualService web"), "{}", event.note);
    assert!(reported.status.held_since.is_some(), "the clock is paused");
}

#[test]
fn the_last_manager_is_read_from_the_managed_fields() {
    use kanary::objects::Object;
    let entry = |manager: &str, second: u32, fields: Value, subresource: &str| json!({"manager": manager, "operation": "Update", "time": format!("2026-01-01T00:00:0{second}Z"), "fieldsV1": fields, "subresource": subresource});
    let spec = json!({"f:spec": {"f:http": {}}});
    let mut object = web();
    object["metadata"]["managedFields"] = json!([
        entry("kubectl", 1, spec.clone(), ""),
        entry("argocd-controller", 3, spec.clone(), ""),
        entry("kanary", 4, spec.clone(), ""),
        entry("istiod", 5, json!({"f:status": {}}), "status"),
        entry("labeller", 6, json!({"f:metadata": {}}), ""),
    ]);
    let mut route: VirtualService = serde_json::from_value(object).expect("a VirtualService");
    route.prune();
    assert_eq!(route.last_manager.as_deref(), Some("argocd-controller"));
    assert!(route.metadata.managed_fields.is_none(), "no more than that is kept");
    let dump = serde_json::to_value(&route).expect("it serializes");
    assert_eq!(serde_json::from_value::<VirtualService>(dump).expect("it deserializes"), route);
}

#[test]
fn writes_are_warned_of_unless_they_are_acknowledged() {
    let limited = |methods: &[&str]| {
        let matches: Vec<Value> = methods.iter().map(|method| json!({"method": {"exact": method}})).collect();
        virtual_service(
            "web",
            json!({"hosts": ["web"], "http": [{"name": "r", "match": matches, "route": [to("web")]}]}),
        )
    };
    let cases = [
        (limited(&["GET", "HEAD", "OPTIONS"]), json!({}), false),
        (limited(&["GET", "POST"]), json!({}), true),
        (web(), json!({}), true),
        (web(), json!({"acknowledgeWrites": true}), false),
    ];
    for (route, settings, warned) in cases {
        let seen = mirroring(settings, std::slice::from_ref(&route));
        assert_eq!(traffic(&seen).copies_writes().is_some(), warned, "{route}");
    }
}

/// The result of the query whether mirrored requests arrive.
fn answered(seen: &Observed, outcome: Outcome) -> (String, QueryHistory) {
    let query = promql::mirror_check::query(seen, seen.status()).expect("it can be asked");
    let mut asked = QueryHistory::default();
    asked.record(query.hash, query.query, ClockMark { at: seen.now, held: SignedDuration::ZERO }, outcome);
    (promql::mirror_check::NAME.into(), asked)
}

#[test]
fn mirrored_requests_that_must_be_seen_are_awaited() {
    let carrying =
        virtual_service("web", json!({"hosts": ["web"], "http": [{"route": [to("web")], "mirrors": [copies(100)]}]}));
    let evidence = || Evidence { message: "counted".into(), value: "1".into(), bound: "true".into(), samples: 1 };
    let cases = [
        ("Starting", None, ConditionStatus::Unknown, "NoCopiesSeen"),
        ("Starting", Some(Outcome::False(evidence())), ConditionStatus::Unknown, "NoCopiesSeen"),
        ("Starting", Some(Outcome::Unknown("no answer".into())), ConditionStatus::Unknown, "NoCopiesSeen"),
        ("Starting", Some(Outcome::True(evidence())), ConditionStatus::True, "CopiesSeen"),
        ("Validating", Some(Outcome::False(evidence())), ConditionStatus::True, "CopiesSeen"),
    ];
    for (phase, outcome, truth, reason) in cases {
        let mut seen = mirroring(json!({"confirm": "requests"}), std::slice::from_ref(&carrying));
        let spec = json!({"traffic": {"source": "mirror"}});
        Arc::make_mut(&mut seen.kanary).status =
            Some(serde_json::from_value(status(&spec, phase, json!({}))).expect("a status"));
        seen.prometheus.url = Some("http://prometheus:9090".into());
        let asked = outcome.map(|outcome| answered(&seen, outcome));
        seen.answers = asked.into_iter().collect();
        let reported = status_of(&seen);
        assert_eq!(
            (reported.truth, reported.why.reason.as_str()),
            (truth, reason),
            "{phase}: {}",
            reported.why.message
        );
        let questions = lifecycle::due_queries(&seen);
        let is_due = seen.answers.is_empty();
        assert_eq!(
            questions.iter().any(|question| question.item == promql::mirror_check::NAME),
            is_due,
            "asked once, then later"
        );
        seen.prometheus.url = None;
        seen.answers.clear();
        assert_eq!(lifecycle::due_queries(&seen), [], "there is no Prometheus");
    }
}

/// Copies are made where one parent applies the route; another may not even exist.
#[test]
fn one_parent_that_applies_the_route_is_enough() {
    let condition = |type_: &str| json!({"type": type_, "status": "True", "observedGeneration": 2});
    let mut route = http_route(
        "web",
        json!({
            "parentRefs": [{"name": "gone"}, {"name": "edge"}],
            "rules": [{"backendRefs": [{"name": "web", "port": 80}], "filters": [
                {"type": "RequestMirror", "requestMirror": {"percent": 100, "backendRef": {"group": "", "kind": "Service", "name": "try-kanary", "port": 80}}},
            ]}],
        }),
    );
    route["status"] = json!({"parents": [{"parentRef": {"name": "edge"}, "controllerName": "x", "conditions": [condition("Accepted"), condition("ResolvedRefs")]}]});
    let seen = mirroring(json!({"provider": "gateway-api"}), &[route]);
    let status = status_of(&seen);
    assert_eq!(status.truth, ConditionStatus::True, "{}", status.why.message);
    assert!(status.why.message.contains("waiting for parent gone"), "{}", status.why.message);
}

#[test]
fn an_http_route_must_be_accepted_as_it_is() {
    let report = |generation: i64, accepted: &str, resolved: &str| {
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "observedGeneration": generation, "message": "because"});
        json!({"parents": [{"parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}, "controllerName": "x", "conditions": [condition("Accepted", accepted), condition("ResolvedRefs", resolved)]}]})
    };
    let cases = [
        ("silence", json!({}), "NotAccepted"),
        ("an old answer", report(1, "True", "True"), "NotAccepted"),
        ("not accepted", report(2, "False", "True"), "NotAccepted"),
        ("not resolved", report(2, "True", "False"), "NotAccepted"),
        ("accepted", report(2, "True", "True"), "Accepted"),
    ];
    let filter = json!({"type": "RequestMirror", "requestMirror": {"percent": 30, "backendRef": {"group": "", "kind": "Service", "name": "try-kanary", "port": 80}}});
    for (name, status, reason) in cases {
        let mut route = http_route(
            "web",
            json!({
                "parentRefs": [{"name": "edge"}],
                "rules": [{"backendRefs": [{"name": "web", "port": 80}], "filters": [filter]}],
            }),
        );
        route["status"] = status;
        let seen = mirroring(json!({"provider": "gateway-api", "percentage": 30}), &[route]);
        assert_eq!(ensured(&seen), [], "{name}");
        assert_eq!(reason_of(&seen).as_str(), reason, "{name}: {}", status_of(&seen).why.message);
    }
}

#[test]
fn a_filter_of_an_http_route() {
    let header =
        json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}});
    let mirror = |service: &str, percent: Value| {
        let mut filter =
            json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": service, "port": 80}}});
        merge(&mut filter["requestMirror"], percent);
        filter
    };
    let cases = [
        (Value::Null, 100, json!([mirror("try-kanary", json!({}))])),
        (json!([header]), 25, json!([header, mirror("try-kanary", json!({"percent": 25}))])),
        (
            json!([mirror("audit", json!({})), mirror("try-kanary", json!({}))]),
            0,
            json!([mirror("audit", json!({})), mirror("try-kanary", json!({"percent": 0}))]),
        ),
        (
            json!([mirror("try-kanary", json!({"fraction": {"numerator": 1, "denominator": 4}}))]),
            25,
            json!([mirror("try-kanary", json!({"fraction": {"numerator": 1, "denominator": 4}}))]),
        ),
    ];
    for (before, percentage, expected) in cases {
        let mut rule = json!({"name": "r", "backendRefs": [{"name": "web", "port": 80}]});
        if !before.is_null() {
            rule["filters"] = before;
        }
        let mut objects = [http_route(
            "web",
            json!({"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "old", "port": 80}]}, rule]}),
        )];
        let actions = ensured(&mirroring(json!({"provider": "gateway-api", "percentage": percentage}), &objects));
        carry_out(&mut objects, &actions);
        assert_eq!(objects[0]["spec"]["rules"][1]["filters"], expected);
        assert_eq!(objects[0]["spec"]["rules"][0].get("filters"), None);
    }
}
