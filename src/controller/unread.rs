//! Objects as a watch brings them: what did not change since is not read again, and what this version cannot read is left
//! alone. Most news of an object are of its status; its spec is the longer part, and costs the most to read.

use std::{borrow::Cow, marker::PhantomData, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    runtime::watcher::{self, Event},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::memory::Memory;
use crate::{
    api::{KanaryDeployment, KanaryDeploymentSpec, KanaryDeploymentStatus},
    objects::{Deployment, DeploymentSpec, DeploymentStatus, Object, metadata::Unsigned},
};

/// An object of a kind whose `metadata.generation` counts the changes of its spec.
pub trait Parts: Object + Clone + Resource<DynamicType = ()> {
    type Spec: DeserializeOwned;
    type Status: Default + DeserializeOwned;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self;
    /// The same, with the spec of one that is known, and with what is known of who wrote it.
    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self;
    /// What is told of one that cannot be read, if it may be left alone.
    fn unreadable(metadata: ObjectMeta) -> Option<Self>;
}

impl Parts for KanaryDeployment {
    type Spec = KanaryDeploymentSpec;
    type Status = Option<KanaryDeploymentStatus>;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status }
    }

    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self {
        Self { metadata, spec: self.spec.clone(), status }
    }

    /// It was written past an older CRD, and must not break the watch of all others.
    fn unreadable(metadata: ObjectMeta) -> Option<Self> {
        Some(Self { metadata, spec: KanaryDeploymentSpec::default(), status: None })
    }
}

impl Parts for Deployment {
    type Spec = DeploymentSpec;
    type Status = DeploymentStatus;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status, last_manager: None }
    }

    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self {
        Self { metadata, spec: self.spec.clone(), status, last_manager: self.last_manager.clone() }
    }

    /// A base that nobody can read must not look like one that is gone.
    fn unreadable(_: ObjectMeta) -> Option<Self> {
        None
    }
}

/// An object of which only the metadata is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub struct Unread<K> {
    metadata: Unsigned,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K: Resource<DynamicType = ()>> Resource for Unread<K> {
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

/// Reads what is news, with a look at what is known. A full list is read whole: what is kept must not be older than that, whatever the generation says. It does not count
/// what a new default or another spelling of a quantity makes of a spec.
pub fn read<K: Parts>(event: Event<Unread<K>>, memory: &Memory<K>) -> watcher::Result<Event<K>> {
    let known = |unread: &Unread<K>| {
        let metadata = &unread.metadata.rest;
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        let known = memory.get(namespace.unwrap_or_default(), name.unwrap_or_default());
        known.filter(|known| has_same_spec(Object::meta(&**known), metadata))
    };
    match event {
        Event::Apply(unread) => of_one(known(&unread), unread, Event::Apply),
        Event::Delete(unread) => of_one(known(&unread), unread, Event::Delete),
        Event::InitApply(unread) => of_one(None, unread, Event::InitApply),
        Event::Init => Ok(Event::Init),
        Event::InitDone => Ok(Event::InitDone),
    }
}

/// What is told of an object; of one that does not fit the types, that it is no more: what was known of it is not true.
fn of_one<K: Parts>(known: Option<Arc<K>>, unread: Unread<K>, event: fn(K) -> Event<K>) -> watcher::Result<Event<K>> {
    match unread.parse(known) {
        Ok(object) => Ok(event(object)),
        Err(error) => {
            let metadata = unread.metadata.rest;
            let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
            let gone = K::unreadable(metadata).map(Event::Delete);
            gone.inspect(|_| {
                let kind = K::kind(&());
                tracing::error!(namespace, name, %error, "a {kind} does not fit this version: apply its CRD again");
            })
            .ok_or_else(|| watcher::Error::WatchFailed(kube::Error::SerdeError(error)))
        }
    }
}

impl<K: Parts> Unread<K> {
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

    fn unread<K: Parts>(generation: u64, spec: Value) -> Unread<K> {
        let metadata = json!({"name": "try", "namespace": "shop", "uid": "1", "generation": generation,
            "resourceVersion": "7"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("anything that has metadata")
    }

    #[test]
    fn who_no_longer_fits_the_types_is_forgotten() {
        let readable = || unread::<KanaryDeployment>(1, json!({"template": {}}));
        let memory = Memory::default();
        let take_in = |event| memory.apply(read(event, &memory).expect("no error of the watch"));
        for event in [Event::Apply, Event::Delete, Event::InitApply] {
            for spec in [json!({"template": "none"}), Value::Null] {
                take_in(Event::Apply(readable()));
                assert!(memory.get("shop", "try").is_some());
                assert_eq!(take_in(event(unread(2, spec))).len(), 1, "it is told of");
                assert!(memory.get("shop", "try").is_none());
            }
        }
    }

    #[test]
    fn a_base_that_cannot_be_read_is_not_gone() {
        let mut base = unread::<Deployment>(1, json!({}));
        base.status = serde_json::from_value(json!({"conditions": 1})).expect("JSON");
        assert!(read(Event::Apply(base), &Memory::default()).is_err(), "nobody sees it");
    }

    #[test]
    fn a_spec_is_read_once_a_generation() {
        let memory = Memory::<Deployment>::default();
        let replicas = |event: fn(Unread<Deployment>) -> Event<Unread<Deployment>>, generation, replicas| {
            let event = event(unread(generation, json!({"replicas": replicas})));
            memory.apply(read(event, &memory).expect("no error of the watch"));
            memory.get("shop", "try").map(|known| known.spec.replicas)
        };
        assert_eq!(replicas(Event::Apply, 1, 3), Some(3));
        assert_eq!(replicas(Event::Apply, 1, 4), Some(3), "the API server would have counted a change");
        assert_eq!(replicas(Event::Apply, 2, 5), Some(5));
        memory.apply(Event::Init);
        replicas(Event::InitApply, 2, 6);
        memory.apply(Event::InitDone);
        assert_eq!(memory.get("shop", "try").map(|known| known.spec.replicas), Some(6), "a list is read whole");
    }
}
