//! Which pod has an address: the pods and Services of the API server, from a watch.

use std::{collections::BTreeMap, future::ready, net::IpAddr, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;

use crate::{Context, Error};

/// A proxy may learn of a new pod before this watch does.
const PATIENCE: Duration = Duration::from_secs(5);
const BEAT: Duration = Duration::from_millis(10);

/// All annotations for the lab begin with this. It is not Kanary's own prefix, so a template may have them.
pub const FOR_THE_LAB: &str = "lab.kanary.k8s.io/";

/// A pod, as metrics name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations for the lab.
    pub annotations: BTreeMap<String, String>,
    /// The Deployment that created it, otherwise the pod itself.
    pub workload: String,
    /// The oldest Service that selects it, which a sidecar takes for the request's destination.
    pub service: Option<String>,
}

/// All pods.
pub struct Pods {
    pods: Store<Pod>,
    services: Store<Service>,
}

impl Pods {
    /// Watches them from now on.
    pub async fn watch(client: Client) -> Result<Self, Error> {
        let all = Self { pods: follow(client.clone()), services: follow(client) };
        all.pods.wait_until_ready().await.context(|| "watch Pods".into())?;
        all.services.wait_until_ready().await.context(|| "watch Services".into())?;
        Ok(all)
    }

    /// The pod with this address, if there is one now or soon.
    pub async fn at(&self, address: IpAddr) -> Option<Member> {
        let address = address.to_string();
        let found = async {
            loop {
                let holds = |pod: &Pod| ip(pod) == Some(&address);
                if let Some(pod) = self.pods.find(holds) {
                    return self.member(&pod);
                }
                tokio::time::sleep(BEAT).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.ok()
    }

    /// All that have an address.
    pub fn members(&self) -> Vec<Member> {
        self.pods.state().iter().filter(|pod| ip(pod).is_some()).map(|pod| self.member(pod)).collect()
    }

    fn member(&self, pod: &Pod) -> Member {
        let (namespace, labels) = (pod.namespace().unwrap_or_default(), pod.labels().clone());
        let service = self.service(&namespace, &labels);
        let annotations = pod.annotations().iter().filter(|(key, _)| key.starts_with(FOR_THE_LAB));
        let annotations = annotations.map(|(key, value)| (key.clone(), value.clone())).collect();
        Member { namespace, pod: pod.name_any(), workload: workload(pod), labels, annotations, service }
    }

    fn service(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Option<String> {
        let services = self.services.state();
        let selecting = services.iter().filter(|service| {
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let selects = |s: &BTreeMap<String, String>| s.iter().all(|(key, value)| labels.get(key) == Some(value));
            service.namespace().as_deref() == Some(namespace) && selector.is_some_and(|s| !s.is_empty() && selects(s))
        });
        let age = |service: &&std::sync::Arc<Service>| (service.creation_timestamp(), service.name_any());
        selecting.min_by_key(age).map(|service| service.name_any())
    }
}

/// Its address; a pod that has ended has none.
fn ip(pod: &Pod) -> Option<&String> {
    let status = pod.status.as_ref()?;
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    status.pod_ip.as_ref()
}

/// As Istio finds it: a ReplicaSet's name without its hash.
fn workload(pod: &Pod) -> String {
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
    let hash = pod.labels().get("pod-template-hash");
    let deployment = owner.zip(hash).and_then(|(owner, hash)| owner.name.strip_suffix(&format!("-{hash}")));
    deployment.map_or_else(|| owner.map_or_else(|| pod.name_any(), |owner| owner.name.clone()), str::to_owned)
}

fn follow<K>(client: Client) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher(Api::<K>::all(client), watcher::Config::default()).default_backoff().reflect(writer);
    tokio::spawn(events.for_each(|_| ready(())));
    store
}
