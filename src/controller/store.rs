//! The store of one kind: fed by a watch, and by the replies to our own writes.
//!
//! This is why it is not the `reflector::Store` of kube: that one is written by its watch alone, so a reconciliation that
//! follows a write would decide on the state before it.
//!
//! # Assumption
//! resourceVersions of one kind grow, as they do on every API server.
//!
//! # Guarantees
//! What was written is read back at once, a watch event that is older does not undo it, and what is gone does not come back.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use kube::runtime::watcher::Event;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

pub use unreadable::Taken;
use unreadable::UnreadableObjects;

use super::index::Index;
use crate::objects::{Object, Unreadable};

mod health;
mod take;
mod unreadable;

/// All objects of a kind, by namespace and name.
pub struct Store<K> {
    contents: Mutex<Contents<K>>,
    synced: watch::Sender<bool>,
}

struct Contents<K> {
    /// By namespace.
    objects: HashMap<String, Index<K>>,
    arriving: Option<Listing<K>>,
    /// Uids of what is gone, the latest last: the reply to a write may come after the event of the deletion.
    gone: VecDeque<String>,
    /// The watch broke then, and has not been shown to go on since.
    lost_since: Option<Timestamp>,
    /// Was there a full list since?
    is_relisted: bool,
    unreadable: UnreadableObjects,
    /// When the watch last reported anything.
    heard_at: Option<Timestamp>,
    /// Counts the changes of objects without the label of a canary.
    unlabelled_revision: u64,
}

/// A list that is under way.
struct Listing<K> {
    /// What it has brought so far.
    brought: Vec<K>,
    /// Uids of what was written since it began; it may have been made before that.
    written: HashSet<String>,
    /// What it has brought that cannot be read.
    unreadable: Vec<(K, Unreadable)>,
}

/// A reply is late by seconds at most; fewer objects of a kind than this are deleted in that time.
const MOST_GONE: usize = 512;

impl<K> Default for Store<K> {
    fn default() -> Self {
        let contents = Contents {
            objects: HashMap::new(),
            arriving: None,
            gone: VecDeque::new(),
            lost_since: None,
            is_relisted: false,
            unreadable: UnreadableObjects::default(),
            heard_at: None,
            unlabelled_revision: 0,
        };
        Self { contents: Mutex::new(contents), synced: watch::Sender::new(false) }
    }
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Self { brought: Vec::new(), written: HashSet::new(), unreadable: Vec::new() }
    }
}

impl<K: Object + Clone> Store<K> {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.lock().objects.get(namespace)?.get(name).cloned()
    }

    /// All objects of a namespace.
    pub fn all_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.pick(namespace, |index| index.all().cloned().collect())
    }

    /// The objects of a namespace that refer to a name. There may be thousands of others, which are not visited.
    pub fn by_reference(&self, namespace: &str, name: &str) -> Vec<Arc<K>> {
        self.pick(namespace, |index| index.by_reference(name).cloned().collect())
    }

    /// The objects with the label of a canary.
    pub fn of_canary(&self, namespace: &str, canary: &str) -> Vec<Arc<K>> {
        self.pick(namespace, |index| index.of_canary(canary).cloned().collect())
    }

    /// The objects without the label of a canary that match.
    pub fn unlabelled(&self, namespace: &str, matches: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.pick(namespace, |index| index.unlabelled().filter(|object| matches(object)).cloned().collect())
    }

    /// Grows whenever an object without the label of a canary is added, changed or removed: what was made from all of them
    /// is good until then.
    pub fn unlabelled_revision(&self) -> u64 {
        self.lock().unlabelled_revision
    }

    fn pick(&self, namespace: &str, pick: impl FnOnce(&Index<K>) -> Vec<Arc<K>>) -> Vec<Arc<K>> {
        self.lock().objects.get(namespace).map(pick).unwrap_or_default()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.lock().objects.is_empty()
    }

    /// All objects, in no order.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.lock().objects.values().flat_map(Index::all).cloned().collect()
    }

    /// Removes everything: the kind itself is gone, and there is nothing to miss.
    pub fn clear(&self) {
        let mut contents = self.lock();
        contents.objects.clear();
        contents.unreadable = UnreadableObjects::default();
        contents.unlabelled_revision += 1;
        contents.lost_since = None;
    }

    /// Applies a watch event, and returns the objects of which it reports something that was not known.
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
            // The task that deleted it has removed it already, but others may have waited for that.
            Event::Delete(object) => {
                self.forget(&object);
                vec![Arc::new(object)]
            }
        }
    }

    /// Stores the reply to a write, unless something newer is known.
    pub fn put(&self, mut object: K) -> Option<Arc<K>> {
        object.prune();
        let mut contents = self.lock();
        let is_gone = contents.gone.iter().any(|uid| uid == object.uid());
        if is_gone { None } else { contents.put(object) }
    }

    /// Removes an object that is gone; a later one of the same name stays.
    pub fn forget(&self, object: &K) -> Option<Arc<K>> {
        self.lock().forget(object)
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

    fn lock(&self) -> MutexGuard<'_, Contents<K>> {
        self.contents.lock()
    }
}

impl<K: Object> Contents<K> {
    /// Most events bring nothing but a new version: of what they report, such as a pod's address, nothing is kept.
    fn learn(&mut self, mut object: K) -> Option<Arc<K>> {
        let stored = self.objects.get(object.namespace()).and_then(|index| index.get(object.name()));
        let is_known = stored.is_some_and(|stored| is_unchanged(&**stored, &mut object));
        self.witness(object).filter(|_| !is_known)
    }

    /// What a watch reports exists, even if it was gone: a pod may lose the label that is watched for, and get it back.
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
        self.unlabelled_revision +=
            u64::from(is_unlabelled(&*object) || before.is_some_and(|before| is_unlabelled(&*before)));
        Some(object)
    }

    fn forget(&mut self, object: &K) -> Option<Arc<K>> {
        self.note_gone(object.uid());
        let objects = self.objects.get_mut(object.namespace())?;
        let same = objects.get(object.name()).is_some_and(|stored| stored.uid() == object.uid());
        let forgotten = same.then(|| objects.remove(object.name())).flatten();
        self.unlabelled_revision += u64::from(forgotten.as_ref().is_some_and(|object| is_unlabelled(&**object)));
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

    /// A full list replaces what was known, except what was written while it was made. Comparing versions would not do:
    /// what is gone may well be newer than all that is left.
    fn replace_all(&mut self) -> Vec<Arc<K>> {
        let Listing { brought, written, .. } = self.arriving.take().unwrap_or_default();
        self.is_relisted = true;
        let before = std::mem::take(&mut self.objects);
        self.unlabelled_revision += 1;
        let before = before.values().flat_map(Index::all).cloned();
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

fn is_unlabelled<K: Object>(object: &K) -> bool {
    object.canary().is_none()
}

fn version<K: Object>(object: &K) -> u64 {
    object.version().parse().unwrap_or(u64::MAX)
}

/// Do they differ in their versions at most?
fn is_unchanged<K: Object>(stored: &K, object: &mut K) -> bool {
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
mod tests;
