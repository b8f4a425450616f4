//! The routes of a mesh, and the subsets that they name: watched while their CustomResourceDefinition exists, and no longer. A
//! cluster without a mesh gets no further requests for them.

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

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
    subsets,
    supervise::supervise,
    watch::{self, Events, Next, Report, WatchTask, is_refused},
};
use crate::{
    objects::{DestinationRule, HTTPRoute, RawObject, Readable, Unavailable, VirtualService},
    traffic::mesh_subsets,
};

/// A definition that was just created is not served at once. After this many tries it must change first.
const MOST_TRIES: usize = 8;

/// A kind that a cluster may lack.
trait MeshKind: Readable + Debug + Send + Sync + 'static
where
    Self: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    /// Does a source of traffic write into them, so that runs wait until they are known?
    const IS_WRITTEN: bool = true;

    fn store(stores: &Stores) -> &RouteStore<Self>;

    /// Does it have to do with subsets of pods?
    fn names_subsets(&self) -> bool {
        false
    }

    /// The canaries of which it names subsets.
    fn concerned(_: &Context, _: &Self) -> Vec<Key> {
        Vec::new()
    }
}

impl MeshKind for VirtualService {
    fn store(stores: &Stores) -> &RouteStore<Self> {
        &stores.virtual_services
    }

    fn names_subsets(&self) -> bool {
        !mesh_subsets::hosts_with_subsets(self, "").is_empty()
    }

    fn concerned(context: &Context, route: &Self) -> Vec<Key> {
        subsets::concerned_by_route(context, route)
    }
}

impl MeshKind for HTTPRoute {
    fn store(stores: &Stores) -> &RouteStore<Self> {
        &stores.http_routes
    }
}

impl MeshKind for DestinationRule {
    const IS_WRITTEN: bool = false;

    fn store(stores: &Stores) -> &RouteStore<Self> {
        &stores.destination_rules
    }

    fn names_subsets(&self) -> bool {
        mesh_subsets::names_subsets(self)
    }

    fn concerned(context: &Context, rule: &Self) -> Vec<Key> {
        subsets::concerned_by_rule(context, rule)
    }
}

/// Begins to watch all three kinds.
pub fn start(context: &Arc<Context>) {
    follow_definition::<VirtualService>(context);
    follow_definition::<HTTPRoute>(context);
    follow_definition::<DestinationRule>(context);
}

/// Watches one CustomResourceDefinition by name: the permission for these is enough.
fn follow_definition<K: MeshKind>(context: &Arc<Context>) {
    let context = context.clone();
    let name = format!("{}.{}", K::plural(&()), K::group(&()));
    supervise(name.clone(), move || {
        let (context, name) = (context.clone(), name.clone());
        async move {
            let title = format!("customresourcedefinitions/{name}");
            let mut definition = CrdWatch::<K>::new(context.clone(), title);
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
struct CrdWatch<K> {
    context: Arc<Context>,
    /// The definition, in warnings.
    title: String,
    task: Option<WatchTask>,
    /// Did the list that is under way bring the definition?
    listed: bool,
    kind: PhantomData<K>,
}

impl<K: MeshKind> CrdWatch<K> {
    fn new(context: Arc<Context>, title: String) -> Self {
        Self { context, title, task: None, listed: false, kind: PhantomData }
    }

    fn handle(&mut self, report: Report<Definition>) -> Next {
        match report {
            Report::Event(event) => {
                self.context.warnings.resolve(&self.title);
                self.apply(event);
                Next::Event
            }
            Report::GoesOn => Next::Event,
            Report::Error(error) => {
                self.context.warnings.warn(&self.title, &error);
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
            self.task = Some(WatchTask::spawn(follow::<K>(self.context.clone())));
        }
    }

    fn stop(&mut self, why: Unavailable) {
        self.task = None;
        forget::<K>(&self.context, why);
    }
}

/// Watches the objects themselves. Ends when the API server does not serve them.
async fn follow<K: MeshKind>(context: Arc<Context>) {
    let routes = K::store(&context.stores);
    let mut tries = 0;
    let handle = |report| match report {
        Report::Event(event) => {
            // kube reports Init before it requests anything.
            if matches!(event, Event::InitDone) {
                tries = 0;
            }
            apply::<K>(&context, event);
            Next::Event
        }
        Report::GoesOn => {
            watch::recover(&context, &routes.store, &routes.gaps);
            if routes.set(None) {
                wake_routed::<K>(&context);
            }
            Next::Event
        }
        Report::Error(error) => {
            tries += usize::from(is_refused(&error, &[404]));
            lose::<K>(&context, &error);
            if tries > MOST_TRIES { Next::End } else { Next::Relist }
        }
    };
    watch::follow(|| watch::begin::<K>(&context), handle).await;
}

fn apply<K: MeshKind>(context: &Context, event: Event<RawObject<K>>) {
    let routes = K::store(&context.stores);
    if !matches!(event, Event::InitDone) {
        let is_under_way = matches!(event, Event::Init | Event::InitApply(_));
        watch::apply(context, &routes.store, K::concerned, event);
        if !is_under_way {
            wake_routed::<K>(context);
        }
        return;
    }
    let named_subsets = names_subsets::<K>(context);
    watch::apply(context, &routes.store, |_, _| Vec::new(), event);
    // After a loss the watch itself must be shown to go on.
    if routes.lost_since().is_none() {
        routes.set(None);
    }
    wake_routed::<K>(context);
    // Whom each object of a full list concerns would take longer to find.
    if named_subsets || names_subsets::<K>(context) {
        context.queue.wake_all();
    }
}

/// That routes are not served, or not permitted, is knowledge; any other error is a watch that broke.
fn lose<K: MeshKind>(context: &Context, error: &watcher::Error) {
    if is_refused(error, &[404]) {
        return forget::<K>(context, Unavailable::NotServed);
    }
    let is_forbidden = is_refused(error, &[401, 403]);
    if is_forbidden && !K::IS_WRITTEN {
        // The roles may be of an older version: said once, and nothing waits for it.
        context.warnings.warn(&K::plural(&()), error);
        return forget::<K>(context, Unavailable::NotPermitted);
    }
    watch::lose(context, &K::store(&context.stores).store, error);
    if is_forbidden && K::store(&context.stores).set(Some(Unavailable::NotPermitted)) {
        wake_routed::<K>(context);
    }
}

/// There are none, or none that the controller may know of.
fn forget<K: MeshKind>(context: &Context, why: Unavailable) {
    let routes = K::store(&context.stores);
    let named_subsets = names_subsets::<K>(context);
    routes.store.clear();
    if routes.set(Some(why)) {
        wake_routed::<K>(context);
    }
    if named_subsets {
        context.queue.wake_all();
    }
}

fn names_subsets<K: MeshKind>(context: &Context) -> bool {
    K::store(&context.stores).store.all().iter().any(|object| object.names_subsets())
}

/// A route that a source writes into may concern a canary of any namespace.
fn wake_routed<K: MeshKind>(context: &Context) {
    if !K::IS_WRITTEN {
        return;
    }
    for kanary in context.stores.kanaries.all() {
        if observe::needs_routes(context, &kanary) {
            context.queue.wake(&Key::of(&kanary));
        }
    }
}
