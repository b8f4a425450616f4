//! The watch of the KanaryDeployments, less those that this version cannot read.

use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api,
    core::error_boundary::{DeserializeGuard, InvalidObject},
    runtime::watcher::{self, Config, Event, watcher},
};

use crate::api::{KanaryDeployment, KanaryDeploymentSpec};

/// All that can be read, from a full list on.
pub fn watch(
    api: Api<DeserializeGuard<KanaryDeployment>>,
) -> BoxStream<'static, watcher::Result<Event<KanaryDeployment>>> {
    watcher(api, Config::default()).map(valid).boxed()
}

type Known = Event<KanaryDeployment>;

fn valid(event: watcher::Result<Event<DeserializeGuard<KanaryDeployment>>>) -> watcher::Result<Known> {
    event.map(|event| match event {
        Event::Apply(guard) => kept(guard, Event::Apply),
        Event::InitApply(guard) => kept(guard, Event::InitApply),
        Event::Delete(guard) => kept(guard, Event::Delete),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}

/// An object that does not fit the types was written past an older CRD: it is reported and left alone, and what was known
/// of it before is no longer true.
fn kept(guard: DeserializeGuard<KanaryDeployment>, event: fn(KanaryDeployment) -> Known) -> Known {
    guard.0.map_or_else(
        |InvalidObject { metadata, error }| {
            tracing::error!(
                namespace = metadata.namespace.as_deref().unwrap_or_default(),
                name = metadata.name.as_deref().unwrap_or_default(),
                error,
                "a KanaryDeployment does not fit this version: apply its CRD again"
            );
            let spec = KanaryDeploymentSpec::default();
            Event::Delete(KanaryDeployment { metadata, spec, status: None })
        },
        event,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::memory::Memory;

    fn guarded(spec: Value) -> DeserializeGuard<KanaryDeployment> {
        let metadata = json!({"name": "try", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
        serde_json::from_value(json!({
            "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": metadata, "spec": spec,
        }))
        .expect("a guard takes anything that has metadata")
    }

    #[test]
    fn who_no_longer_fits_the_types_is_forgotten() {
        let (readable, unreadable) = (|| guarded(json!({"template": {}})), || guarded(json!({"template": "none"})));
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
