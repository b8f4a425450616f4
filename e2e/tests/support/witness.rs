//! For what must not happen, not even for a moment: every version of every object that a watch showed.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kanary_e2e::{Error, TestNamespace, test_namespace::Kind};
use kube::{
    ResourceExt,
    runtime::watcher::{Config, Event, watcher},
};
use tokio::{sync::watch, task::JoinHandle};

/// It records everything from its start on. A test that only reads now and then would miss what is soon undone.
pub struct Witness<K> {
    versions: Arc<Mutex<Vec<K>>>,
    /// Names of the existing objects; `None` before the first full list.
    live: watch::Receiver<Option<Vec<String>>>,
    task: JoinHandle<()>,
}

impl<K: Kind + Sync> Witness<K> {
    /// Watches the objects with the labels.
    pub async fn of(ns: &TestNamespace, labels: &str) -> Result<Self, Error> {
        let versions = Arc::new(Mutex::new(Vec::new()));
        let (sender, live) = watch::channel(None);
        let (api, config, written) = (ns.api::<K>(), Config::default().labels(labels), versions.clone());
        let task = tokio::spawn(async move {
            let mut events = watcher(api, config).boxed();
            while let Some(event) = events.next().await {
                let Ok(event) = event else { continue };
                let version = match &event {
                    Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => Some(object.clone()),
                    Event::Init | Event::InitDone => None,
                };
                written.lock().unwrap_or_else(PoisonError::into_inner).extend(version);
                sender.send_modify(|live| follow(live, &event));
            }
        });
        let mut witness = Self { versions, live, task };
        witness.until("a first list", |_| true).await?;
        Ok(witness)
    }

    /// All versions, once none of the objects exists any more.
    pub async fn until_all_gone(mut self) -> Result<Vec<K>, Error> {
        self.until("all objects are gone", <[String]>::is_empty).await?;
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(versions.clone())
    }

    async fn until(&mut self, awaited: &str, met: impl Fn(&[String]) -> bool) -> Result<(), Error> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);
        let met = self.live.wait_for(|live| live.as_deref().is_some_and(&met));
        match tokio::time::timeout(PATIENCE, met).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::wrong(format!("a witness waited {} s for: {awaited}", PATIENCE.as_secs()))),
        }
    }
}

impl<K> Drop for Witness<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn follow<K: ResourceExt>(live: &mut Option<Vec<String>>, event: &Event<K>) {
    match event {
        Event::InitDone => drop(live.get_or_insert_default()),
        Event::Apply(object) | Event::InitApply(object) => {
            let names = live.get_or_insert_default();
            if !names.contains(&object.name_any()) {
                names.push(object.name_any());
            }
        }
        Event::Delete(object) => live.get_or_insert_default().retain(|name| *name != object.name_any()),
        Event::Init => {}
    }
}
