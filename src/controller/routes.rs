//! The routes of a mesh: watched while their CustomResourceDefinition exists, and no longer. A cluster without a mesh gets
//! no further requests for them.

use std::{fmt::Debug, sync::Arc};

use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event, watcher},
};

use super::{
    context::Context,
    key::Key,
    observe,
    stores::{RouteStore, Stores},
    supervise::supervise,
    watch::{self, Events, Next, Report, WatchTask, is_refused},
};
use crate::objects::{HTTPRoute, Object, RawObject, Readable, Unavailable, VirtualService};

/// A definition that was just created is not served at once. After this many tries it must change first.
const MOST_TRIES: usize = 8;

/// The name of what is watched, in warnings.
const DEFINITIONS: &str = "customresourcedefinitions";

/// Begins to watch both kinds.
pub fn start(context: &Arc<Context>) {
    follow_definition::<VirtualService>(context, |stores| &stores.virtual_services);
    follow_definition::<HTTPRoute>(context, |stores| &stores.http_routes);
}

/// Watches one CustomResourceDefinition by name: the permission for these two is enough.
fn follow_definition<K>(context: &Arc<Context>, routes: fn(&Stores) -> &RouteStore<K>)
where
    K: Readable + Debug + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let context = context.clone();
    let name = format!("{}.{}", K::plural(&()), K::group(&()));
    supervise(name.clone(), move || {
        let (context, name) = (context.clone(), name.clone());
        async move {
            let mut definition = CrdWatch { context: context.clone(), routes, task: None, listed: false };
            watch::follow(|| begin(&context, &name), |event| definition.handle(event)).await;
        }
    });
}

type Definition = RawObject<CustomResourceDefinition>;

fn begin(context: &Context, name: &str) -> Events<Definition> {
    let api: Api<Definition> = Api::all(context.client.clone());
    watcher(api, watch::config().fields(&format!("metadata.name={name}"))).boxed()
}

/// The watch of a kind, which comes and goes with its definition.
struct CrdWatch<K: 'static> {
    context: Arc<Context>,
    routes: fn(&Stores) -> &RouteStore<K>,
    task: Option<WatchTask>,
    /// Did the list that is under way bring the definition?
    listed: bool,
}

impl<K> CrdWatch<K>
where
    K: Readable + Debug + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    fn handle(&mut self, report: Report<Definition>) -> Next {
        match report {
            Report::Event(event) => {
                self.context.warnings.resolve(DEFINITIONS);
                self.apply(event);
                Next::Event
            }
            Report::GoesOn => Next::Event,
            Report::Error(error) => {
                self.context.warnings.warn(DEFINITIONS, &error);
                // A watch that is refused later is resumed where it was, and would not report the definition again.
                let is_unlisted = matches!(error, watcher::Error::InitialListFailed(_));
                if is_unlisted && is_refused(&error, &[401, 403]) {
                    self.stop(Unavailable::NotPermitted);
                }
                Next::Resume
            }
        }
    }

    fn apply(&mut self, event: Event<Definition>) {
        match event {
            Event::Init => self.listed = false,
            Event::InitApply(_) => self.listed = true,
            Event::InitDone if self.listed => self.start(),
            Event::InitDone | Event::Delete(_) => self.stop(Unavailable::NoCrd),
            Event::Apply(_) => self.start(),
        }
    }

    fn start(&mut self) {
        if self.task.as_ref().is_none_or(WatchTask::is_finished) {
            self.task = Some(WatchTask::spawn(follow(self.context.clone(), self.routes)));
        }
    }

    fn stop(&mut self, why: Unavailable) {
        self.task = None;
        let routes = (self.routes)(&self.context.stores);
        routes.store.clear();
        if routes.set(Some(why)) {
            wake_concerned(&self.context);
        }
    }
}

/// Watches the routes themselves. Ends when the API server does not serve them.
async fn follow<K>(context: Arc<Context>, routes: fn(&Stores) -> &RouteStore<K>)
where
    K: Readable + Debug + Send + Sync + 'static,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let routes = routes(&context.stores);
    let mut tries = 0;
    let handle = |report| match report {
        Report::Event(event) => {
            // kube reports Init before it requests anything.
            if matches!(event, Event::InitDone) {
                tries = 0;
            }
            apply(&context, routes, event);
            Next::Event
        }
        Report::GoesOn => {
            watch::recover(&context, &routes.store, &routes.gaps);
            if routes.set(None) {
                wake_concerned(&context);
            }
            Next::Event
        }
        Report::Error(error) => {
            tries += usize::from(is_refused(&error, &[404]));
            lose(&context, routes, &error);
            if tries > MOST_TRIES { Next::End } else { Next::Relist }
        }
    };
    watch::follow(|| watch::begin::<K>(&context), handle).await;
}

fn apply<K>(context: &Context, routes: &RouteStore<K>, event: Event<RawObject<K>>)
where
    K: Readable + Resource<DynamicType = ()>,
{
    let is_under_way = matches!(event, Event::Init | Event::InitApply(_));
    let is_full = matches!(event, Event::InitDone);
    watch::apply(context, &routes.store, |_, _| Vec::new(), event);
    // After a loss the watch itself must be shown to go on.
    if is_full && routes.lost_since().is_none() {
        routes.set(None);
    }
    if !is_under_way {
        wake_concerned(context);
    }
}

/// That routes are not served, or not permitted, is knowledge; any other error is a watch that broke.
fn lose<K>(context: &Context, routes: &RouteStore<K>, error: &watcher::Error)
where
    K: Object + Clone + Resource<DynamicType = ()>,
{
    let why = if is_refused(error, &[404]) {
        routes.store.clear();
        Some(Unavailable::NotServed)
    } else {
        watch::lose(context, &routes.store, error);
        is_refused(error, &[401, 403]).then_some(Unavailable::NotPermitted)
    };
    if why.is_some_and(|why| routes.set(Some(why))) {
        wake_concerned(context);
    }
}

/// A route may concern a canary of any namespace.
fn wake_concerned(context: &Context) {
    for kanary in context.stores.kanaries.all() {
        if observe::needs_routes(context, &kanary) {
            context.queue.wake(&Key::of(&kanary));
        }
    }
}
