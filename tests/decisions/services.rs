//! The Services of production, the base, and what would be promoted belong together, or nothing is made or promoted.

use std::sync::Arc;

use kanary::{
    decision::Observed,
    lifecycle::{lookup, plan},
    objects::{Pod, PodTemplate},
};
use serde_json::{Value, json};

use crate::given::{
    base, dry_run, merge, observed, pod, promoted, relabel_template, service, stalled, status, with_canary,
};

const SOURCES: [&str; 5] = ["service", "kanary-service", "both", "mirror", "none"];

/// In this phase, with this template, the base as patched, and these Services.
fn seen(phase: &str, spec: Value, base_patch: Value, services: &[(&str, Value)]) -> Observed {
    let mut seen = with_canary(observed(spec.clone(), status(&spec, phase, json!({}))));
    let base = base(base_patch);
    let kanary = Arc::make_mut(&mut seen.kanary);
    let pinned = kanary.status.as_mut().and_then(|status| status.base.as_mut()).expect("it is pinned");
    pinned.template_hash = Some(base.spec.template.hash.clone());
    seen.base = Some(base);
    seen.services = services.iter().map(|(name, spec)| service(name, spec.clone())).collect();
    seen
}

fn selecting(selector: Value) -> Value {
    json!({"selector": selector, "ports": [{"name": "http", "port": 80}]})
}

fn of_source(source: &str) -> Value {
    json!({"traffic": {"source": source}})
}

fn relabelled(mut seen: Observed, labels: Value) -> Observed {
    relabel_template(&mut seen, labels);
    let hash = seen.kanary.spec.template.hash().to_owned();
    Arc::make_mut(&mut seen.kanary).status.as_mut().expect("a status").template_hash = Some(hash);
    seen.canary = None;
    seen.pods = Vec::new();
    seen
}

#[test]
fn a_template_that_would_leave_a_service_without_pods_is_refused_with_every_source() {
    let tiered = json!({"spec": {"template": {"metadata": {"labels": {"tier": "web"}}}}});
    let services = [("web", selecting(json!({"app": "web", "tier": "web"})))];
    for source in SOURCES {
        let seen = relabelled(seen("Starting", of_source(source), tiered.clone(), &services), json!({"app": "web"}));
        let (reason, message, writes) = stalled(&seen);
        assert_eq!((reason.as_str(), writes), ("ServiceLosesPods", vec![]), "{source}");
        assert!(message.contains("tier=web") && message.contains("Service web"), "{message}");
    }
    // Another Service than the named one loses its pods as well.
    let other = [("web", selecting(json!({"app": "web"}))), ("web-front", selecting(json!({"tier": "web"})))];
    let seen = relabelled(seen("Starting", of_source("none"), tiered.clone(), &other), json!({"app": "web"}));
    assert!(stalled(&seen).1.contains("Service web-front"), "{:?}", stalled(&seen));
    // Without a promotion nothing is lost.
    let mut spec = of_source("none");
    merge(&mut spec, json!({"validation": {"noUpdate": true}}));
    let unchanged = relabelled(self::seen("Starting", spec, tiered, &other), json!({"app": "web"}));
    assert_eq!(stalled(&unchanged).0, "");
}

#[test]
fn a_label_with_another_value_is_a_label_that_is_lost() {
    let versioned = json!({"spec": {"template": {"metadata": {"labels": {"version": "v1"}}}}});
    let services = [("web", selecting(json!({"app": "web", "version": "v1"})))];
    let seen = seen("Starting", of_source("kanary-service"), versioned, &services);
    let seen = relabelled(seen, json!({"app": "web", "version": "v2"}));
    let (reason, message, _) = stalled(&seen);
    assert_eq!(reason, "ServiceLosesPods");
    assert!(message.contains("version=v1"), "{message}");
}

/// An admission webhook may add the label; only the dry run shows it, and a restarted controller makes it again.
#[test]
fn what_a_webhook_adds_counts() {
    let tiered = json!({"spec": {"template": {"metadata": {"labels": {"tier": "web"}}}}});
    let services = [("web", selecting(json!({"app": "web", "tier": "web"})))];
    let mut seen =
        relabelled(seen("Validating", of_source("kanary-service"), tiered, &services), json!({"app": "web"}));
    assert!(lookup(&seen).is_some(), "a dry run is made, although one was made before the pin");
    let mut shown = dry_run(&seen, Ok(promoted("hash-of-v2")));
    seen.dry_run = Some(shown.clone());
    assert_eq!(stalled(&seen).0, "ServiceLosesPods");
    let labels = [("app", "web"), ("tier", "web")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    shown.outcome = Ok(PodTemplate { labels: labels.into(), ..promoted("hash-of-v2") });
    seen.dry_run = Some(shown);
    assert_eq!(stalled(&seen).0, "");
}

#[test]
fn a_service_of_another_application_gets_no_canary() {
    let services = [("web", selecting(json!({"app": "payments"})))];
    for source in ["service", "kanary-service", "both", "mirror"] {
        let seen = seen("Starting", of_source(source), json!({}), &services);
        let (reason, message, writes) = stalled(&seen);
        assert_eq!((reason.as_str(), writes), ("ServiceUnsupported", vec![]), "{source}");
        assert!(message.contains("Deployment web") && message.contains("app=payments"), "{message}");
    }
}

/// Whether the base has the label or not: a canary pod must not be made a leader, or a member of a shard.
#[test]
fn no_canary_pod_gets_a_label_that_its_template_lacks() {
    let mut spec = of_source("service");
    merge(&mut spec, json!({"validation": {"noUpdate": true}}));
    let led = json!({"spec": {"template": {"metadata": {"labels": {"role": "leader"}}}}});
    let services = [("web", selecting(json!({"app": "web", "role": "leader"})))];
    let mut seen = seen("Validating", spec, led, &services);
    seen.pods = vec![pod("a", json!({}), true, json!({}))];
    let (reason, _, writes) = stalled(&seen);
    assert_eq!((reason.as_str(), writes), ("ServiceUnsupported", vec![]));
    // A pod that joined before the selector changed leaves.
    seen.pods = vec![pod("a", json!({"app": "web"}), true, json!({"kanary.k8s.io/production-labels": "app"}))];
    assert_eq!(stalled(&seen).2, ["patch Pod a"]);
}

fn with_port(name: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v1", "ports": [{"name": name, "containerPort": 8080}]}]}}}})
}

fn pod_with_ports(ports: Value) -> Arc<Pod> {
    let pod = pod("try-kanary-1", json!({}), true, json!({}));
    let mut json = json!(*pod);
    json["spec"] = json!({"containers": [{"name": "c", "ports": ports}]});
    Arc::new(serde_json::from_value(json).expect("a pod"))
}

#[test]
fn a_named_port_that_the_new_pods_do_not_have_is_never_on() {
    let targets = json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]});
    for source in SOURCES {
        let mut seen = seen("Validating", of_source(source), with_port("http"), &[("web", targets.clone())]);
        seen.pods = vec![pod_with_ports(json!([{"name": "web", "containerPort": 8080}]))];
        let (reason, message, writes) = stalled(&seen);
        assert_eq!((reason.as_str(), writes), ("PortNotFound", vec![]), "{source}");
        assert!(
            message.contains("\"http\"") && message.contains("Service web") && message.contains("try-kanary-1"),
            "{message}"
        );
        // Another protocol is another port.
        seen.pods = vec![pod_with_ports(json!([{"name": "http", "containerPort": 8080, "protocol": "UDP"}]))];
        assert_eq!(stalled(&seen).0, "PortNotFound", "{source}");
        seen.pods = vec![pod_with_ports(json!([{"name": "http", "containerPort": 9090}]))];
        assert_eq!(stalled(&seen).0, "", "{source}");
    }
}

/// What was so before is not a fault of the canary; but a Service that reaches nothing is not on.
#[test]
fn a_port_that_the_base_does_not_have_either_may_stay_so() {
    let both = json!({"selector": {"app": "web"}, "ports": [
        {"name": "http", "port": 80, "targetPort": "http"}, {"name": "admin", "port": 81, "targetPort": "admin"},
    ]});
    let mut seen = seen("Validating", of_source("service"), with_port("http"), &[("web", both)]);
    seen.pods = vec![pod_with_ports(json!([{"name": "http", "containerPort": 8080}]))];
    assert_eq!(stalled(&seen).0, "");
    let dead = json!({"selector": {"app": "web"}, "ports": [{"port": 81, "targetPort": "admin"}]});
    seen.services = vec![service("web", dead)];
    assert_eq!(stalled(&seen).0, "PortNotFound");
}

/// While the base is paused, hours may pass between the verdict and the write.
#[test]
fn a_service_that_changes_after_the_verdict_holds_the_promotion() {
    let tiered = json!({"spec": {"template": {"metadata": {"labels": {"tier": "web"}}}}});
    let selector = json!({"app": "web", "tier": "web"});
    let seen = relabelled(
        seen("Promoting", of_source("none"), tiered, &[("web", selecting(selector))]),
        json!({"app": "web"}),
    );
    let (reason, message, writes) = stalled(&seen);
    assert_eq!((reason.as_str(), writes), ("ServiceLosesPods", vec![]), "{message}");
}

#[test]
fn a_port_number_that_only_the_base_declares_is_a_warning() {
    let targets = json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]});
    let notes = |declared: i64| {
        let mut spec = of_source("service");
        let containers = json!([{"name": "c", "image": "v2", "ports": [{"containerPort": declared}]}]);
        merge(&mut spec, json!({"template": {"spec": {"template": {"spec": {"containers": containers}}}}}));
        let mut seen = seen("Starting", spec.clone(), with_port("http"), &[("web", targets.clone())]);
        let kanary = Arc::make_mut(&mut seen.kanary);
        kanary.status.as_mut().expect("a status").base = None;
        let promoted = PodTemplate::of(&seen.kanary.spec.template.pod_template());
        seen.dry_run = Some(dry_run(&seen, Ok(promoted)));
        let notices = plan(&seen).status.map(|update| update.notices).unwrap_or_default();
        let undeclared = notices.into_iter().filter(|notice| notice.reason.as_str() == "PortUndeclared");
        undeclared.map(|notice| notice.note).collect::<Vec<_>>()
    };
    assert!(notes(9090)[0].contains("8080"), "{:?}", notes(9090));
    assert_eq!(notes(8080), [""; 0]);
}
