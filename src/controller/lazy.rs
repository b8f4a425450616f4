//! Objects, decoded lazily: a spec whose generation is known is not decoded again. Most events are about the status; the spec
//! is the longer part, and costs the most to decode.

use kube::runtime::watcher::Event;

use super::store::Store;
use crate::objects::{RawObject, Readable, Reading};

/// Reads what changed, given what is known. A full list is decoded whole, whatever the generations say: they do not count
/// what a new default, or another spelling of a quantity, makes of a spec.
pub fn read<K: Readable>(event: Event<RawObject<K>>, kind: &str, store: &Store<K>) -> Event<Reading<K>> {
    let with_known = |raw: RawObject<K>| {
        let metadata = raw.metadata();
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        let known = store.readable(namespace.unwrap_or_default(), name.unwrap_or_default());
        raw.read(kind, known.as_deref())
    };
    match event {
        Event::Apply(raw) => Event::Apply(with_known(raw)),
        Event::Delete(raw) => Event::Delete(with_known(raw)),
        Event::InitApply(raw) => Event::InitApply(raw.read(kind, None)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::KanaryDeployment,
        objects::{Deployment, Object},
    };

    fn raw<K>(generation: u64, spec: Value) -> RawObject<K> {
        let metadata = json!({"name": "try", "namespace": "shop", "uid": "1", "generation": generation,
            "resourceVersion": "7"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("any JSON")
    }

    #[test]
    fn a_resource_that_cannot_be_decoded_is_kept_and_is_told() {
        let readable = || raw::<KanaryDeployment>(1, json!({"serviceName": "web", "template": {}}));
        let store = Store::default();
        let take = |event| store.take(read(event, "KanaryDeployment", &store));
        for spec in [json!({"template": "none"}), Value::Null] {
            take(Event::Apply(readable()));
            assert_eq!(store.unreadable("shop", "try"), None);
            let taken = take(Event::Apply(raw(2, spec.clone())));
            assert_eq!((taken.touched.len(), taken.news.len()), (1, 1), "it is reported");
            let why = store.unreadable("shop", "try").expect("it cannot be read");
            assert!(why.field.starts_with("spec"), "{why}");
            assert_eq!(store.get("shop", "try").expect("it is there").spec.service_name, None);
            assert_eq!(take(Event::Apply(raw(2, spec))).news, [], "once");
        }
        assert_eq!(take(Event::Apply(readable())).touched.len(), 1, "it can be read again");
        assert_eq!(store.get("shop", "try").expect("it is there").spec.service_name.as_deref(), Some("web"));
    }

    #[test]
    fn a_base_that_cannot_be_decoded_is_not_gone() {
        let broken = || -> RawObject<Deployment> {
            serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "shop", "uid": "1"}, "status": 1}))
                .expect("any JSON")
        };
        let store = Store::default();
        let take = |event| store.take(read(event, "Deployment", &store));
        take(Event::Init);
        take(Event::InitApply(broken()));
        take(Event::InitApply(raw(1, json!({"replicas": 3}))));
        let taken = take(Event::InitDone);
        assert_eq!((taken.touched.len(), taken.news.len()), (2, 1), "the other one is known");
        assert!(store.get("shop", "web").is_none() && store.unreadable("shop", "web").is_some());
        take(Event::Delete(broken()));
        assert_eq!(store.unreadable("shop", "web"), None, "now it is");
    }

    #[test]
    fn a_spec_is_decoded_once_a_generation() {
        let store = Store::<Deployment>::default();
        let replicas = |event: fn(RawObject<Deployment>) -> Event<RawObject<Deployment>>, generation, replicas| {
            let event = event(raw(generation, json!({"replicas": replicas})));
            store.take(read(event, "Deployment", &store));
            store.get("shop", "try").map(|known| known.spec.replicas)
        };
        assert_eq!(replicas(Event::Apply, 1, 3), Some(3));
        assert_eq!(replicas(Event::Apply, 1, 4), Some(3), "the API server would have counted a change");
        assert_eq!(replicas(Event::Apply, 2, 5), Some(5));
        store.take(Event::Init);
        replicas(Event::InitApply, 2, 6);
        store.take(Event::InitDone);
        assert_eq!(store.get("shop", "try").map(|known| known.spec.replicas), Some(6), "a list is decoded whole");
        assert!(store.get("shop", "try").is_some_and(|known| known.name() == "try"));
    }
}
