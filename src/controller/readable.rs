//! The watch of the KanaryDeployments, less those that this version cannot read.

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event, watcher},
};
use serde::Deserialize;
use serde_json::Value;

use super::watch::config;
use crate::{
    api::{KanaryDeployment, KanaryDeploymentSpec},
    seen::metadata,
};

/// What may be a `KanaryDeployment`: one that cannot be read must not break the watch of all others.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = KanaryDeployment)]
pub struct Unread {
    #[serde(deserialize_with = "metadata::read")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    status: Option<Value>,
}

/// All that can be read, from a full list on.
pub fn watch(api: Api<Unread>) -> BoxStream<'static, watcher::Result<Event<KanaryDeployment>>> {
    watcher(api, config()).map(valid).boxed()
}

type Known = Event<KanaryDeployment>;

fn valid(event: watcher::Result<Event<Unread>>) -> watcher::Result<Known> {
    event.map(|event| match event {
        Event::Apply(unread) => kept(unread, Event::Apply),
        Event::InitApply(unread) => kept(unread, Event::InitApply),
        Event::Delete(unread) => kept(unread, Event::Delete),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}

/// An object that does not fit the types was written past an older CRD: it is reported and left alone, and what was known
/// of it before is no longer true.
fn kept(Unread { metadata, spec, status }: Unread, event: fn(KanaryDeployment) -> Known) -> Known {
    let read = || Ok((serde_json::from_value(spec)?, status.map(serde_json::from_value).transpose()?));
    match read() {
        Ok((spec, status)) => event(KanaryDeployment { metadata, spec, status }),
        Err::<_, serde_json::Error>(error) => {
            tracing::error!(
                namespace = metadata.namespace.as_deref().unwrap_or_default(),
                name = metadata.name.as_deref().unwrap_or_default(),
                %error,
                "a KanaryDeployment does not fit this version: apply its CRD again"
            );
            Event::Delete(KanaryDeployment { metadata, spec: KanaryDeploymentSpec::default(), status: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::memory::Memory;

    fn unread(spec: Value) -> Unread {
        let metadata = json!({"name": "try", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
        serde_json::from_value(json!({
            "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": metadata, "spec": spec,
        }))
        .expect("anything that has metadata")
    }

    #[test]
    fn who_no_longer_fits_the_types_is_forgotten() {
        let (readable, unreadable) = (|| unread(json!({"template": {}})), || unread(json!({"template": "none"})));
        let memory = Memory::default();
        let take_in = |event| memory.apply(valid(Ok(event)).expect("no error"));
        for event in [Event::Apply, Event::Delete, Event::InitApply] {
            take_in(Event::Apply(readable()));
            assert!(memory.get("shop", "try").is_some());
            assert_eq!(take_in(event(unreadable())).len(), 1, "it is told of");
            assert!(memory.get("shop", "try").is_none());
        }
    }
}
