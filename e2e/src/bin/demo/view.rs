//! The cluster as the watches show it, and what to show of each change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use futures::{
    Stream, StreamExt,
    stream::{BoxStream, SelectAll},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service, discovery::v1::EndpointSlice};
use kanary_e2e::{Error, kanary_api::kanaries};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    lines::{self, CANARY, Line},
    screen::Style,
};

enum Change {
    Kanary(Box<DynamicObject>),
    Deployment(Box<Deployment>, bool),
    Service(Box<Service>, bool),
    Slice(Box<EndpointSlice>, bool),
    Route(Box<DynamicObject>),
}

/// A namespace, as the watches show it.
pub struct View {
    changes: SelectAll<BoxStream<'static, Change>>,
    /// The statuses of the KanaryDeployments.
    pub kanaries: BTreeMap<String, Value>,
    /// The Deployments.
    pub deployments: BTreeMap<String, Deployment>,
    /// For each EndpointSlice: its Service, and the pods that it lists as ready.
    slices: BTreeMap<String, (String, BTreeSet<String>)>,
    /// The VirtualServices, if they are watched.
    pub routes: BTreeMap<String, Value>,
}

impl View {
    /// Watches the namespace from now on.
    pub fn watch(client: &Client, namespace: &str) -> Self {
        let mut changes = SelectAll::new();
        changes.push(follow(kanaries(client, namespace)).map(|(object, _)| Change::Kanary(object)).boxed());
        let api = Api::namespaced(client.clone(), namespace);
        changes.push(follow(api).map(|(object, gone)| Change::Deployment(object, gone)).boxed());
        let api = Api::namespaced(client.clone(), namespace);
        changes.push(follow(api).map(|(object, gone)| Change::Service(object, gone)).boxed());
        let api = Api::namespaced(client.clone(), namespace);
        changes.push(follow(api).map(|(object, gone)| Change::Slice(object, gone)).boxed());
        let (kanaries, deployments, slices) = Default::default();
        Self { changes, kanaries, deployments, slices, routes: BTreeMap::new() }
    }

    /// Watches Istio's routes as well. Without a mesh the kind does not exist.
    pub fn watch_routes(&mut self, client: &Client, namespace: &str) {
        let gvk = GroupVersionKind::gvk("networking.istio.io", "v1", "VirtualService");
        let resource = ApiResource::from_gvk(&gvk);
        let api = Api::namespaced_with(client.clone(), namespace, &resource);
        self.changes.push(follow(api).map(|(object, _)| Change::Route(object)).boxed());
    }

    /// What happens next. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Result<Vec<Line>, Error> {
        let change = self.changes.next().await;
        Ok(match change.ok_or_else(|| Error::wrong("the watches ended"))? {
            Change::Kanary(object) => self.kanary(&object),
            Change::Deployment(object, gone) => self.deployment(*object, gone),
            Change::Service(object, gone) => lines::service(&object, gone),
            Change::Slice(object, gone) => self.slice(&object, gone),
            Change::Route(object) => self.route(&object),
        })
    }

    /// The phase of a KanaryDeployment.
    pub fn phase(&self, kanary: &str) -> &str {
        self.kanaries.get(kanary).and_then(|status| status["phase"].as_str()).unwrap_or_default()
    }

    /// The ready pods behind a Service.
    pub fn behind(&self, service: &str) -> BTreeSet<&String> {
        self.slices.values().filter(|(name, _)| name == service).flat_map(|(_, pods)| pods).collect()
    }

    /// Canary pods behind a Service.
    pub fn canaries_behind(&self, service: &str) -> Vec<&String> {
        self.behind(service).into_iter().filter(|pod| is_canary(pod)).collect()
    }

    /// Do all pods of a Deployment have its current template, and are they available?
    pub fn is_rolled_out(&self, name: &str) -> bool {
        self.deployments.get(name).is_some_and(is_rolled_out)
    }

    fn kanary(&mut self, object: &DynamicObject) -> Vec<Line> {
        let status = object.data.get("status").cloned().unwrap_or_default();
        let before = self.kanaries.insert(object.name_any(), status.clone()).unwrap_or_default();
        let mut lines = lines::verdicts(&before, &status);
        lines.extend(lines::phase(&before, &status));
        lines
    }

    fn route(&mut self, object: &DynamicObject) -> Vec<Line> {
        let (name, spec) = (object.name_any(), object.data["spec"].clone());
        let before = self.routes.insert(name.clone(), spec.clone()).unwrap_or_default();
        lines::mirror(&name, &before, &spec)
    }

    fn deployment(&mut self, object: Deployment, gone: bool) -> Vec<Line> {
        let name = object.name_any();
        let is_canarys = object.labels().contains_key(CANARY);
        if gone {
            self.deployments.remove(&name);
            return vec![("canary", Style::Plain, format!("Deployment {name} deleted"))];
        }
        let before = self.deployments.insert(name.clone(), object.clone());
        match before {
            None if is_canarys => {
                vec![("canary", Style::Plain, format!("Deployment {name} created, image {}", image(&object)))]
            }
            None => vec![("base", Style::Plain, format!("Deployment {name} created, image {}", image(&object)))],
            Some(before) if !is_canarys && image(&before) != image(&object) => {
                vec![("base", Style::Yellow, format!("{name} updated to image {} in one write", image(&object)))]
            }
            Some(before) if !is_canarys && !is_rolled_out(&before) && is_rolled_out(&object) => {
                let replicas = object.spec.and_then(|spec| spec.replicas).unwrap_or(1);
                vec![("base", Style::Plain, format!("{name}: {replicas} of {replicas} pods updated and available"))]
            }
            Some(_) => Vec::new(),
        }
    }

    fn slice(&mut self, object: &EndpointSlice, gone: bool) -> Vec<Line> {
        let Some(service) = object.labels().get("kubernetes.io/service-name").cloned() else { return Vec::new() };
        let before: BTreeSet<String> = self.behind(&service).into_iter().cloned().collect();
        match gone {
            true => drop(self.slices.remove(&object.name_any())),
            false => drop(self.slices.insert(object.name_any(), (service.clone(), ready_pods(object)))),
        }
        let now = self.behind(&service);
        let joined = now.iter().filter(|pod| is_canary(pod) && !before.contains(**pod));
        let joined = joined.map(|pod| (Style::Green, format!("+ {pod} in Service {service}")));
        let left = before.iter().filter(|pod| is_canary(pod) && !now.contains(pod));
        let left = left.map(|pod| (Style::Red, format!("- {pod} out of Service {service}")));
        joined.chain(left).map(|(style, text)| ("traffic", style, text)).collect()
    }
}

/// Each object as it comes, and whether it was deleted. A watch that breaks is reopened.
fn follow<K>(api: Api<K>) -> impl Stream<Item = (Box<K>, bool)> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, Config::default()).default_backoff().filter_map(|event| async {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => Some((Box::new(object), false)),
            Ok(Event::Delete(object)) => Some((Box::new(object), true)),
            Ok(Event::Init | Event::InitDone) | Err(_) => None,
        }
    })
}

fn is_canary(pod: &str) -> bool {
    pod.contains("-kanary-")
}

/// The image of the first container.
pub fn image(deployment: &Deployment) -> String {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.and_then(|pod| pod.containers.first()?.image.clone()).unwrap_or_default()
}

fn is_rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation >= deployment.metadata.generation
            && status.replicas == Some(wanted)
            && status.updated_replicas == Some(wanted)
            && status.available_replicas == Some(wanted)
    })
}

fn ready_pods(slice: &EndpointSlice) -> BTreeSet<String> {
    let ready = slice.endpoints.iter().filter(|e| e.conditions.as_ref().and_then(|c| c.ready) == Some(true));
    ready.filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone()).collect()
}
