//! What people write: bases, Services, templates, `KanaryDeployment`s. Small variations of one shop.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    rng::Rng,
    routes,
    server::{Actor, Kind, Server},
};

pub const BASE: &str = "web";
pub const SERVICE: &str = "web";
pub const KANARIES: [&str; 2] = ["trial", "other"];

/// Sets the stage: usually a base behind a Service, and one or two `KanaryDeployment`s.
pub fn set(server: &mut Server, rng: &mut Rng) {
    server.now = "2026-01-01T00:00:00Z".parse().expect("a time");
    server.admission.sidecar = rng.percent(25);
    if rng.percent(92) {
        must(server.create(Actor::Person, Kind::Deployment, base(rng)));
    }
    if rng.percent(85) {
        must(server.create(Actor::Person, Kind::Service, service(rng)));
    }
    if rng.percent(60) {
        must(server.create(Actor::Person, Kind::Route, routes::virtual_service(rng)));
    }
    if rng.percent(15) {
        must(server.create(Actor::Person, Kind::Autoscaler, base_autoscaler()));
    }
    if rng.percent(10) {
        must(server.create(Actor::Person, Kind::Service, other_service(rng)));
    }
    let count = if rng.percent(15) { 2 } else { 1 };
    for name in &KANARIES[..count] {
        let kanary = kanary(name, rng, server.now);
        must(server.create(Actor::Person, Kind::Kanary, kanary));
    }
}

fn must<T, E: std::fmt::Debug>(done: Result<T, E>) {
    done.expect("nothing is in the way yet");
}

pub fn base(rng: &mut Rng) -> Value {
    let mut spec = deployment_spec("app:good-1");
    spec["replicas"] = rng.below(4).max(1).into();
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    if rng.percent(5) {
        spec["paused"] = json!(true);
    }
    json!({"metadata": {"name": BASE, "labels": {"app": "web", "team": "shop"}}, "spec": spec})
}

fn deployment_spec(image: &str) -> Value {
    json!({
        "progressDeadlineSeconds": 45,
        "template": {
            "metadata": {"labels": {"app": "web", "tier": "front", "group": "shop"}},
            "spec": {"containers": [{"name": "app", "image": image}]},
        },
    })
}

pub fn service(rng: &mut Rng) -> Value {
    json!({"metadata": {"name": SERVICE}, "spec": {"selector": selector(rng), "ports": [{"name": "http", "port": 80}]}})
}

/// Selectors that as a rule take the base's pods.
pub fn selector(rng: &mut Rng) -> Value {
    if rng.percent(3) {
        return json!({"app": "web", "role": "leader"});
    }
    rng.pick(&[
        json!({"app": "web"}),
        json!({"app": "web"}),
        json!({"app": "web", "tier": "front"}),
        json!({"tier": "front"}),
        json!({"group": "shop", "tier": "front"}),
    ])
}

pub fn other_service(rng: &mut Rng) -> Value {
    json!({"metadata": {"name": "everything"}, "spec": {"selector": selector(rng), "ports": [{"port": 9000}]}})
}

pub fn base_autoscaler() -> Value {
    json!({"metadata": {"name": BASE}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": BASE},
        "minReplicas": 1, "maxReplicas": 4,
    }})
}

pub fn kanary(name: &str, rng: &mut Rng, now: Timestamp) -> Value {
    let mut spec = json!({
        "deploymentName": BASE,
        "serviceName": SERVICE,
        "template": template(rng),
        "scale": scale(rng),
        "traffic": {"source": source(rng), "mirror": routes::settings(rng)},
        "validation": validation(rng),
    });
    if rng.percent(6) {
        let later = now.saturating_add(SignedDuration::from_secs(20)).expect("it is not the end of time");
        spec["schedule"] = later.to_string().into();
    }
    json!({"apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": name}, "spec": spec})
}

/// A template to try: mostly a good one.
pub fn template(rng: &mut Rng) -> Value {
    let quality = ["good", "good", "good", "good", "flaky", "bad"];
    let image = format!("app:{}-{}", rng.pick(&quality), rng.below(4));
    let mut spec = deployment_spec(&image);
    // Without a selector of its own a base that must be created is refused: that is the user's to mend.
    if rng.percent(95) {
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
    }
    if rng.percent(20) {
        spec["replicas"] = rng.below(4).into();
    }
    if rng.percent(15) {
        spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}});
    }
    if rng.percent(4) {
        spec["template"]["metadata"]["labels"] = json!({"app": "elsewhere"});
    }
    // Its selector still fits; a Service's may not.
    if rng.percent(6) {
        spec["template"]["metadata"]["labels"] = json!({"app": "web", "group": "shop"});
    }
    let mut template = json!({"spec": spec});
    if rng.percent(40) {
        template["metadata"] = json!({"labels": {"release": "two"}, "annotations": {"note": "a/b~c"}});
    }
    template
}

pub fn scale(rng: &mut Rng) -> Value {
    match rng.below(10) {
        0..=2 => json!({}),
        3..=6 => json!({"static": {"replicas": 1 + rng.below(3)}}),
        _ => json!({"hpa": {"minReplicas": 1, "maxReplicas": 1 + rng.below(3)}}),
    }
}

pub fn source(rng: &mut Rng) -> Value {
    rng.pick(&["none", "service", "service", "kanary-service", "both", "mirror", "mirror"]).into()
}

pub fn validation(rng: &mut Rng) -> Value {
    let mut validation = json!({
        "validationPeriod": rng.pick(&["20s", "40s", "1m30s"]),
        "items": items(rng),
        "cleanup": rng.pick(&["rolloutStarted", "rolloutStarted", "rolloutComplete"]),
        "noUpdate": rng.percent(8),
    });
    if rng.percent(20) {
        validation["initialDelay"] = "10s".into();
    }
    if rng.percent(50) {
        validation["maxIntervalPeriod"] = "10s".into();
    }
    if rng.percent(10) {
        validation["manual"] = json!({"statusAfterDeadline": "valid"});
    }
    validation
}

pub fn items(rng: &mut Rng) -> Value {
    let watch = json!({"name": "watch", "labelWatch": {
        "podInvalidationLabels": {"judge": "bad"},
        "deploymentInvalidationLabels": {"judge": "bad"},
    }});
    let silent = json!({"name": "silent", "manual": {"statusAfterDeadline": "valid"}});
    let person = json!({"name": "person", "manual": {}});
    let strict = json!({"name": "strict", "manual": {"statusAfterDeadline": "invalid"}});
    let query = |limit: usize| {
        let query = "sum(rate(errors{workload=\"{{canary.name}}\"}[1m])) < bool 0.01";
        json!({"name": format!("query-{limit}"), "promQL": {"query": query, "failureLimit": limit}})
    };
    let wrong = json!({"name": "wrong", "promQL": {"query": "errors < 0.01"}});
    rng.pick(&[
        json!([watch]),
        json!([watch]),
        json!([query(0)]),
        json!([query(0), watch]),
        json!([query(2)]),
        json!([query(1), query(0), silent]),
        json!([wrong]),
        json!([watch, silent]),
        json!([silent]),
        json!([person]),
        json!([watch, person]),
        json!([strict]),
        json!([]),
    ])
}
