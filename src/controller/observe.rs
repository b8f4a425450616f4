//! Gathers an observation from the stores. No request is made here.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    clock,
    context::Context,
    endpoints::EndpointWatch,
    key::Key,
    stores::WatchGaps,
    subsets,
    task_state::{Services, TaskState},
};
use crate::{
    api::{KanaryDeployment, names},
    decision::{Absence, Kind, Observed, Routes, services_of},
    objects::{Deployment, Object, Pod, Service, Unreadable},
    traffic,
};

/// A watch that reported something within this time has not fallen silent.
const RECENTLY: SignedDuration = SignedDuration::from_secs(5);

/// What is known around one resource; none, if the resource is gone.
pub fn gather(context: &Context, key: &Key, state: &mut TaskState) -> Option<Observed> {
    let stores = &context.stores;
    let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
    let kanary = stores.kanaries.get(namespace, name)?;
    let routed = needs_routes(context, &kanary);
    let now = clock::now();
    let (canary, pods) = canary(context, &kanary);
    let base = stores.deployments.get(namespace, &names::base(&kanary));
    let services = services(context, &kanary, &mut state.services);
    let subsets = subsets::gather(context, &kanary, &services, &mut state.subsets);
    let meshed = Meshed { routed, has_subsets: !subsets.destination_rules.is_empty() };
    Some(Observed {
        neighbours: if base.is_none() { stores.deployments.unlabelled(namespace, |_| true) } else { Vec::new() },
        base,
        canary,
        pods,
        services,
        autoscalers: stores.autoscalers.all_in(namespace),
        pod_selectors: stores.pod_selectors.iter().flat_map(|store| store.all_in(namespace)).collect(),
        endpoints: state.endpoints.as_ref().and_then(EndpointWatch::listed),
        routes: if routed { all_routes(context) } else { Routes::default() },
        subsets,
        absences: absences(context, meshed, now),
        is_fresh: stores.heard_since(now - RECENTLY),
        is_absence_confirmed: false,
        watch_broken_since: stores.watch_broken_since().into_iter().chain(meshed.lost_since(context)).min(),
        prometheus: context.prometheus.egress().clone(),
        unreadable: unreadable(context, &kanary, routed),
        // The driver adds what it remembers.
        ..Observed::around(kanary, now)
    })
}

/// The canary Deployment and its pods.
pub fn canary(context: &Context, kanary: &KanaryDeployment) -> (Option<Arc<Deployment>>, Vec<Arc<Pod>>) {
    let (stores, namespace) = (&context.stores, kanary.namespace());
    (stores.deployments.get(namespace, &names::canary(kanary)), stores.pods.of_canary(namespace, kanary.name()))
}

/// The Services that matter. Those of other canaries select only these canaries' pods; but one of them may have the very name
/// that this canary refers to.
fn services(context: &Context, kanary: &KanaryDeployment, known: &mut Services) -> Vec<Arc<Service>> {
    let (store, namespace) = (&context.stores.services, kanary.namespace());
    let base = context.stores.deployments.get(namespace, &names::base(kanary));
    let template = base.as_ref().map(|base| base.spec.template.hash.clone());
    let now = Some((store.unlabelled_revision(), kanary.uid().to_owned(), kanary.metadata.generation, template));
    if known.of != now {
        let found = store.unlabelled(namespace, services_of(kanary, base.as_deref()));
        *known = Services { of: now, found };
    }
    let mut services = known.found.clone();
    services.extend(store.of_canary(namespace, kanary.name()));
    let named = [kanary.spec.service_name.clone(), Some(names::kanary_service(kanary))];
    let named = named.into_iter().flatten().filter_map(|name| store.get(namespace, &name));
    let missing: Vec<_> =
        named.filter(|service| !services.iter().any(|other| other.name() == service.name())).collect();
    services.extend(missing);
    services
}

/// When there was no leader, and when a watch of the leader was broken. One that ends in the future was recorded by a clock
/// that was wrong.
fn absences(context: &Context, meshed: Meshed, now: Timestamp) -> Vec<Absence> {
    let stores = &context.stores;
    let mut absences = context.leadership.absences();
    absences.extend(stores.gaps.all());
    absences.extend(meshed.gaps(context).into_iter().flat_map(WatchGaps::all));
    absences.retain(|absence| absence.until <= now);
    absences.sort_by_key(|absence| absence.from);
    absences
}

/// Most canaries have nothing to do with routes.
pub fn needs_routes(context: &Context, kanary: &KanaryDeployment) -> bool {
    let own = context.stores.virtual_services.store.of_canary(kanary.namespace(), kanary.name());
    traffic::concerns_routes(kanary, !own.is_empty())
}

/// What a run names, or made, and cannot be read. What it does not name is the business of others.
fn unreadable(context: &Context, kanary: &KanaryDeployment, routed: bool) -> Vec<Unreadable> {
    let (stores, namespace) = (&context.stores, kanary.namespace());
    let canary = names::canary(kanary);
    let deployments = [&names::base(kanary), &canary].map(|name| stores.deployments.unreadable(namespace, name));
    let services = kanary.spec.service_name.iter().cloned().chain([names::kanary_service(kanary)]);
    let services = services.filter_map(|name| stores.services.unreadable(namespace, &name));
    let itself = stores.kanaries.unreadable(namespace, kanary.name());
    let all = itself.into_iter().chain(deployments.into_iter().flatten()).chain(services);
    let all = all.chain(stores.autoscalers.unreadable(namespace, &canary));
    let all = all.chain(stores.pods.unreadable_of_canary(namespace, kanary.name()));
    let routes = traffic::named_routes(kanary).into_iter().filter(|_| routed).filter_map(|(kind, name)| match kind {
        Kind::VirtualService => stores.virtual_services.store.unreadable(namespace, &name),
        Kind::HTTPRoute => stores.http_routes.store.unreadable(namespace, &name),
        Kind::Deployment | Kind::Service | Kind::HorizontalPodAutoscaler | Kind::Pod | Kind::KanaryDeployment => None,
    });
    all.chain(routes).collect()
}

/// Which watches of a mesh a decision depends on.
#[derive(Clone, Copy)]
struct Meshed {
    routed: bool,
    has_subsets: bool,
}

impl Meshed {
    fn lost_since(self, context: &Context) -> Option<Timestamp> {
        let stores = &context.stores;
        let virtual_services = stores.virtual_services.lost_since().filter(|_| self.routed || self.has_subsets);
        let http_routes = stores.http_routes.lost_since().filter(|_| self.routed);
        let destination_rules = stores.destination_rules.lost_since().filter(|_| self.has_subsets);
        [virtual_services, http_routes, destination_rules].into_iter().flatten().min()
    }

    fn gaps(self, context: &Context) -> Vec<&WatchGaps> {
        let stores = &context.stores;
        let virtual_services = Some(&stores.virtual_services.gaps).filter(|_| self.routed || self.has_subsets);
        let http_routes = Some(&stores.http_routes.gaps).filter(|_| self.routed);
        let destination_rules = Some(&stores.destination_rules.gaps).filter(|_| self.has_subsets);
        [virtual_services, http_routes, destination_rules].into_iter().flatten().collect()
    }
}

/// Those of a mesh, of all namespaces.
pub fn all_routes(context: &Context) -> Routes {
    Routes {
        domain: context.settings.cluster_domain.clone(),
        virtual_services: context.stores.virtual_services.known(),
        http_routes: context.stores.http_routes.known(),
        is_fresh: false,
    }
}
