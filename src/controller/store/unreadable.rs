//! What a store knows of objects that cannot be read: that they are there, and why they cannot be read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::objects::{Object, Unreadable};

/// What an event brought.
pub struct Taken<K> {
    /// The objects of which it reports something that was not known. Of one that cannot be read, what is known of it.
    pub touched: Vec<Arc<K>>,
    /// Those that cannot be read, if that is news.
    pub news: Vec<Unreadable>,
}

/// Those of a kind, by namespace and name. As a rule there are none.
#[derive(Default)]
pub(super) struct UnreadableObjects(HashMap<String, BTreeMap<String, Entry>>);

struct Entry {
    /// The canary that its label names.
    canary: Option<String>,
    why: Unreadable,
}

impl UnreadableObjects {
    /// Those with the label of a canary.
    pub fn of_canary(&self, namespace: &str, canary: &str) -> impl Iterator<Item = &Unreadable> {
        let entries = self.0.get(namespace).into_iter().flat_map(BTreeMap::values);
        entries.filter(move |entry| entry.canary.as_deref() == Some(canary)).map(|entry| &entry.why)
    }

    pub fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<&Unreadable> {
        self.0.get(namespace)?.get(name).map(|entry| &entry.why)
    }

    /// Is it news?
    pub fn insert<K: Object>(&mut self, object: &K, why: Unreadable) -> bool {
        let canary = object.canary().map(str::to_owned);
        let is_news = self.get(&why.namespace, &why.name) != Some(&why);
        let entries = self.0.entry(why.namespace.clone()).or_default();
        entries.insert(why.name.clone(), Entry { canary, why });
        is_news
    }

    pub fn remove<K: Object>(&mut self, object: &K) -> bool {
        let Some(entries) = self.0.get_mut(object.namespace()) else { return false };
        let removed = entries.remove(object.name());
        if entries.is_empty() {
            self.0.remove(object.namespace());
        }
        removed.is_some()
    }
}
