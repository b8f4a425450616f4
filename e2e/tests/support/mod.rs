//! The objects of most tests: the base `web` with its Service `web`, and `trial`, a KanaryDeployment that tries
//! `web:2`.
//!
//! Each is made by a function that takes what differs, as a JSON merge patch. By default a trial has no traffic and
//! waits for a manual verdict, so that the test decides how long it takes and how it ends.

#![allow(dead_code, unreachable_pub, unused_imports)] // each test binary needs its own part

pub mod evidence;
pub mod mesh;
mod own;
pub mod plugin;
mod witness;

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Event, Pod, Service},
        discovery::v1::EndpointSlice,
    },
    jiff::Timestamp,
};
use kanary_e2e::{
    Context, Error, TestNamespace,
    test_namespace::{Kind, PLAY},
    wait::Objects,
};
use kube::ResourceExt;
use serde_json::{Value, json};

pub use self::{
    own::{alone, may_lead},
    witness::Witness,
};

/// The base, and the production Service.
pub const WEB: &str = "web";
/// The KanaryDeployment, unless there are several.
pub const TRIAL: &str = "trial";
/// Its Deployment, its HorizontalPodAutoscaler and its Service.
pub const CANARY: &str = "trial-kanary";
/// The label on everything that a trial creates; its value is the trial's name.
pub const CANARY_LABEL: &str = "kanary.k8s.io/canary";

/// As a JSON merge patch: objects are merged, null removes, everything else replaces. A null that removes nothing
/// stays, so that changes can be merged with each other.
pub fn merged(mut value: Value, change: Value) -> Value {
    let Value::Object(changes) = change else { return change };
    if !value.is_object() {
        value = json!({});
    }
    for (key, change) in changes {
        let had = value.as_object_mut().and_then(|map| map.remove(&key));
        if !(change.is_null() && had.is_some()) {
            value[&key] = merged(had.unwrap_or_default(), change);
        }
    }
    value
}

/// The base: two pods of `web:1`.
pub fn web(change: Value) -> Value {
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": WEB, "labels": {"app": "web"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        }},
    });
    merged(web, change)
}

/// The production Service.
pub fn service(change: Value) -> Value {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": WEB},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    });
    merged(service, change)
}

/// The trial; `change` is about its `spec`.
pub fn trial(change: Value) -> Value {
    trial_of(TRIAL, change)
}

/// A trial of another name.
pub fn trial_of(name: &str, change: Value) -> Value {
    let trial = json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": name},
        "spec": {"deploymentName": WEB, "serviceName": WEB, "template": {"spec": {"template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:2"}]},
        }}}},
    });
    merged(trial, json!({"spec": change}))
}

/// A change of `spec.template`: its pods have one container, of this image.
pub fn image(image: &str) -> Value {
    pods(json!({"spec": {"containers": [{"name": "web", "image": image}]}}))
}

/// A change of `spec.template`: kwok simulates this for its pods, e.g. `crash-loop`.
pub fn playing(play: &str) -> Value {
    pods(json!({"metadata": {"annotations": {PLAY: play}}}))
}

/// A change of `spec.template.spec.template`.
pub fn pods(change: Value) -> Value {
    json!({"template": {"spec": {"template": change}}})
}

/// `spec.traffic.source`.
pub fn traffic(source: &str) -> Value {
    json!({"traffic": {"source": source}})
}

/// An item that fails when a canary pod has the label `bad=yes`, with this validation period.
pub fn watching(period: &str) -> Value {
    let watch = json!({"labelWatch": {"podInvalidationLabels": {"bad": "yes"}}});
    json!({"validation": {"validationPeriod": period, "items": [watch]}})
}

/// Creates the base and its Service, and waits until it is available.
pub async fn production(ns: &TestNamespace) -> Result<(), Error> {
    ns.apply(service(json!({}))).await?;
    ns.apply(web(json!({}))).await?;
    ns.until(WEB, "production is available", |web| has_available(web, 2)).await.map(drop)
}

/// Creates production and the trial, and waits until it is being evaluated.
pub async fn validating(ns: &TestNamespace, change: Value) -> Result<Value, Error> {
    production(ns).await?;
    ns.apply(trial(change)).await?;
    ns.until_phase(TRIAL, "Validating").await
}

/// Sets the manual verdict `valid` or `invalid`.
pub async fn set_verdict(ns: &TestNamespace, verdict: &str) -> Result<Value, Error> {
    set_verdict_of(ns, TRIAL, verdict).await
}

/// Sets the manual verdict on a trial of another name.
pub async fn set_verdict_of(ns: &TestNamespace, name: &str, verdict: &str) -> Result<Value, Error> {
    ns.patch_kanary(name, json!({"spec": {"validation": {"manual": {"status": verdict}}}})).await
}

/// A change of the trial's `spec`.
pub async fn change(ns: &TestNamespace, spec: Value) -> Result<Value, Error> {
    ns.patch_kanary(TRIAL, json!({"spec": spec})).await
}

/// Waits until a condition of the trial has this reason.
pub async fn until_reason(ns: &TestNamespace, type_: &str, reason: &str) -> Result<Value, Error> {
    let awaited = format!("{type_} is {reason}");
    ns.until_kanary(TRIAL, &awaited, |kanary| condition(kanary, type_)["reason"] == reason).await
}

/// Waits until the status is about the spec as it was when `written` was returned.
pub async fn until_answered(ns: &TestNamespace, written: &Value) -> Result<Value, Error> {
    let generation = written["metadata"]["generation"].clone();
    ns.until_kanary(TRIAL, "the status is about this spec", |kanary| {
        kanary["status"]["observedGeneration"] == generation
    })
    .await
}

/// Waits for an event of the trial.
pub async fn until_event(ns: &TestNamespace, reason: &str) -> Result<Event, Error> {
    let matches = |event: &&Event| {
        event.reason.as_deref() == Some(reason) && event.involved_object.kind.as_deref() == Some("KanaryDeployment")
    };
    let awaited = format!("the event {reason}");
    let events = ns.until_all::<Event>("", &awaited, |events| events.values().any(|event| matches(&event))).await?;
    events.values().find(matches).cloned().ok_or_else(|| Error::wrong(format!("no event {reason}")))
}

/// A condition of a KanaryDeployment; null if it has none of this type.
pub fn condition<'a>(kanary: &'a Value, type_: &str) -> &'a Value {
    let conditions = kanary["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|c| c["type"] == type_).unwrap_or(&Value::Null)
}

/// Text at a path, such as `/status/message`; empty if there is none.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The phase.
pub fn phase(kanary: &Value) -> &str {
    text(kanary, "/status/phase")
}

/// A time in the status, such as `deadline`.
pub fn time(kanary: &Value, field: &str) -> Option<Timestamp> {
    kanary["status"][field].as_str()?.parse().ok()
}

/// Fails if `part` is not in `whole`: each key of `part` with its value, each item of a list at its place.
#[track_caller]
pub fn assert_contains(whole: &Value, part: &Value) {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other JSON values are compared alike")]
    fn differs(whole: &Value, part: &Value, at: &str) -> Option<String> {
        match part {
            Value::Object(map) => map.iter().find_map(|(key, part)| differs(&whole[key], part, &format!("{at}/{key}"))),
            Value::Array(list) => {
                let items = list.iter().enumerate();
                items.into_iter().find_map(|(n, part)| differs(&whole[n], part, &format!("{at}/{n}")))
            }
            part => (whole != part).then(|| format!("{at} is {whole}, expected {part}")),
        }
    }
    if let Some(difference) = differs(whole, part, "") {
        panic!("{difference}, in {whole:#}");
    }
}

/// An object as the API server has it: a type would drop what it does not know.
pub async fn json_of<K: Kind>(ns: &TestNamespace, name: &str) -> Result<Value, Error> {
    let url = format!("{}/{name}", K::url_path(&(), Some(ns.name())));
    let request = http::Request::get(&url).body(Vec::new()).context(|| url.clone())?;
    ns.client().request(request).await.context(|| format!("GET {url}"))
}

/// The image of a Deployment's first container.
pub fn image_of(deployment: &Deployment) -> &str {
    let containers = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map(|spec| &spec.containers);
    containers.and_then(|all| all.first()?.image.as_deref()).unwrap_or_default()
}

/// The base's image now.
pub async fn base_image(ns: &TestNamespace) -> Result<String, Error> {
    ns.get::<Deployment>(WEB).await.map(|web| image_of(&web).to_owned())
}

/// The desired replicas of a Deployment.
pub fn replicas_of(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// `count` pods of the current template are available, and there is no other.
pub fn has_available(deployment: &Deployment, count: i32) -> bool {
    let generation = deployment.metadata.generation;
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == generation
            && status.replicas == Some(count)
            && status.updated_replicas == Some(count)
            && status.available_replicas == Some(count)
    })
}

/// Waits until `count` canary pods exist that are not being deleted.
pub async fn until_canary_pods(ns: &TestNamespace, count: usize) -> Result<Vec<Pod>, Error> {
    let awaited = format!("{count} canary pods");
    let live = |pods: &Objects<Pod>| pods.values().filter(|pod| pod.metadata.deletion_timestamp.is_none()).count();
    let met = |pods: &Objects<Pod>| pods.len() == count && live(pods) == count;
    let pods = ns.until_all(&canary_labels(TRIAL), &awaited, met).await?;
    Ok(pods.into_values().collect())
}

/// A pod that plays `never-ready` recovers. Only after it was seen unready, because kwok may still be making it so.
pub async fn recovers(ns: &TestNamespace, pod: &str) -> Result<(), Error> {
    ns.until(pod, "is ill", |pod| ready(pod) == Some("False")).await?;
    ns.play(pod, None).await?;
    ns.until(pod, "is well", |pod| ready(pod) == Some("True")).await.map(drop)
}

/// The status of a pod's condition `Ready`.
pub fn ready(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    Some(&conditions.iter().find(|condition| condition.type_ == "Ready")?.status)
}

/// The trial's only pod.
pub async fn canary_pod(ns: &TestNamespace) -> Result<String, Error> {
    let pods = until_canary_pods(ns, 1).await?;
    pods.first().map(Pod::name_any).ok_or_else(|| Error::wrong("no canary pod"))
}

/// The label selector of everything that a trial creates.
pub fn canary_labels(name: &str) -> String {
    format!("{CANARY_LABEL}={name}")
}

/// Names of the ready pods of a Service.
pub fn served(slices: &Objects<EndpointSlice>) -> BTreeSet<String> {
    let endpoints = slices.values().flat_map(|slice| &slice.endpoints);
    let ready = endpoints.filter(|endpoint| endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(true));
    ready.filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone()).collect()
}

/// Waits until a Service has this many ready pods of the base and of the canary.
pub async fn until_serves(ns: &TestNamespace, service: &str, base: usize, canary: usize) -> Result<(), Error> {
    let labels = format!("kubernetes.io/service-name={service}");
    let awaited = format!("{base} base pods and {canary} canary pods get traffic");
    let met = |slices: &Objects<EndpointSlice>| {
        let (canaries, bases): (Vec<_>, Vec<_>) = served(slices).into_iter().partition(|pod| pod.contains("-kanary-"));
        (bases.len(), canaries.len()) == (base, canary)
    };
    ns.until_all(&labels, &awaited, met).await.map(drop)
}

/// No object of any trial exists, not even one that is being deleted.
pub async fn assert_nothing_is_left(ns: &TestNamespace) -> Result<(), Error> {
    async fn names<K: Kind>(ns: &TestNamespace) -> Result<Vec<String>, Error> {
        Ok(ns.list::<K>(CANARY_LABEL).await?.iter().map(ResourceExt::name_any).collect())
    }
    let left = [
        names::<Deployment>(ns).await?,
        names::<HorizontalPodAutoscaler>(ns).await?,
        names::<Service>(ns).await?,
        names::<Pod>(ns).await?,
    ];
    assert_eq!(left.concat(), Vec::<String>::new());
    Ok(())
}

/// Waits until no object of a trial exists.
pub async fn until_all_is_gone(ns: &TestNamespace, trial: &str) -> Result<(), Error> {
    async fn gone<K: Kind>(ns: &TestNamespace, labels: &str) -> Result<(), Error> {
        ns.until_all::<K>(labels, "all are gone", |left| left.is_empty()).await.map(drop)
    }
    let labels = canary_labels(trial);
    gone::<Deployment>(ns, &labels).await?;
    gone::<HorizontalPodAutoscaler>(ns, &labels).await?;
    gone::<Service>(ns, &labels).await?;
    gone::<Pod>(ns, &labels).await
}
