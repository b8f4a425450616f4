//! A controller's store: one watch for each kind, each as late as it likes, and the answers to its own writes.
//!
//! As in the real one, an event that is older than what is known is dropped. The real one also knows for a while what
//! is gone; here what was forgotten upon an answer may come back for a moment, when late events report it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kanary::{
    api::{KanaryDeployment, names},
    decision::services_of,
    objects::{Autoscaler, Deployment, EndpointSlice, Object, Pod, Service, VirtualService},
};

use crate::server::{KINDS, Kind, Server, Sight};

type Listed<K> = BTreeMap<String, Arc<K>>;

#[derive(Clone, Default)]
pub struct Cache {
    kanaries: Listed<KanaryDeployment>,
    deployments: Listed<Deployment>,
    services: Listed<Service>,
    autoscalers: Listed<Autoscaler>,
    pods: Listed<Pod>,
    slices: Listed<EndpointSlice>,
    routes: Listed<VirtualService>,
    /// How many events of each kind were delivered.
    read: [usize; 7],
}

impl Cache {
    /// A full list of everything, as after a start.
    pub fn fresh(server: &Server) -> Self {
        let mut cache = Self::default();
        for kind in KINDS {
            cache.read[kind as usize] = server.events(kind).len();
            server.list(kind).for_each(|(name, object)| cache.put(name, Sight::of(kind, object)));
        }
        cache
    }

    /// Delivers at most `count` events of one kind; what they overtake is never seen, as when a watch begins again.
    pub fn deliver(&mut self, server: &Server, kind: Kind, count: usize) -> bool {
        let read = &mut self.read[kind as usize];
        let new = &server.events(kind)[*read..];
        let new = &new[..count.min(new.len())];
        *read += new.len();
        let last: BTreeMap<&str, usize> = new.iter().enumerate().map(|(at, event)| (event.name.as_str(), at)).collect();
        for (at, event) in new.iter().enumerate() {
            match event.sight(kind) {
                Some(sight) if last[event.name.as_str()] == at => self.put(&event.name, sight.clone()),
                Some(_) => {}
                None => self.forget(kind, &event.name, &event.uid),
            }
        }
        !new.is_empty()
    }

    /// Takes in the answer to a write.
    pub fn take_in(&mut self, server: &Server, kind: Kind, name: &str, uid: Option<&str>) {
        match (server.get(kind, name), uid) {
            (Some(object), _) => self.put(name, Sight::of(kind, object)),
            (None, Some(uid)) => self.forget(kind, name, uid),
            (None, None) => {}
        }
    }

    pub fn lags(&self, server: &Server, kind: Kind) -> bool {
        self.read[kind as usize] < server.events(kind).len()
    }

    fn put(&mut self, name: &str, sight: Sight) {
        match sight {
            Sight::Kanary(seen) => keep(&mut self.kanaries, name, seen),
            Sight::Deployment(seen) => keep(&mut self.deployments, name, seen),
            Sight::Service(seen) => keep(&mut self.services, name, seen),
            Sight::Autoscaler(seen) => keep(&mut self.autoscalers, name, seen),
            Sight::Pod(seen) => keep(&mut self.pods, name, seen),
            Sight::Slice(seen) => keep(&mut self.slices, name, seen),
            Sight::Route(seen) => keep(&mut self.routes, name, seen),
        }
    }

    fn forget(&mut self, kind: Kind, name: &str, uid: &str) {
        match kind {
            Kind::Kanary => drop_one(&mut self.kanaries, name, uid),
            Kind::Deployment => drop_one(&mut self.deployments, name, uid),
            Kind::Service => drop_one(&mut self.services, name, uid),
            Kind::Autoscaler => drop_one(&mut self.autoscalers, name, uid),
            Kind::Pod => drop_one(&mut self.pods, name, uid),
            Kind::Slice => drop_one(&mut self.slices, name, uid),
            Kind::Route => drop_one(&mut self.routes, name, uid),
        }
    }

    pub fn kanary(&self, name: &str) -> Option<Arc<KanaryDeployment>> {
        self.kanaries.get(name).cloned()
    }

    pub fn kanaries(&self) -> Vec<String> {
        self.kanaries.keys().cloned().collect()
    }

    pub fn deployment(&self, name: &str) -> Option<Arc<Deployment>> {
        self.deployments.get(name).cloned()
    }

    /// The Services that concern a `KanaryDeployment`: not those of other canaries.
    pub fn services_for(&self, kanary: &KanaryDeployment) -> Vec<Arc<Service>> {
        let base = self.deployment(&names::base(kanary));
        let matters = services_of(kanary, base.as_deref());
        self.services.values().filter(|service| matters(service)).cloned().collect()
    }

    pub fn autoscalers(&self) -> Vec<Arc<Autoscaler>> {
        self.autoscalers.values().cloned().collect()
    }

    pub fn routes(&self) -> Vec<Arc<VirtualService>> {
        self.routes.values().cloned().collect()
    }

    /// The pods that a watch for our label delivers.
    pub fn pods_of(&self, kanary: &str) -> Vec<Arc<Pod>> {
        self.pods.values().filter(|pod| pod.label(names::CANARY_LABEL) == Some(kanary)).cloned().collect()
    }

    /// The pods behind a Service.
    pub fn endpoints_of(&self, service: &str) -> BTreeSet<String> {
        self.slices.get(service).map(|slice| slice.pods.0.clone()).unwrap_or_default()
    }
}

fn version<K: Object>(object: &K) -> u64 {
    object.version().parse().expect("the simulated server counts")
}

fn keep<K: Object>(known: &mut Listed<K>, name: &str, seen: Arc<K>) {
    if known.get(name).is_none_or(|before| version(&**before) <= version(&*seen)) {
        known.insert(name.to_owned(), seen);
    }
}

fn drop_one<K: Object>(known: &mut Listed<K>, name: &str, uid: &str) {
    if known.get(name).is_some_and(|before| before.uid() == uid) {
        known.remove(name);
    }
}
