//! Whatever JSON an API server holds, put into one object of a list or of a watch event: the list is read, and that object is
//! either read or named as one that cannot be. What is decided on it never panics.

#![allow(clippy::expect_used)]

use std::sync::Arc;

use kanary::{
    api::KanaryDeployment,
    decision::{Observed, Routes, Subsets},
    lifecycle,
    objects::{
        Autoscaler, Deployment, DestinationRule, EndpointSlice, HTTPRoute, Listed, Object, Pod, PodSelector, RawObject,
        Readable, Reading, Service, VirtualService,
    },
};
use kube::core::{ObjectList, WatchEvent};
use proptest::prelude::*;
use serde_json::{Value, json};

fn metadata(name: &str) -> Value {
    json!({
        "name": name, "namespace": "shop", "uid": format!("uid-of-{name}"), "resourceVersion": "7", "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "web", "kanary.k8s.io/canary": "try"},
        "annotations": {"deployment.kubernetes.io/revision": "3", "kanary.k8s.io/withheld-labels": "app"},
        "finalizers": ["kanary.k8s.io/mirror"],
        "ownerReferences": [{"apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "name": "try",
            "uid": "uid-of-try", "controller": true, "blockOwnerDeletion": true}],
        "managedFields": [{"manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}, "f:http": {}}}}],
    })
}

fn pod_template() -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:2",
        "ports": [{"containerPort": 8080}]}]}})
}

/// A real object of each kind that is watched.
fn real(kind: &str) -> Value {
    let mut object = match kind {
        "KanaryDeployment" => json!({
            "spec": {"deploymentName": "web", "serviceName": "web", "schedule": "2026-01-01T00:00:00Z", "runID": "1",
                "template": {"metadata": {"name": "web"}, "spec": {"replicas": 2, "template": pod_template()}},
                "scale": {"hpa": {"minReplicas": 1, "maxReplicas": 3, "metrics": []}},
                "traffic": {"source": "mirror", "mirror": {"percentage": 50, "virtualService": {"name": "web"}}},
                "validation": {"initialDelay": "10s", "validationPeriod": "15m", "items": [
                    {"name": "labels", "labelWatch": {"podInvalidationLabels": {"bad": "yes"}}},
                    {"name": "errors", "promQL": {"query": "sum(rate(errors[1m]))", "valueInRange": {"max": 0.1}}}]}},
            "status": {"phase": "Validating", "run": 1, "templateHash": "1", "startedAt": "2026-01-01T00:00:00Z", "held": "3s",
                "base": {"name": "web", "uid": "uid-of-web", "templateHash": "2", "revision": "3"},
                "canary": {"deployment": "try-kanary", "routes": ["VirtualService/web"], "replicas": 1},
                "conditions": [{"type": "Ready", "status": "False", "reason": "Validating", "message": "so far",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "items": [{"name": "labels", "kind": "labelWatch", "verdict": "Unknown"}]},
        }),
        "Deployment" => json!({
            "spec": {"replicas": 2, "paused": false, "selector": {"matchLabels": {"app": "web"}, "matchExpressions":
                [{"key": "track", "operator": "NotIn", "values": ["canary"]}]}, "template": pod_template()},
            "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "conditions":
                [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "it is done"}]},
        }),
        "Pod" => json!({
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
                {"type": "PodScheduled", "status": "True"}], "initContainerStatuses": [],
                "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}]},
        }),
        "Service" => json!({
            "spec": {"type": "ClusterIP", "selector": {"app": "web"}, "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30000}]},
        }),
        "HorizontalPodAutoscaler" => json!({
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3},
        }),
        "EndpointSlice" => json!({
            "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "web-1"}}],
        }),
        "NetworkPolicy" => json!({"spec": {"podSelector": {"matchLabels": {"app": "web"}}}}),
        "VirtualService" => json!({
            "spec": {"hosts": ["web"], "gateways": ["mesh"], "http": [{"name": "all", "match": [{"uri": {"prefix": "/"}}],
                "route": [{"destination": {"host": "web", "subset": "v1", "port": {"number": 80}}, "weight": 100}],
                "mirrors": [{"destination": {"host": "try-kanary"}, "percentage": {"value": 50}}]}]},
        }),
        "DestinationRule" => json!({
            "spec": {"host": "web", "exportTo": ["*"], "subsets": [{"name": "v1", "labels": {"app": "web"}}]},
        }),
        _ => json!({
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "web"}], "hostnames": ["web"], "rules":
                [{"name": "all", "matches": [{"method": "GET"}], "backendRefs": [{"name": "web", "port": 80, "weight": 1}],
                    "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "try-kanary"}}}]}]},
            "status": {"parents": [{"parentRef": {"name": "web"}, "controllerName": "istio.io/gateway-controller",
                "conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 3}]}]},
        }),
    };
    let name = if kind == "KanaryDeployment" { "try" } else { "web" };
    object["kind"] = json!(kind);
    object["metadata"] = metadata(name);
    object
}

/// What is not expected anywhere: times and numbers out of range, nulls, wrong types, depth.
fn oddity() -> impl Strategy<Value = Value> {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(3_000_000_000_u64),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("9999-12-31T23:59:59Z"),
        json!("10000-01-01T00:00:00Z"),
        json!("x".repeat(100_000)),
        json!("\u{0}\u{fffd}🦀/"),
        json!([]),
        json!([null]),
        json!([[]]),
        json!({}),
        json!({"": null}),
        json!([{"name": 3, "time": "9999-12-31T23:59:59Z", "fieldsV1": {"f:spec": null}}]),
        deep,
    ];
    prop_oneof![
        prop::sample::select(odd.to_vec()),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from)
    ]
}

/// JSON pointers to everything in it.
fn places(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| self::places(value, &format!("{at}/{}", escaped(key)), places));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| self::places(value, &format!("{at}/{n}"), places));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces what is at some of its places.
fn mutated(mut object: Value, mutations: &[(prop::sample::Index, Value)]) -> Value {
    for (index, oddity) in mutations {
        let mut all = Vec::new();
        places(&object, "", &mut all);
        // Names and versions are the API server's own.
        let is_free = |place: &String| {
            !["", "/metadata", "/metadata/name", "/metadata/namespace", "/metadata/uid", "/metadata/resourceVersion"]
                .contains(&place.as_str())
        };
        all.retain(is_free);
        if let Some(place) = object.pointer_mut(index.get(all.as_slice()).as_str()) {
            *place = oddity.clone();
        }
    }
    object
}

/// The list as the API server sends it, with that object between two that are as they should be.
fn list_of<K: Readable>(kind: &str, odd: &Value) -> Vec<Reading<K>> {
    let mut others = [real(kind), real(kind)];
    for (other, name) in others.iter_mut().zip(["before", "after"]) {
        other["metadata"]["name"] = json!(name);
    }
    let [before, after] = others;
    let list = json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": {"resourceVersion": "9"},
        "items": [before, odd, after]});
    let list: ObjectList<RawObject<K>> =
        serde_json::from_str(&list.to_string()).expect("a list is read, whatever is in it");
    // The type comes first, on every API server.
    let event = format!("{{\"type\":\"MODIFIED\",\"object\":{odd}}}");
    let event: WatchEvent<RawObject<K>> = serde_json::from_str(&event).expect("and so is an event");
    assert!(matches!(event, WatchEvent::Modified(_)));
    list.items.iter().map(|raw| raw.read(kind, None)).collect()
}

/// Either it is read, or it is named with a field. The others are read.
fn check<K: Readable + std::fmt::Debug>(kind: &str, odd: &Value) -> Option<Arc<K>> {
    let [before, reading, after]: [Reading<K>; 3] = list_of::<K>(kind, odd).try_into().expect("three objects");
    for (other, name) in [(&before, "before"), (&after, "after")] {
        assert_eq!((other.object.name(), &other.unreadable), (name, &None));
    }
    let name = odd["metadata"]["name"].as_str().unwrap_or_default();
    assert_eq!((reading.object.namespace(), reading.object.name()), ("shop", name), "it is known which one");
    if let Some(why) = &reading.unreadable {
        assert_eq!((&*why.kind, &*why.namespace, &*why.name), (kind, "shop", name));
        assert!(!why.field.is_empty() && !why.error.is_empty(), "{why:?}");
        assert!(why.to_string().len() < 2_000, "what is quoted has a bound");
        return None;
    }
    let mut object = reading.object;
    object.prune();
    Some(Arc::new(object))
}

/// A run in the middle of everything, in which one object is odd.
fn run() -> Observed {
    let object = |kind: &str| real(kind);
    let now = "2026-01-01T00:01:00Z".parse().expect("a time");
    let mut seen = Observed::around(check("KanaryDeployment", &object("KanaryDeployment")).expect("it is real"), now);
    seen.base = check("Deployment", &object("Deployment"));
    seen.canary = seen.base.clone();
    seen.pods.extend(check::<Pod>("Pod", &object("Pod")));
    seen.services.extend(check::<Service>("Service", &object("Service")));
    seen.autoscalers.extend(check::<Autoscaler>("HorizontalPodAutoscaler", &object("HorizontalPodAutoscaler")));
    seen.routes = Routes {
        domain: "cluster.local".into(),
        virtual_services: Listed::All(check("VirtualService", &object("VirtualService")).into_iter().collect()),
        http_routes: Listed::All(check("HTTPRoute", &object("HTTPRoute")).into_iter().collect()),
        is_fresh: true,
    };
    seen.subsets = Subsets {
        domain: "cluster.local".into(),
        destination_rules: check("DestinationRule", &object("DestinationRule")).into_iter().collect(),
        virtual_services: check("VirtualService", &object("VirtualService")).into_iter().collect(),
    };
    seen
}

/// Whatever is read is decided on, in every phase, without a panic.
fn decide(seen: &Observed) {
    for phase in ["Scheduled", "Starting", "Validating", "Promoting", "Failing", "Succeeded", "Failed"] {
        let mut seen = seen.clone();
        let kanary = Arc::make_mut(&mut seen.kanary);
        let status = kanary.status.get_or_insert_default();
        status.phase = serde_json::from_value(json!(phase)).expect("a phase");
        status.template_hash = Some(kanary.spec.template.hash().to_owned());
        status.run_id = kanary.spec.run_id.clone();
        drop((lifecycle::lookup(&seen), lifecycle::due_queries(&seen), lifecycle::plan(&seen)));
    }
}

fn one_odd(kind: &'static str, odd: &Value) {
    let mut seen = run();
    match kind {
        "KanaryDeployment" => {
            if let Some(kanary) = check::<KanaryDeployment>(kind, odd) {
                seen.kanary = kanary;
            }
        }
        "Deployment" => (seen.base, seen.canary) = (check(kind, odd), check(kind, odd)),
        "Pod" => seen.pods = check(kind, odd).into_iter().collect(),
        "Service" => seen.services = check(kind, odd).into_iter().collect(),
        "HorizontalPodAutoscaler" => seen.autoscalers = check(kind, odd).into_iter().collect(),
        "EndpointSlice" => seen.endpoints = check::<EndpointSlice>(kind, odd).map(|slice| slice.pods.0.clone()),
        "NetworkPolicy" => seen.pod_selectors = check::<PodSelector>(kind, odd).into_iter().collect(),
        "DestinationRule" => {
            let rules = check::<DestinationRule>(kind, odd);
            seen.subsets.destination_rules = rules.into_iter().collect();
        }
        "VirtualService" => {
            seen.subsets.virtual_services = check::<VirtualService>(kind, odd).into_iter().collect();
            seen.routes.virtual_services = Listed::All(check::<VirtualService>(kind, odd).into_iter().collect());
        }
        _ => seen.routes.http_routes = Listed::All(check::<HTTPRoute>(kind, odd).into_iter().collect()),
    }
    decide(&seen);
}

fn kind() -> impl Strategy<Value = &'static str> {
    let kinds = [
        "KanaryDeployment",
        "Deployment",
        "Pod",
        "Service",
        "HorizontalPodAutoscaler",
        "EndpointSlice",
        "NetworkPolicy",
        "VirtualService",
        "DestinationRule",
        "HTTPRoute",
    ];
    prop::sample::select(kinds.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_odd_object_is_one_odd_object(
        kind in kind(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), oddity()), 1..4),
    ) {
        one_odd(kind, &mutated(real(kind), &mutations));
    }
}

/// At each place, one after the other: chance must not be needed to find one.
#[test]
fn a_time_out_of_range_anywhere_spoils_no_list() {
    for kind in ["KanaryDeployment", "Deployment", "Pod", "Service", "VirtualService", "HTTPRoute"] {
        let object = real(kind);
        let mut all = Vec::new();
        places(&object, "", &mut all);
        for place in all.iter().filter(|place| place.matches('/').count() > 1) {
            let mut odd = object.clone();
            let is_identity =
                ["name", "namespace", "uid", "resourceVersion"].iter().any(|key| *place == format!("/metadata/{key}"));
            if !is_identity && let Some(at) = odd.pointer_mut(place) {
                *at = json!("9999-12-31T23:59:59Z");
                one_odd_is_named(kind, &odd);
            }
        }
    }
}

fn one_odd_is_named(kind: &str, odd: &Value) {
    match kind {
        "KanaryDeployment" => drop(check::<KanaryDeployment>(kind, odd)),
        "Deployment" => drop(check::<Deployment>(kind, odd)),
        "Pod" => drop(check::<Pod>(kind, odd)),
        "Service" => drop(check::<Service>(kind, odd)),
        "VirtualService" => drop(check::<VirtualService>(kind, odd)),
        _ => drop(check::<HTTPRoute>(kind, odd)),
    }
}

/// What an API server accepts in the metadata of any object makes none of them unreadable.
#[test]
fn metadata_never_makes_an_object_unreadable() {
    let tampered = [
        ("/metadata/managedFields/0/time", json!("9999-12-31T23:59:59Z")),
        (
            "/metadata/managedFields/0/fieldsV1",
            json!({"f:spec": {"f:template": (0..200).fold(json!(1), |inner, _| json!([inner]))}}),
        ),
        ("/metadata/managedFields/0", json!(null)),
        ("/metadata/deletionTimestamp", json!("11500-01-01T00:00:00Z")),
        ("/metadata/creationTimestamp", json!("99999-01-01T00:00:00Z")),
    ];
    for (place, value) in tampered {
        let tamper = |kind: &str| {
            let mut object = real(kind);
            object["metadata"]["deletionTimestamp"] = json!(null);
            *object.pointer_mut(place).expect("it is there") = value.clone();
            object
        };
        assert!(check::<KanaryDeployment>("KanaryDeployment", &tamper("KanaryDeployment")).is_some(), "{place}");
        assert!(check::<Service>("Service", &tamper("Service")).is_some(), "{place}");
        assert!(
            check::<Autoscaler>("HorizontalPodAutoscaler", &tamper("HorizontalPodAutoscaler")).is_some(),
            "{place}"
        );
        assert!(check::<VirtualService>("VirtualService", &tamper("VirtualService")).is_some(), "{place}");
        assert!(check::<HTTPRoute>("HTTPRoute", &tamper("HTTPRoute")).is_some(), "{place}");
        assert!(check::<Deployment>("Deployment", &tamper("Deployment")).is_some(), "{place}");
        let pod = check::<Pod>("Pod", &tamper("Pod")).expect(place);
        assert_eq!(pod.is_terminating(), place.ends_with("deletionTimestamp"), "{place}");
    }
}
