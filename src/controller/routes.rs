//! The routes of a mesh: watched while their CustomResourceDefinition is there, and not a moment longer. A cluster without
//! a mesh is not asked for them again and again.

use std::{fmt::Debug, sync::Arc};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, DefaultBackoff, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch::Sender, task::JoinHandle};

use super::{
    Context, observe,
    store::Store,
    watch::{self, Stores, WatchGaps},
};
use crate::objects::{HTTPRoute, Listed, Object, Unavailable, VirtualService};

/// A definition that was just made is not served at once. After so many tries it must change first.
const MOST_TRIES: usize = 8;

/// What is known of one kind of routes.
pub struct Routes<K> {
    pub store: Store<K>,
    /// When their watch was broken.
    pub gaps: WatchGaps,
    unavailable: Sender<Option<Unavailable>>,
}

impl<K> Default for Routes<K> {
    fn default() -> Self {
        Self {
            store: Store::default(),
            gaps: WatchGaps::default(),
            unavailable: Sender::new(Some(Unavailable::Loading)),
        }
    }
}

impl<K: Object + Clone> Routes<K> {
    /// All of them, or why they are not known.
    pub fn known(&self) -> Listed<K> {
        match *self.unavailable.borrow() {
            None => Listed::All(self.store.all()),
            Some(why) => Listed::Not(why),
        }
    }

    /// Waits until it is known what there is, or why that is not known.
    pub async fn settled(&self) {
        // The sender lives in self: waiting cannot fail.
        let _ = self.unavailable.subscribe().wait_for(|why| *why != Some(Unavailable::Loading)).await;
    }

    /// Since when is its watch broken, if it is?
    pub fn lost_since(&self) -> Option<Timestamp> {
        self.store.lost_since()
    }

    fn set(&self, unavailable: Option<Unavailable>) -> bool {
        self.unavailable.send_if_modified(|now| std::mem::replace(now, unavailable) != unavailable)
    }
}

/// Begins to watch both kinds.
pub fn start(context: &Arc<Context>) {
    follow_definition::<VirtualService>(context, |stores| &stores.virtual_services);
    follow_definition::<HTTPRoute>(context, |stores| &stores.http_routes);
}

/// Follows one CustomResourceDefinition, by name: permission for these two does.
fn follow_definition<K>(context: &Arc<Context>, routes: fn(&Stores) -> &Routes<K>)
where
    K: Object + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let context = context.clone();
    let name = format!("{}.{}", K::plural(&()), K::group(&()));
    let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(context.client.clone());
    tokio::spawn(async move {
        let config = watch::config().fields(&format!("metadata.name={name}"));
        let mut stream = std::pin::pin!(watcher(definitions, config).default_backoff());
        let mut crd_watch = CrdWatch { context: &context, routes, task: None, listed: false };
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    context.warnings.resolve("customresourcedefinitions");
                    crd_watch.take(event);
                }
                Err(error) => {
                    context.warnings.warn("customresourcedefinitions", &error);
                    // A watch that is refused later is taken up where it was, and would not tell of the definition again.
                    let is_unlisted = matches!(error, watcher::Error::InitialListFailed(_));
                    if is_unlisted && is_refused(&error, &[401, 403]) {
                        crd_watch.stop(Unavailable::NotPermitted);
                    }
                }
            }
        }
    });
}

/// The watch of a kind, which comes and goes with its definition.
struct CrdWatch<'a, K> {
    context: &'a Arc<Context>,
    routes: fn(&Stores) -> &Routes<K>,
    task: Option<JoinHandle<()>>,
    /// Did the list that is under way bring the definition?
    listed: bool,
}

impl<K> CrdWatch<'_, K>
where
    K: Object + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    fn take(&mut self, event: Event<PartialObjectMeta<CustomResourceDefinition>>) {
        match event {
            Event::Init => self.listed = false,
            Event::InitApply(_) => self.listed = true,
            Event::InitDone if self.listed => self.start(),
            Event::InitDone | Event::Delete(_) => self.stop(Unavailable::NoCrd),
            Event::Apply(_) => self.start(),
        }
    }

    fn start(&mut self) {
        if self.task.as_ref().is_none_or(JoinHandle::is_finished) {
            let (context, routes) = (self.context.clone(), self.routes);
            self.task = Some(tokio::spawn(async move { follow(&context, routes).await }));
        }
    }

    fn stop(&mut self, why: Unavailable) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let routes = (self.routes)(&self.context.stores);
        routes.store.clear();
        if routes.set(Some(why)) {
            wake_concerned(self.context);
        }
    }
}

/// Watches the routes themselves. Ends when the API server does not serve them.
async fn follow<K>(context: &Arc<Context>, routes: fn(&Stores) -> &Routes<K>)
where
    K: Object + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let mut backoff = DefaultBackoff::default();
    let mut tries = 0;
    while tries <= MOST_TRIES {
        let mut events = std::pin::pin!(watcher(watch::scoped::<K>(context), watch::config()));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    // kube says Init before it asks for anything.
                    if matches!(event, Event::InitDone) {
                        tries = 0;
                    }
                    take_in(context, routes(&context.stores), event);
                }
                Err(error) => {
                    tries += usize::from(is_refused(&error, &[404]));
                    lose(context, routes(&context.stores), &error);
                    break;
                }
            }
        }
        tokio::time::sleep(backoff.next().unwrap_or(watch::LONGEST_PAUSE)).await;
    }
}

fn take_in<K>(context: &Context, routes: &Routes<K>, event: Event<K>)
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let is_under_way = matches!(event, Event::Init | Event::InitApply(_));
    let is_full = matches!(event, Event::InitDone);
    watch::take_in(context, &routes.store, &routes.gaps, |_, _| Vec::new(), event);
    if is_full {
        routes.set(None);
    }
    if !is_under_way {
        wake_concerned(context);
    }
}

/// What is not there, or not for us to see, is known to be so; any other error is a watch that broke.
fn lose<K>(context: &Context, routes: &Routes<K>, error: &watcher::Error)
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let why = match error {
        error if is_refused(error, &[404]) => Some(Unavailable::NotServed),
        error if is_refused(error, &[401, 403]) => Some(Unavailable::NotPermitted),
        _ => None,
    };
    match why {
        Some(Unavailable::NotServed) => routes.store.clear(),
        _ => watch::lose(context, &routes.store, error),
    }
    if why.is_some_and(|why| routes.set(Some(why))) {
        wake_concerned(context);
    }
}

fn is_refused(error: &watcher::Error, codes: &[u16]) -> bool {
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

/// A route may concern a canary of any namespace.
fn wake_concerned(context: &Context) {
    for kanary in context.stores.kanaries.all() {
        if observe::needs_routes(context, &kanary) {
            context.wake(&super::Key::of(&kanary));
        }
    }
}
