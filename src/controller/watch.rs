//! One watch: the loop that keeps it going, and how its events get into a store and wake the tasks that they concern.

use std::{fmt::Debug, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api, Resource,
    core::NamespaceResourceScope,
    runtime::watcher::{self, Config, DefaultBackoff, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::{clock, context::Context, key::Key, store::Store, stores::WatchGaps};
use crate::{
    api::{KanaryDeployment, names},
    decision::Absence,
    objects::Object,
};

/// The API server ends each watch after this time, and it is resumed. One that does not end then hangs.
const WATCH_SECONDS: u32 = 60;
/// A connection that is silent for this long is dead: longer than a quiet watch lasts, and shorter than kube waits before it
/// resumes a watch as if nothing had happened.
pub const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 3);
/// The longest pause between two tries of a watch that breaks.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A watch of one kind, from a full list on.
pub type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// How a watch goes on after an event or an error.
pub enum Next {
    /// With the next event.
    Event,
    /// After a pause, where it was. It does not report that it goes on.
    Resume,
    /// After a pause, with a full list.
    Relist,
    /// Not at all.
    End,
}

/// Follows a watch until `handle` ends it. All watches of the controller are this loop.
pub async fn follow<K>(begin: impl Fn() -> Events<K>, handle: impl FnMut(watcher::Result<Event<K>>) -> Next) {
    // Two minutes without an error reset it.
    follow_with(DefaultBackoff::default(), begin, handle).await;
}

async fn follow_with<K>(
    mut backoff: impl Iterator<Item = Duration>,
    begin: impl Fn() -> Events<K>,
    mut handle: impl FnMut(watcher::Result<Event<K>>) -> Next,
) {
    loop {
        let mut events = begin();
        while let Some(event) = events.next().await {
            match handle(event) {
                Next::Event => {}
                Next::Resume => pause(&mut backoff).await,
                Next::Relist => break,
                Next::End => return,
            }
        }
        pause(&mut backoff).await;
    }
}

/// Waits before the next try.
pub async fn pause(backoff: &mut impl Iterator<Item = Duration>) {
    tokio::time::sleep(backoff.next().unwrap_or(LONGEST_PAUSE)).await;
}

/// A task that ends when this is dropped.
pub struct WatchTask(JoinHandle<()>);

impl WatchTask {
    pub fn spawn(watch: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(watch))
    }

    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for WatchTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How to watch.
pub fn config() -> Config {
    Config::default().timeout(WATCH_SECONDS)
}

/// Begins a watch of all objects of a kind that the controller serves.
pub fn begin<K>(context: &Context) -> Events<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    begin_with(context, config())
}

/// The same, of those that the configuration selects.
pub fn begin_with<K>(context: &Context, config: Config) -> Events<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<K> = match &context.settings.namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    watcher(api, config).boxed()
}

/// Applies an event to a store, and wakes the tasks that it concerns.
pub fn apply<K>(
    context: &Context,
    store: &Store<K>,
    gaps: &WatchGaps,
    map: impl Fn(&Context, &K) -> Vec<Key>,
    event: Event<K>,
) where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let is_full = matches!(event, Event::InitDone);
    let lost_since = if is_full { store.lost_since() } else { None };
    // Before the watch counts as whole again: a task that observes in between must not find a time that nothing accounts for.
    if let Some(from) = lost_since {
        gaps.record(Absence { from, until: clock::now() });
    }
    store.hear(clock::now());
    let writer = writer(store, &event);
    for object in store.apply(event) {
        let others = map(context, &object).into_iter().filter(|key| Some(key) != writer.as_ref());
        others.for_each(|key| context.queue.wake(&key));
    }
    if is_full {
        context.warnings.resolve(&K::plural(&()));
    }
    if lost_since.is_some() {
        context.queue.wake_all();
    }
}

/// The resource whose task wrote what the event reports, if one did: it has read the reply, and observed again since.
fn writer<K>(store: &Store<K>, event: &Event<K>) -> Option<Key>
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let (object, is_deleted) = match event {
        Event::Apply(object) => (object, false),
        Event::Delete(object) => (object, true),
        Event::Init | Event::InitApply(_) | Event::InitDone => return None,
    };
    let known = store.get(object.namespace(), object.name()).filter(|known| known.uid() == object.uid());
    let is_echo =
        if is_deleted { known.is_none() } else { known.is_some_and(|known| known.version() == object.version()) };
    if !is_echo {
        return None;
    }
    let is_itself = K::kind(&()) == KanaryDeployment::kind(&());
    let name = if is_itself { Some(object.name()) } else { object.label(names::CANARY_LABEL) };
    name.map(|name| Key::new(object.namespace(), name))
}

/// Records that a watch broke. Tasks must know that, but not of each hiccup: only of what the next try does not repair.
pub fn lose<K>(context: &Context, store: &Store<K>, error: &watcher::Error)
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    context.warnings.warn(&K::plural(&()), error);
    let is_lasting = store.lost_since().is_some();
    store.lose(clock::now());
    if is_lasting {
        context.queue.wake_all();
    }
}

/// Did the API server refuse the request with one of these codes?
pub fn is_refused(error: &watcher::Error, codes: &[u16]) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code,
        watcher::Error::WatchError(status) => status.code,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => return false,
    };
    codes.contains(&code)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::stream;

    use super::*;

    fn events(numbers: Vec<u32>) -> Events<u32> {
        stream::iter(numbers.into_iter().map(|number| Ok(Event::Apply(number)))).chain(stream::pending()).boxed()
    }

    #[tokio::test]
    async fn a_watch_goes_on_as_it_is_told() {
        let lists = AtomicUsize::new(0);
        let begin = || events(if lists.fetch_add(1, Ordering::SeqCst) == 0 { vec![1, 2, 3] } else { vec![4, 5] });
        let mut seen = Vec::new();
        follow_with(std::iter::repeat(Duration::ZERO), begin, |event| {
            let Ok(Event::Apply(number)) = event else { return Next::End };
            seen.push(number);
            match number {
                1 => Next::Resume,
                2 => Next::Relist,
                4 => Next::Event,
                _ => Next::End,
            }
        })
        .await;
        assert_eq!((seen, lists.into_inner()), (vec![1, 2, 4, 5], 2));
    }
}
