//! The objects of one kind in one namespace, indexed by name, by the label of their canary, and by the names that they refer to.
//!
//! A namespace may have thousands of canaries; a reconciliation of one must not visit the objects of the others.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::objects::Object;

type ByName<K> = BTreeMap<String, Arc<K>>;

/// The order is the same each time: first those without a canary's label by name, then those of each canary by name.
pub struct Index<K> {
    /// Those without the label of a canary.
    unlabelled: ByName<K>,
    of_canaries: BTreeMap<String, ByName<K>>,
    /// The canary of an object, by the object's name.
    canaries: HashMap<String, String>,
    /// The names of the objects that refer to a name.
    references: HashMap<String, BTreeSet<String>>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self {
            unlabelled: BTreeMap::new(),
            of_canaries: BTreeMap::new(),
            canaries: HashMap::new(),
            references: HashMap::new(),
        }
    }
}

impl<K: Object> Index<K> {
    /// One object.
    pub fn get(&self, name: &str) -> Option<&Arc<K>> {
        match self.canaries.get(name) {
            Some(canary) => self.of_canaries.get(canary)?.get(name),
            None => self.unlabelled.get(name),
        }
    }

    /// Replaces the object of that name, and returns the old one.
    pub fn insert(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        let before = self.remove(object.name());
        let name = object.name().to_owned();
        for referenced in object.index_keys() {
            self.references.entry(referenced).or_default().insert(name.clone());
        }
        match object.canary().map(str::to_owned) {
            Some(canary) => {
                self.canaries.insert(name.clone(), canary.clone());
                self.of_canaries.entry(canary).or_default().insert(name, object);
            }
            None => drop(self.unlabelled.insert(name, object)),
        }
        before
    }

    /// Removes an object.
    pub fn remove(&mut self, name: &str) -> Option<Arc<K>> {
        let removed = self.take(name)?;
        for referenced in removed.index_keys() {
            if let Some(names) = self.references.get_mut(&referenced) {
                names.remove(name);
                if names.is_empty() {
                    self.references.remove(&referenced);
                }
            }
        }
        Some(removed)
    }

    fn take(&mut self, name: &str) -> Option<Arc<K>> {
        let Some(canary) = self.canaries.remove(name) else { return self.unlabelled.remove(name) };
        let objects = self.of_canaries.get_mut(&canary)?;
        let removed = objects.remove(name);
        if objects.is_empty() {
            self.of_canaries.remove(&canary);
        }
        removed
    }

    /// Is it empty?
    pub fn is_empty(&self) -> bool {
        self.unlabelled.is_empty() && self.of_canaries.is_empty()
    }

    /// All objects.
    pub fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.unlabelled().chain(self.of_canaries.values().flat_map(BTreeMap::values))
    }

    /// The objects with the label of one canary.
    pub fn of_canary(&self, canary: &str) -> impl Iterator<Item = &Arc<K>> {
        self.of_canaries.get(canary).into_iter().flat_map(BTreeMap::values)
    }

    /// The objects that refer to a name.
    pub fn by_reference(&self, name: &str) -> impl Iterator<Item = &Arc<K>> {
        self.references.get(name).into_iter().flatten().filter_map(|by| self.get(by))
    }

    /// The objects without the label of a canary.
    pub fn unlabelled(&self) -> impl Iterator<Item = &Arc<K>> {
        self.unlabelled.values()
    }
}

#[cfg(test)]
mod tests {
    use crate::api::names;
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
    fn an_object_is_found_by_a_name_while_it_refers_to_it() {
        let kanary = |name: &str, base: &str| -> Arc<KanaryDeployment> {
            let spec = json!({"deploymentName": base, "template": {}});
            Arc::new(
                serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).expect("a KanaryDeployment"),
            )
        };
        let mut index = Index::default();
        index.insert(kanary("one", "web"));
        index.insert(kanary("two", "web"));
        let by_reference = |index: &Index<_>, name: &str| -> Vec<String> {
            index.by_reference(name).map(|kanary: &Arc<KanaryDeployment>| kanary.name().to_owned()).collect()
        };
        assert_eq!(by_reference(&index, "web"), ["one", "two"]);
        index.insert(kanary("one", "api"));
        assert_eq!(by_reference(&index, "web"), ["two"]);
        assert_eq!(
            (by_reference(&index, "api"), by_reference(&index, "one-kanary")),
            (vec!["one".into()], vec!["one".into()])
        );
        index.remove("one");
        index.remove("two");
        assert!(index.references.is_empty());
    }

    #[test]
    fn an_object_that_changes_its_canary_is_found_there() {
        let mut index = Index::default();
        for (name, canary) in [("c", Some("try")), ("b", None), ("a", Some("try")), ("d", Some("other"))] {
            index.insert(pod(name, canary));
        }
        assert_eq!(names_of(index.of_canary("try")), ["a", "c"]);
        assert_eq!(names_of(index.all()), ["b", "d", "a", "c"]);
        index.insert(pod("a", Some("other")));
        index.insert(pod("c", None));
        assert_eq!(names_of(index.of_canary("try")), [""; 0]);
        assert_eq!(names_of(index.of_canary("other")), ["a", "d"]);
        assert_eq!(names_of(index.unlabelled()), ["b", "c"]);
        assert_eq!(index.get("a").and_then(|pod| pod.label(names::CANARY_LABEL)), Some("other"));
        for name in ["a", "b", "c", "d"] {
            assert!(index.remove(name).is_some() && index.get(name).is_none(), "{name}");
        }
        assert!(index.is_empty() && index.canaries.is_empty() && index.of_canaries.is_empty());
    }
}
