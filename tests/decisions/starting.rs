//! Before there is anything to judge: the base is recorded and pinned, and what a restart finds is put where it belongs.

use kanary::{
    decision::{Action, DryRun, Kind, Lookup, Observed, Plan},
    lifecycle::{lookup, plan},
    objects::Object,
};
use serde_json::{Value, json};

use crate::given::{
    at, autoscaler, base, dry_run, merge, observed, pod, pod_of, promoted, service, status, with_canary,
};

const IN: &str = "kanary.k8s.io/production-labels";

fn kinds(plan: &Plan) -> Vec<(&'static str, Kind)> {
    let word = |action: &Action| match action {
        Action::Create { .. } => "create",
        Action::CreateBase { .. } => "create the base",
        Action::Patch { .. } => "patch",
        Action::Promote { .. } => "promote",
        Action::Delete { .. } => "delete",
    };
    plan.actions.iter().map(|action| (word(action), action.target().kind)).collect()
}

fn told(plan: &Plan, path: &str) -> Value {
    let status = plan.status.as_ref().map(|tell| json!(tell.status)).unwrap_or_default();
    status.pointer(path).cloned().unwrap_or_default()
}

/// The status of a run that has not pinned its base.
fn unpinned(spec: &Value, more: Value) -> Value {
    let mut status = status(spec, "Starting", more);
    status["base"] = json!({"name": "web", "uid": "base-uid"});
    status
}

fn refused(seen: &mut Observed) {
    seen.dry_run = Some(dry_run(seen, Err("the selector is immutable".into())));
}

#[test]
fn a_restart_that_waits_for_its_time_takes_the_canary_away() {
    let spec = json!({"schedule": at(3600).to_string(), "traffic": {"source": "service"}});
    let mut seen = with_canary(observed(spec.clone(), status(&spec, "Scheduled", json!({}))));
    seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({IN: "app"}))];
    assert_eq!(kinds(&plan(&seen)), [("patch", Kind::Pod)], "out of production first");
    seen.pods = vec![pod("a", json!({}), true, json!({IN: ""}))];
    assert_eq!(kinds(&plan(&seen)), [("delete", Kind::Deployment)]);
    (seen.canary, seen.pods) = (None, Vec::new());
    assert_eq!(kinds(&plan(&seen)), [], "and then it waits");
}

#[test]
fn a_restart_that_is_not_pinned_follows_the_source() {
    let moves = |source: &str, pods| {
        let spec = json!({"traffic": {"source": source}});
        let mut seen = with_canary(observed(spec.clone(), unpinned(&spec, json!({}))));
        refused(&mut seen);
        seen.pods = pods;
        kinds(&plan(&seen))
    };
    let inside = || vec![pod("a", json!({"app": "web"}), true, json!({IN: "app"}))];
    let outside = || vec![pod("a", json!({}), true, json!({}))];
    assert_eq!(moves("none", inside()), [("patch", Kind::Pod)], "out, though the new template is refused");
    let of_this_run = pod_of(
        json!({"name": "a", "creationTimestamp": at(1).to_string()}),
        json!({"app": "web"}),
        true,
        json!({IN: "app"}),
    );
    assert_eq!(moves("service", vec![of_this_run]), [], "what is in stays in");
    let of_the_run_before = pod_of(
        json!({"name": "a", "creationTimestamp": at(-60).to_string()}),
        json!({"app": "web"}),
        true,
        json!({IN: "app"}),
    );
    assert_eq!(moves("service", vec![of_the_run_before]), [("patch", Kind::Pod)], "nobody evaluates it any more");
    assert_eq!(moves("service", outside()), [], "but nothing of the run before joins");
}

/// One edit brings another template and gives it traffic: users must not meet the template that it replaces.
#[test]
fn pods_of_the_run_before_do_not_join_while_the_new_ones_start() {
    let moves = |available: bool, created: i64| {
        let spec = json!({"traffic": {"source": "service"}});
        let mut seen = with_canary(observed(spec.clone(), status(&spec, "Starting", json!({}))));
        let mut canary = json!(seen.canary);
        canary["status"]["updatedReplicas"] = json!(i32::from(available));
        seen.canary = Some(std::sync::Arc::new(serde_json::from_value(canary).expect("a Deployment")));
        let pod = |name: &str, seconds: i64, labels, annotations| {
            pod_of(json!({"name": name, "creationTimestamp": at(seconds).to_string()}), labels, true, annotations)
        };
        seen.pods = vec![pod("a", created, json!({}), json!({}))];
        kinds(&plan(&seen))
    };
    assert_eq!(moves(false, -60), [], "it waits");
    assert_eq!(moves(false, 1), [("patch", Kind::Pod)], "one of the new template joins");
    assert_eq!(moves(true, -60), [("patch", Kind::Pod)], "a template may leave the pods as they are");
}

#[test]
fn a_base_is_not_created_for_a_resource_that_is_refused() {
    let create = |spec: Value| {
        let mut status = status(&spec, "Starting", json!({}));
        status["base"] = Value::Null;
        let mut seen = observed(spec, status);
        seen.base = None;
        kinds(&plan(&seen))
    };
    assert_eq!(create(json!({})), [("create the base", Kind::Deployment)]);
    let elsewhere = json!({"template": {"metadata": {"namespace": "other"}}});
    assert_eq!(create(elsewhere), []);
    let senseless = json!({"validation": {"items": [{"promQL": {"query": "up =="}}]}});
    assert_eq!(create(senseless), []);
}

#[test]
fn a_base_that_was_seen_is_not_created_again() {
    let mut first = observed(json!({}), Value::Null);
    refused(&mut first);
    assert_eq!(told(&plan(&first), "/base"), json!({"name": "web", "uid": "base-uid", "created": false}));
    let mut gone = observed(json!({}), unpinned(&json!({}), json!({})));
    gone.base = None;
    let plan = plan(&gone);
    assert_eq!((kinds(&plan), told(&plan, "/phase")), (vec![], json!("Failing")));
    assert_eq!(told(&plan, "/message"), "Deployment web was deleted");
}

/// A canary may wait in Starting for hours, for copies of requests or for a Service.
#[test]
fn it_is_stuck_only_if_it_was_not_available_for_so_long() {
    let after = |since: Option<i64>, now: i64, absences: Value| {
        let since = since.map(|since| at(since).to_string());
        let canary = json!({"canary": {"deployment": "try-kanary", "unavailableSince": since}});
        let mut seen = with_canary(observed(json!({}), status(&json!({}), "Starting", canary)));
        let mut canary = json!(seen.canary);
        canary["status"]["availableReplicas"] = json!(0);
        seen.canary = Some(std::sync::Arc::new(serde_json::from_value(canary).expect("a Deployment")));
        seen.absences = serde_json::from_value(absences).expect("absences");
        seen.now = at(now);
        let plan = plan(&seen);
        (told(&plan, "/phase"), plan.requeue_at)
    };
    let none = || json!([]);
    assert_eq!(after(None, 9000, none()), (json!("Starting"), Some(at(9600))), "it counts from now");
    assert_eq!(after(Some(9000), 9599, none()).0, "Starting");
    assert_eq!(after(Some(9000), 9600, none()).0, "Failing");
    let away = json!([{"from": at(9001).to_string(), "until": at(9500).to_string()}]);
    assert_eq!(
        after(Some(9000), 9600, away),
        (json!("Starting"), Some(at(10_100))),
        "nobody saw what it did meanwhile"
    );
}

#[test]
fn a_canary_that_is_stuck_names_the_pod() {
    let since = json!({"canary": {"deployment": "try-kanary", "unavailableSince": at(0).to_string()}});
    let mut seen = with_canary(observed(json!({}), status(&json!({}), "Starting", since)));
    let mut canary = json!(seen.canary);
    canary["status"]["availableReplicas"] = json!(0);
    seen.canary = Some(std::sync::Arc::new(serde_json::from_value(canary).expect("a Deployment")));
    let mut unready = json!(pod("try-kanary-1", json!({}), false, json!({})));
    unready["status"] = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]});
    seen.pods = vec![std::sync::Arc::new(serde_json::from_value(unready).expect("a pod"))];
    seen.now = at(600);
    let message = told(&plan(&seen), "/message");
    let named = message.as_str().is_some_and(|message| message.ends_with("pod try-kanary-1: ContainersNotReady"));
    assert!(named, "{message}");
}

#[test]
fn another_canary_is_no_base() {
    let mut seen = observed(json!({}), Value::Null);
    let owner = json!({"apiVersion": "v1", "kind": "KanaryDeployment", "name": "web-trial", "uid": "other", "controller": true});
    seen.base = Some(base(json!({"metadata": {"ownerReferences": [owner]}})));
    refused(&mut seen);
    let plan = plan(&seen);
    let message = told(&plan, "/message");
    assert!(
        message.as_str().is_some_and(|message| message.contains("canary of KanaryDeployment web-trial")),
        "{message}"
    );
    assert_eq!(kinds(&plan), []);
}

#[test]
fn who_waits_for_its_time_is_told_what_will_be_in_its_way() {
    let query = json!({"prometheus": {"url": "http://p:9090"}, "query": "errors < 0.01"});
    let spec = json!({"schedule": at(3600).to_string(), "validation": {"items": [{"promQL": query}]}});
    let plan = plan(&observed(spec.clone(), status(&spec, "Scheduled", json!({}))));
    let message = told(&plan, "/message");
    assert!(message.as_str().is_some_and(|message| message.contains("errors < bool 0.01")), "{message}");
}

/// Each run changes who is affected: the next one warns as the first one did.
#[test]
fn every_run_warns_of_who_counts_its_pods() {
    let reasons = |before: Value| {
        let spec = json!({"traffic": {"source": "service"}});
        let mut seen = observed(spec, before);
        refused(&mut seen);
        seen.dry_run = seen.dry_run.map(|dry_run| DryRun { outcome: Ok(promoted("hash-of-v2")), ..dry_run });
        seen.autoscalers = vec![autoscaler("web", "web")];
        let notices = plan(&seen).status.expect("something to tell").notices;
        notices.into_iter().map(|notice| notice.reason.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(reasons(Value::Null), ["Started", "BaseHPACountsCanary"]);
    let over = status(&json!({}), "Succeeded", json!({"templateHash": "of another template"}));
    assert_eq!(reasons(over), ["Started", "BaseHPACountsCanary"]);
}

#[test]
fn that_the_base_was_created_is_said_once_in_whichever_run() {
    let reasons = |recorded: Value, run: i64| {
        let mut before = status(&json!({}), "Starting", json!({"run": run}));
        before["base"] = recorded;
        let mut seen = observed(json!({}), before);
        seen.base = Some(base(json!({"metadata": {"annotations": {"kanary.k8s.io/created-by": crate::given::UID}}})));
        let notices = plan(&seen).status.map(|tell| tell.notices).unwrap_or_default();
        notices.into_iter().map(|notice| notice.reason.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(reasons(Value::Null, 2), ["BaseCreated"]);
    assert_eq!(reasons(json!({"name": "web", "uid": "base-uid", "created": true}), 3), [""; 0]);
}

#[test]
fn a_promotion_that_was_not_to_be_is_rehearsed_when_it_is_to_be_after_all() {
    let pinned = |phase: &str| status(&json!({}), phase, json!({"base": {"promotedHash": null}}));
    for phase in ["Starting", "Validating"] {
        let mut seen = with_canary(observed(json!({}), pinned(phase)));
        assert!(matches!(lookup(&seen), Some(Lookup::DryRunPromotion { .. })), "{phase}");
        refused(&mut seen);
        let refusal = plan(&seen);
        assert_eq!(told(&refusal, "/phase"), phase, "it goes no further");
        let errored = told(&refusal, "/conditions").as_array().cloned().unwrap_or_default();
        assert!(errored.iter().any(|c| c["reason"] == "PromotionRefused"), "{phase}: {errored:?}");
        assert!(refusal.requeue_at.is_some_and(|wake| wake > seen.now), "{phase}: it does not spin");
        let agreed = |dry_run: DryRun| DryRun { outcome: Ok(promoted("hash-of-v2")), ..dry_run };
        seen.dry_run = seen.dry_run.map(agreed);
        assert_eq!(told(&plan(&seen), "/base/promotedHash"), "hash-of-v2", "{phase}");
    }
    let mut left_alone = with_canary(observed(json!({"validation": {"noUpdate": true}}), pinned("Starting")));
    assert!(lookup(&left_alone).is_none());
    refused(&mut left_alone);
    assert_eq!(told(&plan(&left_alone), "/phase"), "Validating");
}

#[test]
fn a_revision_counts_once_the_base_has_pods_of_its_template() {
    let revision = |more: Value| {
        let mut seen = observed(json!({}), unpinned(&json!({}), json!({})));
        refused(&mut seen);
        seen.dry_run = seen.dry_run.map(|dry_run| DryRun { outcome: Ok(promoted("hash-of-v2")), ..dry_run });
        seen.base = Some(base(more));
        assert!(!seen.base.as_ref().expect("a base").uid().is_empty());
        told(&plan(&seen), "/base/revision")
    };
    assert_eq!(revision(json!({})), "1");
    assert_eq!(revision(json!({"status": {"updatedReplicas": 0}})), Value::Null, "it is about to move");
}

/// The events of a run that begins with this template, beside these Services.
fn warned(spec: Value, base_patch: Value, services: &[(&str, Value)]) -> Vec<(String, String)> {
    let mut seen = observed(spec.clone(), unpinned(&spec, json!({})));
    seen.base = Some(base(base_patch));
    seen.services.extend(services.iter().map(|(name, spec)| service(name, spec.clone())));
    seen.dry_run = Some(dry_run(&seen, Ok(promoted("hash-of-v2"))));
    let notices = plan(&seen).status.map(|update| update.notices).unwrap_or_default();
    notices.into_iter().filter(|notice| notice.warning).map(|n| (n.reason.to_string(), n.note)).collect()
}

#[test]
fn a_run_warns_of_what_a_canary_beside_the_base_breaks() {
    let pod = |spec: Value| json!({"template": {"spec": {"template": {"spec": spec}}}});
    let claim = |read_only: bool| {
        pod(json!({"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data", "readOnly": read_only}}]}))
    };
    let reads = |key: &str| {
        let path = format!("metadata.labels['{key}']");
        let variable = json!({"name": "N", "valueFrom": {"fieldRef": {"fieldPath": path}}});
        pod(json!({"containers": [{"name": "c", "image": "v2", "env": [variable]}]}))
    };
    let recreate = json!({"template": {"spec": {"strategy": {"type": "Recreate"}}}});
    let folder = |host: Value, mount: Value| {
        let mut mounted = json!({"name": "d", "mountPath": "/d"});
        merge(&mut mounted, mount);
        let container = json!({"name": "c", "image": "v2", "volumeMounts": [mounted]});
        pod(json!({"volumes": [{"name": "d", "hostPath": host}], "containers": [container]}))
    };
    let by = |key: &str| json!({"matchLabels": {key: "web"}});
    let spread = |key: &str| {
        pod(json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "labelSelector": by(key)}]}))
    };
    let apart = |key: &str| {
        let term = json!({"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": by(key)}});
        pod(json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}}))
    };
    let mut joins = json!({"traffic": {"source": "service"}});
    let peers = [("web-peers", json!({"clusterIP": "None", "selector": {"app": "web"}}))];
    let owned = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Shop", "name": "s", "uid": "u", "controller": true}]}});
    let cases = [
        (claim(false), json!({}), &[][..], "SharesWithBase", "data"),
        (recreate, json!({}), &[], "SharesWithBase", "Recreate"),
        (reads("app"), json!({}), &[], "WithheldLabelRead", "app"),
        (joins.clone(), json!({}), &peers, "JoinsOtherServices", "web-peers"),
        (json!({}), owned, &[], "BaseManaged", "Shop s"),
        (
            pod(json!({"resourceClaims": [{"name": "g", "resourceClaimName": "gpu-1"}]})),
            json!({}),
            &[],
            "SharesWithBase",
            "gpu-1",
        ),
        (folder(json!({"path": "/data"}), json!({})), json!({}), &[], "SharesWithBase", "/data"),
        (
            spread("app"),
            json!({}),
            &[],
            "ScheduledApart",
            "topologySpreadConstraints of spec.template do not count canary pods",
        ),
        (apart("app"), json!({}), &[], "ScheduledApart", "podAntiAffinity"),
    ];
    for (spec, base, services, reason, words) in cases {
        let warned = warned(spec, base, services);
        let [(found, note)] = &warned[..] else { panic!("{reason}: {warned:?}") };
        assert!(found == reason && note.contains(words), "{reason}: {note}");
    }
    merge(&mut joins, claim(true));
    assert_eq!(warned(joins, json!({}), &[]), []);
    let quiet = [
        reads("team"),
        spread("team"),
        apart("team"),
        pod(json!({"resourceClaims": [{"name": "g", "resourceClaimTemplateName": "gpu"}]})),
        folder(json!({"path": "/data"}), json!({"readOnly": true})),
        folder(json!({"path": "/run/d.sock", "type": "Socket"}), json!({})),
        pod(json!({"readinessGates": [{"conditionType": "lb"}]})),
    ];
    for spec in quiet {
        assert_eq!(warned(spec.clone(), json!({}), &peers), [], "{spec}");
    }
}

/// What the canary gets of production's requests is not what its number of pods suggests.
#[test]
fn a_run_in_production_warns_of_what_keeps_requests_from_the_canary() {
    let gate = json!({"template": {"spec": {"template": {"spec": {"readinessGates": [{"conditionType": "lb/web"}]}}}}});
    let local =
        json!({"internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP"});
    for source in ["service", "both", "kanary-service"] {
        let mut spec = json!({"traffic": {"source": source}});
        merge(&mut spec, gate.clone());
        let mut production = json!({"selector": {"app": "web"}, "ports": [{"port": 80}]});
        merge(&mut production, local.clone());
        let mut seen = observed(spec.clone(), unpinned(&spec, json!({})));
        seen.services = vec![service("web", production)];
        seen.dry_run = Some(dry_run(&seen, Ok(promoted("hash-of-v2"))));
        let notices = plan(&seen).status.map(|update| update.notices).unwrap_or_default();
        let note =
            |reason: &str| notices.iter().find(|it| it.reason.as_str() == reason).map_or("", |it| it.note.as_str());
        let joins = source != "kanary-service";
        assert_eq!(note("ReadinessGated").contains("lb/web"), joins, "{source}: {notices:?}");
        let fields = "internalTrafficPolicy: Local, externalTrafficPolicy: Local, sessionAffinity: ClientIP";
        assert_eq!(note("UnevenTraffic").contains(fields), joins, "{source}: {notices:?}");
    }
}

/// Beside no pod at all, the canary is not one of several.
#[test]
fn a_canary_is_not_all_of_production() {
    let planned = |source: &str, replicas: i64, phase: &str| {
        let spec = json!({"traffic": {"source": source}});
        let mut seen = observed(spec.clone(), status(&spec, phase, json!({})));
        seen.base = Some(base(json!({"spec": {"replicas": replicas}})));
        if phase == "Validating" {
            seen = with_canary(seen);
            seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({IN: "app"}))];
        }
        plan(&seen)
    };
    let stalled = |plan: &Plan| told(plan, "/conditions").to_string().contains("BaseScaledToZero");
    for source in ["service", "both"] {
        let refused = planned(source, 0, "Starting");
        assert!(kinds(&refused).is_empty() && stalled(&refused), "{source}");
        assert!(!stalled(&planned(source, 1, "Starting")), "{source}");
        let meanwhile = planned(source, 0, "Validating");
        assert!(kinds(&meanwhile).is_empty() && stalled(&meanwhile), "{source}: without it no pod would answer");
        assert_eq!(told(&meanwhile, "/phase"), "Validating", "{source}");
    }
    assert!(!stalled(&planned("kanary-service", 0, "Starting")));
}

/// A typing error in the name must not put an unproven template into production.
#[test]
fn a_base_is_not_created_where_production_has_another_name() {
    let other = |name: &str, labels: Value| {
        base(json!({
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": null, "matchExpressions": [{"key": "of", "operator": "In", "values": [name]}]},
                     "template": {"metadata": {"labels": labels}}},
        }))
    };
    let selecting = base(
        json!({"metadata": {"name": "shop"}, "spec": {"template": {"metadata": {"labels": {"app": null, "x": "y"}}}}}),
    );
    let cases = [
        (other("shop", json!({})), Some("has the pods of Service web")),
        (selecting, Some("selects the pods of spec.template")),
        (other("wep", json!({"app": "other"})), Some("has almost the same name")),
        (other("payments", json!({"app": "other"})), None),
    ];
    for (neighbour, words) in cases {
        for create_base in [false, true] {
            let spec = json!({"traffic": {"source": "service"}, "createBase": create_base});
            let mut status = unpinned(&spec, json!({}));
            status.as_object_mut().expect("a status").remove("base");
            let mut seen = observed(spec, status);
            (seen.base, seen.neighbours) = (None, vec![neighbour.clone()]);
            let planned = plan(&seen);
            let message = told(&planned, "/message").to_string();
            let creates = kinds(&planned).contains(&("create the base", Kind::Deployment));
            assert_eq!(creates, create_base || words.is_none(), "{message}");
            let words = words.filter(|_| !create_base);
            assert!(words.is_none_or(|words| message.contains(words) && message.contains("createBase")), "{message}");
        }
    }
}

/// Production may be a StatefulSet.
#[test]
fn a_base_is_not_created_where_the_service_has_pods_of_another_workload() {
    let planned = |endpoints: Option<&[&str]>, create_base: bool| {
        let spec = json!({"traffic": {"source": "service"}, "createBase": create_base});
        let mut status = unpinned(&spec, json!({}));
        status.as_object_mut().expect("a status").remove("base");
        let mut seen = observed(spec, status);
        seen.base = None;
        seen.endpoints = endpoints.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        plan(&seen)
    };
    let create = [("create the base", Kind::Deployment)];
    let refused = planned(Some(&["web-0"]), false);
    assert_eq!(kinds(&refused), []);
    let message = told(&refused, "/message").to_string();
    assert!(message.contains("has pods of another workload, such as web-0"), "{message}");
    assert_eq!(kinds(&planned(None, false)), [], "it is not known yet");
    assert_eq!(kinds(&planned(Some(&[]), false)), create);
    assert_eq!(kinds(&planned(Some(&["web-0"]), true)), create, "it is meant");
    assert_eq!(kinds(&planned(None, true)), create);
}
