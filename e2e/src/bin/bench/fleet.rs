//! Many canaries at once: their objects, and how they are created and awaited.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Event};
use kanary_e2e::{
    Error, TestNamespace,
    wait::{self, Objects},
};
use kube::{api::DynamicObject, runtime::watcher::Config};
use serde_json::{Value, json};

/// How many requests the bench sends at the same time.
const AT_ONCE: usize = 20;
/// For everything that is awaited of a fleet.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// A Deployment of one pod, and its Service.
pub fn production(web: &str) -> Vec<Value> {
    let labels = json!({"app": web});
    vec![
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": web},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": web},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": containers("web:1")}},
        }),
    ]
}

/// A canary of that production.
pub fn kanary(name: &str, web: &str, traffic: &Value, validation: &Value) -> Value {
    json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": name},
        "spec": {
            "deploymentName": web, "serviceName": web, "traffic": traffic, "validation": validation,
            "template": {"spec": {"template": {"metadata": {"labels": {"app": web}}, "spec": containers("web:2")}}},
        },
    })
}

fn containers(image: &str) -> Value {
    json!({"containers": [{"name": "web", "image": image}]})
}

/// The nth base with its Service, and its canary.
pub fn base_and_canary(nth: usize, source: &str, validation: &Value) -> (Vec<Value>, Value) {
    let web = format!("web-{nth}");
    (production(&web), kanary(&format!("trial-{nth}"), &web, &json!({"source": source}), validation))
}

/// An item that a pod with the label `bad=yes` fails.
pub fn label_watch(period: &str) -> Value {
    json!({"validationPeriod": period, "items": [{"labelWatch": {"podInvalidationLabels": {"bad": "yes"}}}]})
}

/// Creates production, and waits until it is available.
pub async fn deploy(ns: &TestNamespace, production: Vec<Vec<Value>>) -> Result<(), Error> {
    let count = production.len();
    create(ns, production.into_iter().flatten()).await?;
    let available = |web: &Deployment| web.status.as_ref().is_some_and(|status| status.available_replicas == Some(1));
    let met = |all: &Objects<Deployment>| all.values().filter(|web| available(web)).count() == count;
    ns.until_all("", "production is available", met).await.map(drop)
}

/// Creates objects, some at the same time.
pub async fn create(ns: &TestNamespace, objects: impl IntoIterator<Item = Value>) -> Result<(), Error> {
    let created = stream::iter(objects).map(|object| async move { ns.apply(object).await });
    created.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await.map(drop)
}

/// Creates the canaries, and waits until all are in that phase.
pub async fn create_until(ns: &TestNamespace, kanaries: Vec<Value>, phase: &str) -> Result<(), Error> {
    let count = kanaries.len();
    create(ns, kanaries).await?;
    until_each(ns, count, phase, |kanary| kanary.data["status"]["phase"] == phase).await
}

/// Waits until `met` holds for `count` canaries.
pub async fn until_each(
    ns: &TestNamespace,
    count: usize,
    awaited: &str,
    met: impl Fn(&DynamicObject) -> bool,
) -> Result<(), Error> {
    let all = |seen: &Objects<DynamicObject>| seen.values().filter(|kanary| met(kanary)).count() == count;
    match wait::until(ns.kanaries(), Config::default(), PATIENCE, all).await {
        Ok(_) => Ok(()),
        Err(seen) => Err(Error::wrong(format!(
            "waited {} s for all to be {awaited}:\n{}",
            PATIENCE.as_secs(),
            wait::yaml(&seen)
        ))),
    }
}

/// Waits until `count` canaries have this event, which follows the status that it reports.
pub async fn until_events(ns: &TestNamespace, count: usize, reason: &str) -> Result<(), Error> {
    let matches = |event: &&Event| {
        event.involved_object.kind.as_deref() == Some("KanaryDeployment") && event.reason.as_deref() == Some(reason)
    };
    let met = |events: &Objects<Event>| events.values().filter(matches).count() == count;
    ns.until_all("", &format!("each has the event {reason}"), met).await.map(drop)
}
