//! Waits for the cluster to be as expected, on a watch: no polling, and no delay after the change.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug, Display},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// An expectation that was not met in time.
#[derive(Debug, thiserror::Error)]
pub struct Unmet {
    /// What was expected, in the words of the test.
    pub awaited: String,
    /// Of which objects, e.g. `Deployment shop/web`.
    pub of: String,
    /// How long the test waited.
    pub patience: Duration,
    /// The objects as last seen, as YAML.
    pub seen: String,
    /// What else happened in the namespace.
    pub diagnostics: String,
}

impl Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { awaited, of, patience, seen, diagnostics } = self;
        write!(f, "waited {} s for {of}: {awaited}\n--- last seen\n{seen}\n{diagnostics}", patience.as_secs())
    }
}

/// The objects that a watch shows, by name.
pub type Objects<K> = BTreeMap<String, K>;

/// Watches until `met` holds for the objects; `Err` has the objects as last seen.
pub async fn until<K>(
    api: Api<K>,
    config: watcher::Config,
    patience: Duration,
    mut met: impl FnMut(&Objects<K>) -> bool,
) -> Result<Objects<K>, Objects<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let (mut seen, mut fresh) = (Objects::new(), Objects::new());
    let watching = async {
        // A watch that breaks is reopened; one that never opens shows as no objects.
        let mut events = watcher::watcher(api, config).default_backoff().into_stream().boxed();
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    if take(event, &mut seen, &mut fresh) && met(&seen) {
                        return true;
                    }
                }
                Ok(None) => return false,
                Err(error) => eprintln!("watch: {error}"),
            }
        }
    };
    match tokio::time::timeout(patience, watching).await {
        Ok(true) => Ok(seen),
        _ => Err(seen),
    }
}

/// Applies one event; returns whether the set is complete, so that a condition can be checked.
fn take<K: ResourceExt>(event: Event<K>, seen: &mut Objects<K>, fresh: &mut Objects<K>) -> bool {
    match event {
        Event::Init => {
            fresh.clear();
            return false;
        }
        Event::InitApply(object) => {
            fresh.insert(object.name_any(), object);
            return false;
        }
        Event::InitDone => *seen = std::mem::take(fresh),
        Event::Apply(object) => {
            seen.insert(object.name_any(), object);
        }
        Event::Delete(object) => {
            seen.remove(&object.name_any());
        }
    }
    true
}

/// Objects as YAML, without the managed fields.
pub fn yaml<K: Serialize>(seen: &Objects<K>) -> String {
    if seen.is_empty() {
        return "(nothing)".into();
    }
    let documents = seen.values().map(|object| {
        let mut value = serde_json::to_value(object).unwrap_or_default();
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
        }
        serde_saphyr::to_string(&value).unwrap_or_else(|error| error.to_string())
    });
    documents.collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;

    use super::{Objects, take};

    fn named(name: &str) -> ConfigMap {
        let metadata = kube::core::ObjectMeta { name: Some(name.into()), ..Default::default() };
        ConfigMap { metadata, ..Default::default() }
    }

    #[test]
    fn a_watch_that_starts_again_forgets_what_is_gone() {
        let (mut seen, mut fresh) = (Objects::new(), Objects::new());
        let mut follow =
            |event| (take(event, &mut seen, &mut fresh), seen.keys().cloned().collect::<Vec<_>>().join(" "));
        assert_eq!(follow(Event::Init), (false, "".into()));
        assert_eq!(follow(Event::InitApply(named("a"))), (false, "".into()));
        assert_eq!(follow(Event::InitDone), (true, "a".into()));
        assert_eq!(follow(Event::Apply(named("b"))), (true, "a b".into()));
        assert_eq!(follow(Event::Init), (false, "a b".into()));
        assert_eq!(follow(Event::InitApply(named("b"))), (false, "a b".into()));
        assert_eq!(follow(Event::InitDone), (true, "b".into()));
        assert_eq!(follow(Event::Delete(named("b"))), (true, "".into()));
    }
}
