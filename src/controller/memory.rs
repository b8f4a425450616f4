//! What is known of one kind: fed by a watch, and by the replies to our own writes.
//!
//! Assumption: resourceVersions of one kind grow, as they do on every API server. Guarantee: what we wrote is read back
//! at once, and a watch event that is older than that does not undo it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::runtime::watcher::Event;
use tokio::sync::watch;

use crate::seen::Seen;

type Namespace<K> = BTreeMap<String, Arc<K>>;

/// All objects of a kind, by namespace and name.
pub struct Memory<K> {
    known: Mutex<Known<K>>,
    synced: watch::Sender<bool>,
}

struct Known<K> {
    objects: HashMap<String, Namespace<K>>,
    /// What a list that is under way has brought so far.
    arriving: Option<Vec<K>>,
}

impl<K> Default for Memory<K> {
    fn default() -> Self {
        Self { known: Mutex::new(Known { objects: HashMap::new(), arriving: None }), synced: watch::Sender::new(false) }
    }
}

impl<K: Seen + Clone> Memory<K> {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.lock().objects.get(namespace)?.get(name).cloned()
    }

    /// All objects of a namespace, by name.
    pub fn all_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.lock().objects.get(namespace).map(|objects| objects.values().cloned().collect()).unwrap_or_default()
    }

    /// All objects, in no order.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.lock().objects.values().flat_map(|objects| objects.values().cloned()).collect()
    }

    /// Takes in a watch event, and returns the objects that it touched.
    pub fn apply(&self, event: Event<K>) -> Vec<Arc<K>> {
        match event {
            Event::Init => {
                self.lock().arriving = Some(Vec::new());
                Vec::new()
            }
            Event::InitApply(mut object) => {
                object.prune();
                self.lock().arriving.get_or_insert_default().push(object);
                Vec::new()
            }
            Event::InitDone => {
                let touched = self.lock().replace_all();
                self.synced.send_replace(true);
                touched
            }
            Event::Apply(object) => self.put(object).into_iter().collect(),
            Event::Delete(object) => self.forget(&object).into_iter().collect(),
        }
    }

    /// Takes in an object, unless a newer one is known.
    pub fn put(&self, mut object: K) -> Option<Arc<K>> {
        object.prune();
        self.lock().put(object)
    }

    /// Forgets an object that is gone; one of the same name that came later stays.
    pub fn forget(&self, object: &K) -> Option<Arc<K>> {
        let mut known = self.lock();
        let objects = known.objects.get_mut(object.namespace())?;
        let same = objects.get(object.name()).is_some_and(|stored| stored.uid() == object.uid());
        same.then(|| objects.remove(object.name())).flatten()
    }

    /// Waits for the first full list.
    pub async fn synced(&self) {
        // The sender lives in self: waiting cannot fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Is there a full list?
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    fn lock(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Seen> Known<K> {
    fn put(&mut self, object: K) -> Option<Arc<K>> {
        let objects = self.objects.entry(object.namespace().to_owned()).or_default();
        if objects.get(object.name()).is_some_and(|stored| is_newer(&**stored, &object)) {
            return None;
        }
        let object = Arc::new(object);
        objects.insert(object.name().to_owned(), object.clone());
        Some(object)
    }

    /// A full list replaces what was known, but for what is newer than it.
    fn replace_all(&mut self) -> Vec<Arc<K>> {
        let listed = self.arriving.take().unwrap_or_default();
        let newest = listed.iter().map(version).max().unwrap_or_default();
        let before = std::mem::take(&mut self.objects);
        let written_since = |object: &Arc<K>| version(&**object) > newest;
        let mut touched: Vec<Arc<K>> = Vec::new();
        for object in before.into_values().flat_map(BTreeMap::into_values) {
            if written_since(&object) {
                self.objects.entry(object.namespace().to_owned()).or_default().insert(object.name().to_owned(), object);
            } else {
                touched.push(object);
            }
        }
        touched.extend(listed.into_iter().filter_map(|object| self.put(object)).collect::<Vec<_>>());
        touched
    }
}

fn version<K: Seen>(object: &K) -> u64 {
    object.version().parse().unwrap_or(u64::MAX)
}

fn is_newer<K: Seen>(stored: &K, other: &K) -> bool {
    version(stored) > version(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Pod;

    fn pod(name: &str, uid: &str, version: u64) -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": version.to_string()}
        }))
        .expect("a pod")
    }

    fn version_of(memory: &Memory<Pod>, name: &str) -> Option<String> {
        memory.get("ns", name).map(|pod| pod.version().to_owned())
    }

    #[test]
    fn an_older_event_does_not_undo_our_write() {
        let memory = Memory::default();
        memory.put(pod("a", "1", 7));
        assert!(memory.apply(Event::Apply(pod("a", "1", 5))).is_empty());
        assert_eq!(version_of(&memory, "a").as_deref(), Some("7"));
        assert_eq!(memory.apply(Event::Apply(pod("a", "1", 8))).len(), 1);
    }

    #[test]
    fn the_late_delete_of_a_predecessor_spares_its_successor() {
        let memory = Memory::default();
        memory.put(pod("a", "2", 9));
        assert!(memory.apply(Event::Delete(pod("a", "1", 8))).is_empty());
        assert!(memory.get("ns", "a").is_some());
    }

    #[test]
    fn a_list_forgets_what_is_gone_and_keeps_what_was_written_since() {
        let memory = Memory::default();
        memory.apply(Event::Apply(pod("gone", "1", 1)));
        memory.apply(Event::Init);
        memory.apply(Event::InitApply(pod("a", "2", 5)));
        memory.put(pod("new", "3", 6));
        let touched = memory.apply(Event::InitDone);
        assert_eq!(touched.iter().map(|pod| pod.name()).collect::<Vec<_>>(), ["gone", "a"]);
        assert!(memory.get("ns", "gone").is_none() && memory.get("ns", "new").is_some() && memory.is_synced());
    }
}
