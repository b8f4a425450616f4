//! Subsets of a mesh: no promotion leaves one without pods that production's requests are sent to, and a canary that no
//! request reaches because of one is not said to get them all.

use std::sync::Arc;

use kanary::{
    decision::{Observed, Subsets},
    lifecycle::lookup,
    objects::PodTemplate,
};
use serde_json::{Value, json};

use crate::given::{base, dry_run, merge, observed, pod, promoted, relabel_template, stalled, status, with_canary};

const SOURCES: [&str; 5] = ["service", "kanary-service", "both", "mirror", "none"];

fn parse<K: serde::de::DeserializeOwned>(object: &Value) -> Arc<K> {
    Arc::new(serde_json::from_value(object.clone()).expect("as the API server sends it"))
}

fn object(kind: &str, spec: Value) -> Value {
    json!({
        "kind": kind, "spec": spec,
        "metadata": {"name": "web", "namespace": "shop", "uid": kind, "resourceVersion": "3", "creationTimestamp": "2026-01-01T00:00:00Z"},
    })
}

/// A DestinationRule of production's host, with subset `v1` of `version: v1`, changed by a patch.
fn rule(patch: Value) -> Value {
    let subsets = json!([{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}}]);
    let mut rule = object("DestinationRule", json!({"host": "web", "subsets": subsets}));
    merge(&mut rule, patch);
    rule
}

fn to(subset: &str, weight: i64) -> Value {
    json!({"destination": {"host": "web", "subset": subset}, "weight": weight})
}

/// A VirtualService with one route, changed by a patch.
fn route(destinations: Value, patch: Value) -> Value {
    let mut route =
        object("VirtualService", json!({"hosts": ["web"], "http": [{"name": "all", "route": destinations}]}));
    merge(&mut route, patch);
    route
}

fn subsets(objects: &[Value]) -> Subsets {
    let of = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    Subsets {
        domain: "cluster.local".into(),
        destination_rules: of("DestinationRule").map(parse).collect(),
        virtual_services: of("VirtualService").map(parse).collect(),
    }
}

/// Pods of the base have `version: v1`, or what the patch says; those of the template have these labels.
fn seen(phase: &str, spec: Value, of_base: Value, of_template: Value, objects: &[Value]) -> Observed {
    let mut seen = with_canary(observed(spec.clone(), status(&spec, phase, json!({}))));
    let mut labels = json!({"version": "v1"});
    merge(&mut labels, of_base);
    let base = base(json!({"spec": {"template": {"metadata": {"labels": labels}}}}));
    relabel_template(&mut seen, of_template);
    let hash = seen.kanary.spec.template.hash().to_owned();
    let status = Arc::make_mut(&mut seen.kanary).status.as_mut().expect("a status");
    status.template_hash = Some(hash);
    status.base.as_mut().expect("it is pinned").template_hash = Some(base.spec.template.hash.clone());
    (seen.base, seen.canary, seen.pods) = (Some(base), None, Vec::new());
    seen.subsets = subsets(objects);
    seen
}

fn of_source(source: &str) -> Value {
    json!({"traffic": {"source": source}})
}

/// The version of the template changes from `v1` to `v2`.
fn bumped(phase: &str, source: &str, objects: &[Value]) -> Observed {
    seen(phase, of_source(source), json!({}), json!({"app": "web", "version": "v2"}), objects)
}

fn is_refused(objects: &[Value]) -> bool {
    stalled(&bumped("Starting", "none", objects)).0 == "SubsetLosesPods"
}

#[test]
fn a_template_that_would_leave_a_subset_without_pods_is_refused_with_every_source() {
    let objects = [rule(json!({})), route(json!([to("v1", 100)]), json!({}))];
    for source in SOURCES {
        for phase in ["Starting", "Promoting"] {
            let (reason, message, writes) = stalled(&bumped(phase, source, &objects));
            assert_eq!((reason.as_str(), writes), ("SubsetLosesPods", vec![]), "{source}, {phase}: {message}");
            for part in
                ["version=v1", "subset v1 of DestinationRule web", "VirtualService web, route all", "Service web"]
            {
                assert!(message.contains(part), "{message}");
            }
        }
    }
    let kept = seen("Starting", of_source("none"), json!({}), json!({"app": "web", "version": "v1"}), &objects);
    assert_eq!(stalled(&kept).0, "", "it stays in the subset");
    let mut spec = of_source("none");
    merge(&mut spec, json!({"validation": {"noUpdate": true}}));
    let unchanged = seen("Starting", spec, json!({}), json!({"app": "web", "version": "v2"}), &objects);
    assert_eq!(stalled(&unchanged).0, "", "nothing is promoted");
}

#[test]
fn only_requests_that_the_base_gets_can_be_lost() {
    let of = |destinations: Value, patch: Value| [rule(json!({})), route(destinations, patch)];
    let redirect = json!({"spec": {"http": [{"redirect": {"uri": "/"}, "route": [to("v1", 100)]}]}});
    let mirror = json!({"spec": {"http": [{"route": [{"destination": {"host": "web"}}], "mirrors": [to("v1", 100)]}]}});
    let tcp = json!({"spec": {"http": null, "tcp": [{"route": [to("v1", 100)]}]}});
    let elsewhere = json!({"metadata": {"namespace": "front"}});
    let full = json!([{"destination": {"host": "web.shop.svc.cluster.local", "subset": "v1"}}]);
    let cases = [
        ("a split", of(json!([to("v1", 90), to("v2", 10)]), json!({})), true),
        ("a share of none", of(json!([to("v1", 0), to("v2", 100)]), json!({})), false),
        ("a subset that the base is not in", of(json!([to("v2", 100)]), json!({})), false),
        ("a subset that nobody defines", of(json!([to("v3", 100)]), json!({})), false),
        ("no subset", of(json!([{"destination": {"host": "web"}}]), json!({})), false),
        ("another host", of(json!([{"destination": {"host": "api", "subset": "v1"}}]), json!({})), false),
        ("a redirect", of(json!([]), redirect), false),
        ("copies", of(json!([]), mirror), false),
        ("a route of TCP", of(json!([]), tcp), true),
        (
            "a gateway's route of another host",
            of(json!([to("v1", 100)]), json!({"spec": {"hosts": ["a.example"], "gateways": ["edge"]}})),
            true,
        ),
        ("a short name elsewhere", of(json!([to("v1", 100)]), elsewhere.clone()), false),
        ("a full name elsewhere", of(full, elsewhere), true),
        ("a route for nobody", of(json!([to("v1", 100)]), json!({"spec": {"exportTo": ["~"]}})), false),
        (
            "a route that is going",
            of(json!([to("v1", 100)]), json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
            false,
        ),
    ];
    for (name, objects, refused) in cases {
        assert_eq!(is_refused(&objects), refused, "{name}");
    }
    assert!(!is_refused(&[rule(json!({}))]), "no route names it");
    assert!(!is_refused(&[route(json!([to("v1", 100)]), json!({}))]), "no DestinationRule defines it");
}

#[test]
fn a_destination_rule_counts_as_the_mesh_applies_it() {
    let all = || route(json!([to("v1", 100)]), json!({}));
    let only = |patch: Value| [all(), rule(patch)];
    let labels = |labels: Value| json!({"spec": {"subsets": [{"name": "v1", "labels": labels, "trafficPolicy": {}}]}});
    let named = |name: &str| json!({"metadata": {"name": name}});
    let same = |patch: Value| {
        let mut rule = rule(named("second"));
        merge(&mut rule, json!({"metadata": {"creationTimestamp": "2026-02-01T00:00:00Z"}}));
        merge(&mut rule, patch);
        rule
    };
    let wide = || rule(json!({"spec": {"host": "*.shop.svc.cluster.local"}}));
    let of_app = labels(json!({"app": "web"}));
    let old = json!({"metadata": {"creationTimestamp": "2025-01-01T00:00:00Z"}});
    let mut older_of_app = of_app.clone();
    merge(&mut older_of_app, old);
    let mut for_some = older_of_app.clone();
    merge(&mut for_some, json!({"spec": {"workloadSelector": {"matchLabels": {"app": "front"}}}}));
    let elsewhere = json!({"metadata": {"namespace": "front"}, "spec": {"host": "web.shop.svc.cluster.local"}});
    let cases: Vec<(&str, Vec<Value>, bool)> = vec![
        ("without labels it is all pods", only(labels(json!(null))).to_vec(), false),
        ("a label that stays", only(of_app.clone()).to_vec(), false),
        (
            "with a label of the node",
            only(labels(json!({"version": "v1", "topology.istio.io/cluster": "a"}))).to_vec(),
            true,
        ),
        ("with a label that the base lacks", only(labels(json!({"version": "v1", "tier": "a"}))).to_vec(), false),
        ("a wildcard", vec![all(), wide()], true),
        ("of another namespace", only(elsewhere).to_vec(), true),
        ("a short name of another namespace", only(json!({"metadata": {"namespace": "front"}})).to_vec(), false),
        ("for nobody", only(json!({"spec": {"exportTo": ["~"]}})).to_vec(), false),
        ("an older one goes before it", vec![all(), rule(json!({})), same(older_of_app)], false),
        ("a younger one does not", vec![all(), rule(json!({})), same(of_app.clone())], true),
        ("nor one for some clients", vec![all(), rule(json!({})), same(for_some)], true),
        ("an exact host goes before a wildcard", vec![all(), wide(), same(of_app)], false),
        ("also one without subsets", vec![all(), wide(), same(json!({"spec": {"subsets": null}}))], false),
    ];
    for (name, objects, refused) in cases {
        assert_eq!(is_refused(&objects), refused, "{name}");
    }
}

/// An admission webhook may add the label; only the dry run shows it.
#[test]
fn what_a_webhook_adds_counts() {
    let objects = [rule(json!({})), route(json!([to("v1", 100)]), json!({}))];
    let mut seen = seen("Validating", of_source("kanary-service"), json!({}), json!({"app": "web"}), &objects);
    assert!(lookup(&seen).is_some(), "a dry run is made");
    let mut shown = dry_run(&seen, Ok(promoted("hash-of-v2")));
    let labels = [("app", "web"), ("version", "v1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    shown.outcome = Ok(PodTemplate { labels: labels.into(), ..promoted("hash-of-v2") });
    seen.dry_run = Some(shown);
    assert_eq!(stalled(&seen).0, "");
}

/// With these destinations of the route to production, the message of `Traffic`, and the warning.
fn told(source: &str, destinations: Value, of_template: Value) -> (String, Option<String>) {
    let mut spec = of_source(source);
    merge(&mut spec, json!({"validation": {"noUpdate": true}}));
    let objects = [rule(json!({})), route(destinations, json!({}))];
    let mut seen = seen("Validating", spec, json!({}), of_template, &objects);
    seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({"kanary.k8s.io/production-labels": "app"}))];
    let withheld = kanary::canary::withhold(&seen);
    let traffic = kanary::traffic::Traffic::of(&seen, &withheld).status().why.message.clone();
    (traffic, kanary::traffic::excluding_subset(&seen, &withheld))
}

#[test]
fn a_canary_that_no_request_of_a_route_reaches_is_told() {
    let v2 = || json!({"app": "web", "version": "v2"});
    let (traffic, warning) = told("service", json!([to("v1", 100)]), v2());
    let warning = warning.expect("it is a warning");
    assert!(
        traffic.contains("Service web sends requests to the canary; but ") && traffic.contains(&warning),
        "{traffic}"
    );
    for part in ["VirtualService web, route all", "subset v1 of DestinationRule web", "version=v1"] {
        assert!(warning.contains(part), "{warning}");
    }
    assert!(told("both", json!([to("v1", 0), to("v1", 100)]), v2()).1.is_some());
    for (name, source, destinations, labels) in [
        ("it is in the subset", "service", json!([to("v2", 100)]), v2()),
        ("it is in one of two", "service", json!([to("v1", 90), to("v2", 10)]), v2()),
        ("some go to all pods", "service", json!([to("v1", 90), {"destination": {"host": "web"}, "weight": 10}]), v2()),
        ("its version stays", "service", json!([to("v1", 100)]), json!({"app": "web", "version": "v1"})),
        ("nobody defines the subset", "service", json!([to("v3", 100)]), v2()),
        ("it is not in production", "kanary-service", json!([to("v1", 100)]), v2()),
    ] {
        let (traffic, warning) = told(source, destinations, labels);
        assert!(warning.is_none() && !traffic.contains("; but"), "{name}: {traffic}");
    }
}
