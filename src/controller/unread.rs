//! Objects as a watch brings them: what did not change since is not read again, and what this version cannot read is left
//! alone. Most news of an object are of its status; its spec is the longer part, and costs the most to read.

use std::{borrow::Cow, fmt, marker::PhantomData};

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::NamespaceResourceScope,
    runtime::watcher::{self, Event, watcher},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    Context,
    memory::Memory,
    watch::{World, config, scoped},
};
use crate::{
    api::{KanaryDeployment, KanaryDeploymentSpec, KanaryDeploymentStatus},
    seen::{Deployment, DeploymentSpec, DeploymentStatus, Seen, metadata::Unsigned},
};

/// An object of a kind whose `metadata.generation` counts the changes of its spec.
pub trait Parts:
    Seen + Clone + Resource<DynamicType = (), Scope = NamespaceResourceScope> + Send + Sync + 'static
{
    type Spec: Clone + Default + DeserializeOwned;
    type Status: Default + DeserializeOwned;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self;
    /// The same, with the spec of one that is known, and with what is known of who wrote it.
    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self;
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
}

impl Parts for Deployment {
    type Spec = DeploymentSpec;
    type Status = DeploymentStatus;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Self::Status) -> Self {
        Self { metadata, spec, status, writer: None }
    }

    fn renewed(&self, metadata: ObjectMeta, status: Self::Status) -> Self {
        Self { metadata, spec: self.spec.clone(), status, writer: self.writer.clone() }
    }
}

/// An object of which only the metadata is read.
#[derive(Deserialize)]
#[serde(bound = "")]
struct Unread<K> {
    metadata: Unsigned,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    #[serde(skip)]
    kind: PhantomData<K>,
}

impl<K> Clone for Unread<K> {
    fn clone(&self) -> Self {
        let Self { metadata, spec, status, kind } = self;
        Self { metadata: metadata.clone(), spec: spec.clone(), status: status.clone(), kind: *kind }
    }
}

impl<K> fmt::Debug for Unread<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Unread").field(&self.metadata.metadata.name).finish()
    }
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
        &self.metadata.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata.metadata
    }
}

/// A watch of one kind, from a full list on, with a look at what is known of it.
pub fn watch<K: Parts>(
    context: &Context,
    memory: impl Fn(&World) -> &Memory<K> + Send + 'static,
) -> BoxStream<'static, watcher::Result<Event<K>>> {
    let weak = context.weak.clone();
    let read = move |event: Event<Unread<K>>| match weak.upgrade() {
        Some(context) => read(event, memory(&context.world)),
        None => read(event, &Memory::default()),
    };
    watcher(scoped::<Unread<K>>(context), config()).map(move |event| event.map(&read)).boxed()
}

fn read<K: Parts>(event: Event<Unread<K>>, memory: &Memory<K>) -> Event<K> {
    match event {
        Event::Apply(unread) => kept(unread, memory, Event::Apply),
        Event::InitApply(unread) => kept(unread, memory, Event::InitApply),
        Event::Delete(unread) => kept(unread, memory, Event::Delete),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// An object that does not fit the types was written past an older CRD: it must not break the watch of all others, so it is
/// reported and left alone, and what was known of it before is no longer true.
fn kept<K: Parts>(unread: Unread<K>, memory: &Memory<K>, event: fn(K) -> Event<K>) -> Event<K> {
    let found = unread.metadata.metadata.clone();
    unread.read(memory).map_or_else(
        |error| {
            tracing::error!(
                namespace = found.namespace.as_deref().unwrap_or_default(),
                name = found.name.as_deref().unwrap_or_default(),
                %error,
                "a {} does not fit this version: apply its CRD again",
                K::kind(&())
            );
            Event::Delete(K::assemble(found, K::Spec::default(), K::Status::default()))
        },
        event,
    )
}

impl<K: Parts> Unread<K> {
    fn read(self, memory: &Memory<K>) -> Result<K, serde_json::Error> {
        let found = &self.metadata.metadata;
        let (namespace, name) = (found.namespace.as_deref(), found.name.as_deref());
        let known = memory.get(namespace.unwrap_or_default(), name.unwrap_or_default());
        let status = parse(self.status.as_deref())?;
        match known.filter(|known| has_same_spec(Seen::meta(&**known), found)) {
            Some(known) => Ok(known.renewed(self.metadata.metadata, status)),
            None => Ok(K::assemble(self.metadata.with_writers()?, parse(self.spec.as_deref())?, status)),
        }
    }
}

fn has_same_spec(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.generation.is_some() && one.generation == other.generation && one.uid == other.uid
}

fn parse<T: Default + DeserializeOwned>(raw: Option<&RawValue>) -> Result<T, serde_json::Error> {
    raw.map_or_else(|| Ok(T::default()), |raw| serde_json::from_str(raw.get()))
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
        let unreadable = || unread(2, json!({"template": "none"}));
        let memory = Memory::default();
        let take_in = |event| memory.apply(read(event, &memory));
        for event in [Event::Apply, Event::Delete, Event::InitApply] {
            take_in(Event::Apply(readable()));
            assert!(memory.get("shop", "try").is_some());
            assert_eq!(take_in(event(unreadable())).len(), 1, "it is told of");
            assert!(memory.get("shop", "try").is_none());
        }
    }

    #[test]
    fn a_spec_is_read_once_a_generation() {
        let memory = Memory::<Deployment>::default();
        let replicas = |generation, replicas| {
            memory.apply(read(Event::Apply(unread(generation, json!({"replicas": replicas}))), &memory));
            memory.get("shop", "try").map(|known| known.spec.replicas)
        };
        assert_eq!(replicas(1, 3), Some(3));
        assert_eq!(replicas(1, 4), Some(3), "the API server would have counted a change");
        assert_eq!(replicas(2, 5), Some(5));
    }
}
