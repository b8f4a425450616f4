//! How a store takes what was read of a watch event, objects that cannot be read included.

use std::sync::Arc;

use kube::runtime::watcher::Event;

use super::{
    Contents, Store,
    unreadable::{Taken, UnreadableObjects},
};
use crate::objects::{Object, Readable, Reading, Unreadable};

impl<K: Readable> Store<K> {
    /// Applies what was read of a watch event. An object that cannot be read is not known any more, but is not gone either: at
    /// no moment is it neither known nor unreadable.
    pub fn take(&self, event: Event<Reading<K>>) -> Taken<K> {
        match event {
            Event::Init => Taken { touched: self.apply(Event::Init), news: Vec::new() },
            Event::InitApply(Reading { object, unreadable }) => self.list(object, unreadable),
            Event::InitDone => self.listed(),
            Event::Apply(Reading { object, unreadable: None }) => self.learn(object),
            Event::Apply(Reading { object, unreadable: Some(why) }) => self.lose_sight(object, why),
            Event::Delete(Reading { object, .. }) => {
                let touched = self.apply(Event::Delete(object));
                for object in &touched {
                    self.lock().unreadable.remove(&**object);
                }
                Taken { touched, news: Vec::new() }
            }
        }
    }

    fn list(&self, object: K, unreadable: Option<Unreadable>) -> Taken<K> {
        let Some(why) = unreadable else {
            return Taken { touched: self.apply(Event::InitApply(object)), news: Vec::new() };
        };
        if K::IS_OURS {
            self.apply(Event::InitApply(object.clone()));
        }
        self.lock().arriving.get_or_insert_default().unreadable.push((object, why));
        Taken { touched: Vec::new(), news: Vec::new() }
    }

    fn listed(&self) -> Taken<K> {
        let unreadable = self.lock().arriving.as_mut().map(|list| std::mem::take(&mut list.unreadable));
        let unreadable = unreadable.unwrap_or_default();
        let (mut news, mut added) = (Vec::new(), UnreadableObjects::default());
        for (object, why) in &unreadable {
            added.insert(object, why.clone());
            if self.lock().unreadable.insert(object, why.clone()) {
                news.push(why.clone());
            }
        }
        let mut touched = self.apply(Event::InitDone);
        self.lock().unreadable = added;
        touched.extend(unreadable.into_iter().filter(|_| !K::IS_OURS).map(|(object, _)| Arc::new(object)));
        Taken { touched, news }
    }

    fn learn(&self, object: K) -> Taken<K> {
        let was_unreadable = self.unreadable(object.namespace(), object.name()).is_some();
        let again = was_unreadable.then(|| Arc::new(object.clone()));
        let mut touched = self.apply(Event::Apply(object));
        if let Some(object) = again {
            self.lock().unreadable.remove(&*object);
            touched = vec![object];
        }
        Taken { touched, news: Vec::new() }
    }

    fn lose_sight(&self, object: K, why: Unreadable) -> Taken<K> {
        let is_news = self.lock().unreadable.insert(&object, why.clone());
        let mut touched: Vec<_> = is_news.then(|| Arc::new(object.clone())).into_iter().collect();
        if K::IS_OURS {
            touched.extend(self.apply(Event::Apply(object)));
            touched.truncate(1);
        } else {
            touched.extend(self.lock().overlook(&object));
        }
        Taken { touched, news: is_news.then_some(why).into_iter().collect() }
    }

    /// An object that is known as it is, and not by its metadata alone.
    pub fn readable(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let contents = self.lock();
        let known = contents.objects.get(namespace)?.get(name).cloned();
        known.filter(|_| contents.unreadable.get(namespace, name).is_none())
    }

    /// Why an object cannot be read, if it is there.
    pub fn unreadable(&self, namespace: &str, name: &str) -> Option<Unreadable> {
        self.lock().unreadable.get(namespace, name).cloned()
    }

    /// Those with the label of a canary.
    pub fn unreadable_of_canary(&self, namespace: &str, canary: &str) -> Vec<Unreadable> {
        self.lock().unreadable.of_canary(namespace, canary).cloned().collect()
    }

    /// How many there are.
    pub fn unreadable_count(&self) -> usize {
        self.lock().unreadable.count()
    }
}

impl<K: Object> Contents<K> {
    /// It is there, and not known.
    fn overlook(&mut self, object: &K) -> Option<Arc<K>> {
        self.unlabelled_revision += 1;
        self.objects.get_mut(object.namespace())?.remove(object.name())
    }
}
