//! Objects, decoded lazily: a spec whose generation is known is not decoded again, and what this version cannot decode is
//! left alone. Most events are about the status; the spec is the longer part, and costs the most to decode.

use std::{borrow::Cow, marker::PhantomData, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    runtime::watcher::{self, Event},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::store::Store;
use crate::{
    api::{KanaryDeployment, KanaryDeploymentSpec, KanaryDeploymentStatus},
    objects::{Deployment, DeploymentSpec, DeploymentStatus, Object, metadata::RawMetadata},
};

/// An object of a kind for which `metadata.generation` counts the changes of its spec.
pub trait LazySpec: Object + Clone + Resource<DynamicType = ()> {
    type Spec: DeserializeOwned;
    type Status: Default + DeserializeOwned;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self;
    /// The same object with new metadata and status; the spec and its last writer stay.
    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self;
    /// The placeholder for an object that cannot be decoded, if it may be left alone.
    fn unreadable(metadata: ObjectMeta) -> Option<Self>;
}

impl LazySpec for KanaryDeployment {
    type Spec = KanaryDeploymentSpec;
    type Status = Option<KanaryDeploymentStatus>;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status }
    }

    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self {
        Self { metadata, spec: self.spec.clone(), status }
    }

    /// It was admitted by an older CRD, and must not break the watch of all others.
    fn unreadable(metadata: ObjectMeta) -> Option<Self> {
        Some(Self { metadata, spec: KanaryDeploymentSpec::default(), status: None })
    }
}

impl LazySpec for Deployment {
    type Spec = DeploymentSpec;
    type Status = DeploymentStatus;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status, last_manager: None }
    }

    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self {
        Self { metadata, spec: self.spec.clone(), status, last_manager: self.last_manager.clone() }
    }

    /// A base that cannot be decoded must not be taken for one that is gone.
    fn unreadable(_: ObjectMeta) -> Option<Self> {
        None
    }
}

/// An object of which only the metadata is decoded.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub struct RawObject<K> {
    metadata: RawMetadata,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K: Resource<DynamicType = ()>> Resource for RawObject<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata.rest
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata.rest
    }
}

/// Decodes what changed, given what is known. A full list is decoded whole, whatever the generations say: they do not count
/// what a new default, or another spelling of a quantity, makes of a spec.
pub fn read<K: LazySpec>(event: Event<RawObject<K>>, store: &Store<K>) -> watcher::Result<Event<K>> {
    let known = |raw: &RawObject<K>| {
        let metadata = &raw.metadata.rest;
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        let known = store.get(namespace.unwrap_or_default(), name.unwrap_or_default());
        known.filter(|known| has_same_spec(Object::meta(&**known), metadata))
    };
    match event {
        Event::Apply(raw) => of_one(known(&raw), raw, Event::Apply),
        Event::Delete(raw) => of_one(known(&raw), raw, Event::Delete),
        Event::InitApply(raw) => of_one(None, raw, Event::InitApply),
        Event::Init => Ok(Event::Init),
        Event::InitDone => Ok(Event::InitDone),
    }
}

/// The event about one object. One that cannot be decoded is reported as deleted: what was known of it is not true any more.
fn of_one<K: LazySpec>(
    known: Option<Arc<K>>,
    raw: RawObject<K>,
    event: fn(K) -> Event<K>,
) -> watcher::Result<Event<K>> {
    match raw.parse(known) {
        Ok(object) => Ok(event(object)),
        Err(error) => {
            let metadata = raw.metadata.rest;
            let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
            let gone = K::unreadable(metadata).map(Event::Delete);
            gone.inspect(|_| {
                let kind = K::kind(&());
                tracing::error!(namespace, name, %error, "cannot decode a {kind}; apply the CRD of this version");
            })
            .ok_or_else(|| watcher::Error::WatchFailed(kube::Error::SerdeError(error)))
        }
    }
}

impl<K: LazySpec> RawObject<K> {
    fn parse(&self, known: Option<Arc<K>>) -> Result<K, serde_json::Error> {
        let status = self.status.as_deref().map(|raw| serde_json::from_str(raw.get())).transpose()?.unwrap_or_default();
        if let Some(known) = known {
            return Ok(known.renewed(self.metadata.rest.clone(), status));
        }
        let spec = serde_json::from_str(self.spec.as_deref().map_or("null", RawValue::get))?;
        Ok(K::assemble(self.metadata.with_writers()?, spec, status))
    }
}

fn has_same_spec(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.generation.is_some() && one.generation == other.generation && one.uid == other.uid
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn raw<K: LazySpec>(generation: u64, spec: Value) -> RawObject<K> {
        let metadata = json!({"name": "try", "namespace": "shop", "uid": "1", "generation": generation,
            "resourceVersion": "7"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("anything that has metadata")
    }

    #[test]
    fn what_cannot_be_decoded_any_more_is_removed() {
        let readable = || raw::<KanaryDeployment>(1, json!({"template": {}}));
        let store = Store::default();
        let apply = |event| store.apply(read(event, &store).expect("no error of the watch"));
        for event in [Event::Apply, Event::Delete, Event::InitApply] {
            for spec in [json!({"template": "none"}), Value::Null] {
                apply(Event::Apply(readable()));
                assert!(store.get("shop", "try").is_some());
                assert_eq!(apply(event(raw(2, spec))).len(), 1, "it is reported");
                assert!(store.get("shop", "try").is_none());
            }
        }
    }

    #[test]
    fn a_base_that_cannot_be_decoded_is_not_gone() {
        let mut base = raw::<Deployment>(1, json!({}));
        base.status = serde_json::from_value(json!({"conditions": 1})).expect("JSON");
        assert!(read(Event::Apply(base), &Store::default()).is_err(), "the watch is broken");
    }

    #[test]
    fn a_spec_is_decoded_once_a_generation() {
        let store = Store::<Deployment>::default();
        let replicas = |event: fn(RawObject<Deployment>) -> Event<RawObject<Deployment>>, generation, replicas| {
            let event = event(raw(generation, json!({"replicas": replicas})));
            store.apply(read(event, &store).expect("no error of the watch"));
            store.get("shop", "try").map(|known| known.spec.replicas)
        };
        assert_eq!(replicas(Event::Apply, 1, 3), Some(3));
        assert_eq!(replicas(Event::Apply, 1, 4), Some(3), "the API server would have counted a change");
        assert_eq!(replicas(Event::Apply, 2, 5), Some(5));
        store.apply(Event::Init);
        replicas(Event::InitApply, 2, 6);
        store.apply(Event::InitDone);
        assert_eq!(store.get("shop", "try").map(|known| known.spec.replicas), Some(6), "a list is decoded whole");
    }
}
