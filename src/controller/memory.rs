//! What is known of one kind: fed by a watch, and by the replies to our own writes.
//!
//! Assumption: resourceVersions of one kind grow, as they do on every API server. Guarantee: what we wrote is read back
//! at once, a watch event that is older than that does not undo it, and what is gone does not come back.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use kube::runtime::watcher::Event;
use tokio::sync::watch;

use super::shelf::Shelf;
use crate::{api::names, objects::Object};

/// All objects of a kind, by namespace and name.
pub struct Memory<K> {
    known: Mutex<Known<K>>,
    synced: watch::Sender<bool>,
}

struct Known<K> {
    /// By namespace.
    objects: HashMap<String, Shelf<K>>,
    arriving: Option<Listing<K>>,
    /// Uids of what is gone, the latest last: the reply to a write may come after the news of the end.
    gone: VecDeque<String>,
    /// The watch broke then, and there was no full list since.
    lost_since: Option<Timestamp>,
    /// When the watch last told anything.
    spoke_at: Option<Timestamp>,
    /// Counts the changes of objects that are no canary's.
    changes: u64,
}

/// A list that is under way.
struct Listing<K> {
    /// What it has brought so far.
    brought: Vec<K>,
    /// Uids of what was written since it began; it may have been made before that.
    written: HashSet<String>,
}

/// A reply is late by seconds at most; so many objects of a kind do not go in that time.
const MOST_GONE: usize = 512;

impl<K> Default for Memory<K> {
    fn default() -> Self {
        let known = Known {
            objects: HashMap::new(),
            arriving: None,
            gone: VecDeque::new(),
            lost_since: None,
            spoke_at: None,
            changes: 0,
        };
        Self { known: Mutex::new(known), synced: watch::Sender::new(false) }
    }
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Self { brought: Vec::new(), written: HashSet::new() }
    }
}

impl<K: Object + Clone> Memory<K> {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.lock().objects.get(namespace)?.get(name).cloned()
    }

    /// All objects of a namespace.
    pub fn all_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.pick(namespace, |shelf| shelf.all().cloned().collect())
    }

    /// Those of a namespace that speak of a name. There may be thousands of others, and they are not looked at.
    pub fn mentioning(&self, namespace: &str, name: &str) -> Vec<Arc<K>> {
        self.pick(namespace, |shelf| shelf.mentioning(name).cloned().collect())
    }

    /// Those of a canary.
    pub fn of_canary(&self, namespace: &str, canary: &str) -> Vec<Arc<K>> {
        self.pick(namespace, |shelf| shelf.of_canary(canary).cloned().collect())
    }

    /// Those that are no canary's, and are meant.
    pub fn of_nobody(&self, namespace: &str, is_meant: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.pick(namespace, |shelf| shelf.of_nobody().filter(|object| is_meant(object)).cloned().collect())
    }

    /// Grows whenever one that is no canary's comes, changes or goes: who went through all of them need not do so again
    /// before it did.
    pub fn changes_of_nobody(&self) -> u64 {
        self.lock().changes
    }

    fn pick(&self, namespace: &str, pick: impl FnOnce(&Shelf<K>) -> Vec<Arc<K>>) -> Vec<Arc<K>> {
        self.lock().objects.get(namespace).map(pick).unwrap_or_default()
    }

    /// All objects, in no order.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.lock().objects.values().flat_map(Shelf::all).cloned().collect()
    }

    /// Forgets all: the kind itself is gone, and there is nothing to miss.
    pub fn clear(&self) {
        let mut known = self.lock();
        known.objects.clear();
        known.changes += 1;
        known.lost_since = None;
    }

    /// Takes in a watch event, and returns the objects of which it tells something that was not known.
    pub fn apply(&self, event: Event<K>) -> Vec<Arc<K>> {
        match event {
            Event::Init => {
                self.lock().arriving = Some(Listing::default());
                Vec::new()
            }
            Event::InitApply(mut object) => {
                object.prune();
                self.lock().arriving.get_or_insert_default().brought.push(object);
                Vec::new()
            }
            Event::InitDone => {
                let touched = self.lock().replace_all();
                self.synced.send_replace(true);
                touched
            }
            Event::Apply(mut object) => {
                object.prune();
                self.lock().learn(object).into_iter().collect()
            }
            // Who deleted it has forgotten it already, but others may have waited for it to go.
            Event::Delete(object) => {
                self.forget(&object);
                vec![Arc::new(object)]
            }
        }
    }

    /// Takes in the reply to a write, unless something newer is known.
    pub fn put(&self, mut object: K) -> Option<Arc<K>> {
        object.prune();
        let mut known = self.lock();
        let is_gone = known.gone.iter().any(|uid| uid == object.uid());
        if is_gone { None } else { known.put(object) }
    }

    /// Forgets an object that is gone; one of the same name that came later stays.
    pub fn forget(&self, object: &K) -> Option<Arc<K>> {
        self.lock().forget(object)
    }

    /// The watch tells something, if only of an object that nobody asks for.
    pub fn hear(&self, now: Timestamp) {
        self.lock().spoke_at = Some(now);
    }

    /// Did the watch tell anything since then?
    pub fn spoke_since(&self, then: Timestamp) -> bool {
        self.lock().spoke_at.is_some_and(|at| at >= then)
    }

    /// The watch broke: what is known grows old. It is as good as new after the next full list.
    pub fn lose(&self, now: Timestamp) {
        self.lock().lost_since.get_or_insert(now);
    }

    /// Since when is the watch broken, if it is?
    pub fn lost_since(&self) -> Option<Timestamp> {
        self.lock().lost_since
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

impl<K: Object> Known<K> {
    /// Of most events nothing is kept but the new version: that a pod has an address now, or who wrote a field.
    fn learn(&mut self, mut object: K) -> Option<Arc<K>> {
        let stored = self.objects.get(object.namespace()).and_then(|shelf| shelf.get(object.name()));
        let is_known = stored.is_some_and(|stored| says_the_same(&**stored, &mut object));
        self.witness(object).filter(|_| !is_known)
    }

    /// What a watch brings is there, even if it was gone: a pod may lose the label that is watched for, and get it back.
    fn witness(&mut self, object: K) -> Option<Arc<K>> {
        self.gone.retain(|uid| uid != object.uid());
        self.put(object)
    }

    fn put(&mut self, object: K) -> Option<Arc<K>> {
        if let Some(listing) = &mut self.arriving {
            listing.written.insert(object.uid().to_owned());
        }
        let objects = self.objects.entry(object.namespace().to_owned()).or_default();
        if objects.get(object.name()).is_some_and(|stored| is_newer(&**stored, &object)) {
            return None;
        }
        let object = Arc::new(object);
        let before = objects.insert(object.clone());
        self.changes += u64::from(is_nobodys(&*object) || before.is_some_and(|before| is_nobodys(&*before)));
        Some(object)
    }

    fn forget(&mut self, object: &K) -> Option<Arc<K>> {
        self.note_gone(object.uid());
        let objects = self.objects.get_mut(object.namespace())?;
        let same = objects.get(object.name()).is_some_and(|stored| stored.uid() == object.uid());
        let forgotten = same.then(|| objects.remove(object.name())).flatten();
        self.changes += u64::from(forgotten.as_ref().is_some_and(|object| is_nobodys(&**object)));
        if objects.is_empty() {
            self.objects.remove(object.namespace());
        }
        forgotten
    }

    fn note_gone(&mut self, uid: &str) {
        self.gone.retain(|known| known != uid);
        self.gone.push_back(uid.to_owned());
        if self.gone.len() > MOST_GONE {
            self.gone.pop_front();
        }
    }

    /// A full list replaces what was known, but for what was written while it was made. Comparing versions would not
    /// do: what is gone may well be newer than all that is left.
    fn replace_all(&mut self) -> Vec<Arc<K>> {
        let Listing { brought, written } = self.arriving.take().unwrap_or_default();
        self.lost_since = None;
        let before = std::mem::take(&mut self.objects);
        self.changes += 1;
        let before = before.values().flat_map(Shelf::all).cloned();
        let (kept, mut touched): (Vec<_>, Vec<_>) = before.partition(|object| written.contains(object.uid()));
        for object in kept {
            self.objects.entry(object.namespace().to_owned()).or_default().insert(object);
        }
        let is_there: HashSet<&str> = brought.iter().map(Object::uid).collect();
        let gone = touched.iter().filter(|object| !is_there.contains(object.uid()));
        gone.for_each(|object| self.note_gone(object.uid()));
        touched.extend(brought.into_iter().filter_map(|object| self.witness(object)).collect::<Vec<_>>());
        touched
    }
}

fn is_nobodys<K: Object>(object: &K) -> bool {
    object.label(names::CANARY_LABEL).is_none()
}

fn version<K: Object>(object: &K) -> u64 {
    object.version().parse().unwrap_or(u64::MAX)
}

/// Do they differ in their versions at most?
fn says_the_same<K: Object>(stored: &K, object: &mut K) -> bool {
    let version = object.meta().resource_version.clone();
    object.meta_mut().resource_version.clone_from(&stored.meta().resource_version);
    let same = *stored == *object;
    object.meta_mut().resource_version = version;
    same
}

fn is_newer<K: Object>(stored: &K, other: &K) -> bool {
    version(stored) > version(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Pod;

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
        memory.apply(Event::Apply(pod("a", "1", 8)));
        assert_eq!(version_of(&memory, "a").as_deref(), Some("8"));
    }

    #[test]
    fn what_only_has_a_new_version_is_kept_and_wakes_nobody() {
        let memory = Memory::default();
        memory.apply(Event::Apply(pod("a", "1", 5)));
        assert!(memory.apply(Event::Apply(pod("a", "1", 6))).is_empty());
        assert_eq!(version_of(&memory, "a").as_deref(), Some("6"), "the next write is guarded by it");
        let mut labelled = pod("a", "1", 7);
        labelled.metadata.labels = Some([("bad".to_owned(), "yes".to_owned())].into());
        assert_eq!(memory.apply(Event::Apply(labelled)).len(), 1);
        assert_eq!(memory.apply(Event::Apply(pod("a", "2", 8))).len(), 1, "a successor is somebody else");
    }

    #[test]
    fn the_late_delete_of_a_predecessor_spares_its_successor() {
        let memory = Memory::default();
        memory.put(pod("a", "2", 9));
        memory.apply(Event::Delete(pod("a", "1", 8)));
        assert!(memory.get("ns", "a").is_some());
    }

    #[test]
    fn a_list_forgets_what_is_gone_and_keeps_what_was_written_since() {
        let memory = Memory::default();
        memory.apply(Event::Apply(pod("gone", "1", 9)));
        memory.apply(Event::Init);
        memory.apply(Event::InitApply(pod("a", "2", 5)));
        memory.put(pod("new", "3", 11));
        let touched = memory.apply(Event::InitDone);
        assert_eq!(touched.iter().map(|pod| pod.name()).collect::<Vec<_>>(), ["gone", "a"]);
        assert!(memory.get("ns", "gone").is_none() && memory.get("ns", "new").is_some() && memory.is_synced());
        assert!(memory.put(pod("gone", "1", 10)).is_none(), "a late reply does not bring it back");
    }

    #[test]
    fn an_empty_list_leaves_nothing() {
        let memory = Memory::default();
        memory.apply(Event::Apply(pod("gone", "1", 9)));
        memory.apply(Event::Init);
        assert_eq!(memory.apply(Event::InitDone).len(), 1, "whom it concerns is woken");
        assert!(memory.all_in("ns").is_empty());
    }

    #[test]
    fn a_list_does_not_undo_what_was_written_while_it_was_made() {
        let memory = Memory::default();
        memory.apply(Event::Init);
        memory.put(pod("a", "1", 7));
        memory.apply(Event::InitApply(pod("a", "1", 5)));
        memory.apply(Event::InitDone);
        assert_eq!(version_of(&memory, "a").as_deref(), Some("7"));
    }

    #[test]
    fn a_reply_that_comes_after_the_end_brings_nobody_back() {
        let memory = Memory::default();
        memory.put(pod("a", "1", 7));
        memory.apply(Event::Delete(pod("a", "1", 9)));
        assert!(memory.put(pod("a", "1", 8)).is_none());
        assert!(memory.get("ns", "a").is_none());
        assert_eq!(
            memory.apply(Event::Apply(pod("a", "1", 9))).len(),
            1,
            "but a watch does, if it gets its label back"
        );
        assert!(memory.put(pod("a", "2", 10)).is_some(), "and a successor is somebody else");
    }

    #[test]
    fn a_broken_watch_is_mended_by_a_full_list_only() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let memory = Memory::default();
        memory.lose(at(1));
        memory.lose(at(2));
        memory.apply(Event::Init);
        memory.apply(Event::InitApply(pod("a", "1", 5)));
        assert_eq!(memory.lost_since(), Some(at(1)), "it is lost since it broke first");
        memory.apply(Event::InitDone);
        assert_eq!(memory.lost_since(), None);
    }

    #[test]
    fn nothing_is_kept_of_namespaces_that_are_empty() {
        let memory = Memory::default();
        for nth in 0..2 * MOST_GONE {
            let pod = pod("a", &nth.to_string(), nth as u64);
            memory.put(pod.clone());
            memory.forget(&pod);
        }
        let known = memory.lock();
        assert!(known.objects.is_empty());
        assert_eq!(known.gone.len(), MOST_GONE);
    }
}
