//! The objects of one kind in one namespace: by name, those of one canary together, and those that speak of a name.
//!
//! A namespace may have thousands of canaries; each look at one of them must not go through what the others made.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{api::names, objects::Object};

type ByName<K> = BTreeMap<String, Arc<K>>;

/// They come in the same order each time: those of nobody by name, then those of each canary by name.
pub struct Shelf<K> {
    /// What carries no canary's label.
    of_nobody: ByName<K>,
    of_canaries: BTreeMap<String, ByName<K>>,
    /// Whose an object is, by its name.
    canaries: HashMap<String, String>,
    /// Which objects mention a name.
    index_keys: HashMap<String, BTreeSet<String>>,
}

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self {
            of_nobody: BTreeMap::new(),
            of_canaries: BTreeMap::new(),
            canaries: HashMap::new(),
            index_keys: HashMap::new(),
        }
    }
}

impl<K: Object> Shelf<K> {
    /// One object.
    pub fn get(&self, name: &str) -> Option<&Arc<K>> {
        match self.canaries.get(name) {
            Some(canary) => self.of_canaries.get(canary)?.get(name),
            None => self.of_nobody.get(name),
        }
    }

    /// Puts an object in the place of the one of its name, and returns that.
    pub fn insert(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        let before = self.remove(object.name());
        let name = object.name().to_owned();
        for mentioned in object.index_keys() {
            self.index_keys.entry(mentioned).or_default().insert(name.clone());
        }
        match object.label(names::CANARY_LABEL).map(str::to_owned) {
            Some(canary) => {
                self.canaries.insert(name.clone(), canary.clone());
                self.of_canaries.entry(canary).or_default().insert(name, object);
            }
            None => drop(self.of_nobody.insert(name, object)),
        }
        before
    }

    /// Takes an object away.
    pub fn remove(&mut self, name: &str) -> Option<Arc<K>> {
        let removed = self.take(name)?;
        for mentioned in removed.index_keys() {
            if let Some(names) = self.index_keys.get_mut(&mentioned) {
                names.remove(name);
                if names.is_empty() {
                    self.index_keys.remove(&mentioned);
                }
            }
        }
        Some(removed)
    }

    fn take(&mut self, name: &str) -> Option<Arc<K>> {
        let Some(canary) = self.canaries.remove(name) else { return self.of_nobody.remove(name) };
        let objects = self.of_canaries.get_mut(&canary)?;
        let removed = objects.remove(name);
        if objects.is_empty() {
            self.of_canaries.remove(&canary);
        }
        removed
    }

    /// Is there nothing?
    pub fn is_empty(&self) -> bool {
        self.of_nobody.is_empty() && self.of_canaries.is_empty()
    }

    /// All.
    pub fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.of_nobody().chain(self.of_canaries.values().flat_map(BTreeMap::values))
    }

    /// Those of one canary.
    pub fn of_canary(&self, canary: &str) -> impl Iterator<Item = &Arc<K>> {
        self.of_canaries.get(canary).into_iter().flat_map(BTreeMap::values)
    }

    /// Those that speak of a name.
    pub fn mentioning(&self, name: &str) -> impl Iterator<Item = &Arc<K>> {
        self.index_keys.get(name).into_iter().flatten().filter_map(|by| self.get(by))
    }

    /// Those that carry no canary's label.
    pub fn of_nobody(&self) -> impl Iterator<Item = &Arc<K>> {
        self.of_nobody.values()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::KanaryDeployment, objects::Pod};

    fn pod(name: &str, canary: Option<&str>) -> Arc<Pod> {
        let labels = json!({names::CANARY_LABEL: canary});
        let labels = if canary.is_some() { labels } else { json!({}) };
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).expect("a pod"))
    }

    fn names_of<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>) -> Vec<&'a str> {
        pods.map(|pod| pod.name()).collect()
    }

    #[test]
    fn who_mentions_a_name_is_found_for_as_long_as_it_does() {
        let kanary = |name: &str, base: &str| -> Arc<KanaryDeployment> {
            let spec = json!({"deploymentName": base, "template": {}});
            Arc::new(
                serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).expect("a KanaryDeployment"),
            )
        };
        let mut shelf = Shelf::default();
        shelf.insert(kanary("one", "web"));
        shelf.insert(kanary("two", "web"));
        let mentioning = |shelf: &Shelf<_>, name: &str| -> Vec<String> {
            shelf.mentioning(name).map(|kanary: &Arc<KanaryDeployment>| kanary.name().to_owned()).collect()
        };
        assert_eq!(mentioning(&shelf, "web"), ["one", "two"]);
        shelf.insert(kanary("one", "api"));
        assert_eq!(mentioning(&shelf, "web"), ["two"]);
        assert_eq!(
            (mentioning(&shelf, "api"), mentioning(&shelf, "one-kanary")),
            (vec!["one".into()], vec!["one".into()])
        );
        shelf.remove("one");
        shelf.remove("two");
        assert!(shelf.index_keys.is_empty());
    }

    #[test]
    fn an_object_that_changes_hands_is_found_where_it_is() {
        let mut shelf = Shelf::default();
        for (name, canary) in [("c", Some("try")), ("b", None), ("a", Some("try")), ("d", Some("other"))] {
            shelf.insert(pod(name, canary));
        }
        assert_eq!(names_of(shelf.of_canary("try")), ["a", "c"]);
        assert_eq!(names_of(shelf.all()), ["b", "d", "a", "c"]);
        shelf.insert(pod("a", Some("other")));
        shelf.insert(pod("c", None));
        assert_eq!(names_of(shelf.of_canary("try")), [""; 0]);
        assert_eq!(names_of(shelf.of_canary("other")), ["a", "d"]);
        assert_eq!(names_of(shelf.of_nobody()), ["b", "c"]);
        assert_eq!(shelf.get("a").and_then(|pod| pod.label(names::CANARY_LABEL)), Some("other"));
        for name in ["a", "b", "c", "d"] {
            assert!(shelf.remove(name).is_some() && shelf.get(name).is_none(), "{name}");
        }
        assert!(shelf.is_empty() && shelf.canaries.is_empty() && shelf.of_canaries.is_empty());
    }
}
