//! One watch: the loop that keeps it going, and how its events get into a store and wake the tasks that they concern.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api, Resource,
    core::NamespaceResourceScope,
    runtime::watcher::{self, Config, DefaultBackoff, Event, watcher},
};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    clock,
    context::Context,
    key::Key,
    lazy,
    store::{Store, Taken},
    stores::WatchGaps,
};
use crate::{
    api::KanaryDeployment,
    decision::Absence,
    objects::{Object, RawObject, Readable, Reading, Unreadable},
};

/// The API server ends each watch after this time, and it is resumed. One that does not end then hangs.
const WATCH_SECONDS: u32 = 60;
/// A connection that is silent for this long is dead: longer than a quiet watch lasts, and shorter than kube waits before it
/// resumes a watch as if nothing had happened.
pub const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 3);
/// The longest pause between two tries of a watch that breaks.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A watch that was begun is refused within this time, if at all; where the API server is slower, after a few tries.
const FIRST_TRIAL: Duration = Duration::from_secs(1);

/// A watch of one kind, from a full list on.
pub type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// What a watch reports.
pub enum Report<K> {
    Event(Event<K>),
    Error(watcher::Error),
    /// No error followed the full list: the watch goes on. That it can be listed alone does not show it.
    GoesOn,
}

/// How a watch goes on after that.
pub enum Next {
    /// With the next report.
    Event,
    /// After a pause, where it was.
    Resume,
    /// After a pause, with a full list.
    Relist,
    /// Not at all.
    End,
}

/// Follows a watch until `handle` ends it. All watches of the controller are this loop.
pub async fn follow<K>(begin: impl Fn() -> Events<K>, handle: impl FnMut(Report<K>) -> Next) {
    // Two minutes without an error reset it.
    follow_with(DefaultBackoff::default(), Trial::of(FIRST_TRIAL), begin, handle).await;
}

async fn follow_with<K>(
    mut backoff: impl Iterator<Item = Duration>,
    mut trial: Trial,
    begin: impl Fn() -> Events<K>,
    mut handle: impl FnMut(Report<K>) -> Next,
) {
    loop {
        let mut events = begin();
        while let Some(report) = trial.next(&mut events).await {
            match handle(report) {
                Next::Event => {}
                Next::Resume => pause(&mut backoff).await,
                Next::Relist => break,
                Next::End => return,
            }
        }
        pause(&mut backoff).await;
    }
}

/// Whether a watch goes on after its list. kube does not report that it was begun, only that it was refused.
struct Trial {
    /// It goes on if there is no error until then.
    until: Option<Instant>,
    /// When the list was complete.
    listed_at: Option<Instant>,
    first: Duration,
    /// Longer after each that was too short.
    length: Duration,
}

impl Trial {
    fn of(first: Duration) -> Self {
        Self { until: None, listed_at: None, first, length: first }
    }

    async fn next<K>(&mut self, events: &mut Events<K>) -> Option<Report<K>> {
        let event = match self.until {
            None => events.next().await?,
            Some(until) => tokio::select! {
                biased;
                event = events.next() => event?,
                () = tokio::time::sleep_until(until) => {
                    self.until = None;
                    return Some(Report::GoesOn);
                }
            },
        };
        match event {
            Ok(event) => {
                if matches!(event, Event::InitDone) {
                    let now = Instant::now();
                    (self.listed_at, self.until) = (Some(now), Some(now + self.length));
                }
                Some(Report::Event(event))
            }
            Err(error) => {
                let is_on_trial = self.until.take().is_some();
                // One that does not outlive its first minute was refused late: the trial was too short.
                let was_short = self.listed_at.take().is_some_and(|at| at.elapsed() < SILENCE);
                self.length = match (is_on_trial, was_short) {
                    (true, _) => self.length,
                    (false, true) => (2 * self.length).min(LONGEST_PAUSE),
                    (false, false) => self.first,
                };
                Some(Report::Error(error))
            }
        }
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
pub fn begin<K>(context: &Context) -> Events<RawObject<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
{
    begin_with(context, config())
}

/// The same, of those that the configuration selects.
pub fn begin_with<K>(context: &Context, config: Config) -> Events<RawObject<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
{
    let api: Api<RawObject<K>> = match &context.settings.namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    watcher(api, config).boxed()
}

/// Applies an event to a store, and wakes the tasks that it concerns.
pub fn apply<K>(context: &Context, store: &Store<K>, map: impl Fn(&Context, &K) -> Vec<Key>, event: Event<RawObject<K>>)
where
    K: Readable + Resource<DynamicType = ()>,
{
    store.hear(clock::now());
    let event = lazy::read(event, &K::kind(&()), store);
    let writer = writer(store, &event);
    let before = known(store, &event);
    let Taken { touched, news } = store.take(event);
    // What it concerned before must know that it does no more.
    let before = before.filter(|_| !touched.is_empty());
    for object in touched.into_iter().chain(before) {
        let others = map(context, &object).into_iter().filter(|key| Some(key) != writer.as_ref());
        others.for_each(|key| context.queue.wake(&key));
    }
    news.iter().for_each(report);
}

/// Logs once that an object cannot be read.
pub fn report(why: &Unreadable) {
    let Unreadable { kind, namespace, name, field, error } = why;
    tracing::error!(kind, namespace, name, field, error, "cannot read an object; runs that need it are paused");
}

/// Records that a watch goes on; tasks must know it if it was broken.
pub fn recover<K>(context: &Context, store: &Store<K>, gaps: &WatchGaps)
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    context.warnings.resolve(&K::plural(&()));
    if store.regain(|from| gaps.record(Absence { from, until: clock::now() })) {
        context.queue.wake_all();
    }
}

/// What was known of the object of an event.
fn known<K: Object + Clone>(store: &Store<K>, event: &Event<Reading<K>>) -> Option<Arc<K>> {
    match event {
        Event::Apply(Reading { object, .. }) => store.get(object.namespace(), object.name()),
        // A list reports what was known itself.
        Event::Delete(_) | Event::Init | Event::InitApply(_) | Event::InitDone => None,
    }
}

/// The resource whose task wrote what the event reports, if one did: it has read the reply, and observed again since.
fn writer<K>(store: &Store<K>, event: &Event<Reading<K>>) -> Option<Key>
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let (object, is_deleted) = match event {
        Event::Apply(Reading { object, unreadable: None }) => (object, false),
        Event::Apply(_) => return None,
        Event::Delete(Reading { object, .. }) => (object, true),
        Event::Init | Event::InitApply(_) | Event::InitDone => return None,
    };
    let known = store.get(object.namespace(), object.name()).filter(|known| known.uid() == object.uid());
    let is_echo =
        if is_deleted { known.is_none() } else { known.is_some_and(|known| known.version() == object.version()) };
    if !is_echo {
        return None;
    }
    let is_itself = K::kind(&()) == KanaryDeployment::kind(&());
    let name = if is_itself { Some(object.name()) } else { object.canary() };
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
mod tests;
