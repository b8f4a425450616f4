//! Gathers an observation from memory. No request is made here.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};

use super::{Context, Key, tend::TaskState};
use crate::{
    api::{KanaryDeployment, names},
    decision::{Absence, Observed, Routes, services_of},
    objects::{Deployment, Object, Pod, Service},
    traffic::mirror,
};

/// A watch that spoke so lately has not fallen silent.
const RECENTLY: SignedDuration = SignedDuration::from_secs(5);

/// Now, to the millisecond: that is what the status keeps.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}

/// The world around one resource; nothing, if the resource is gone.
pub fn observe(context: &Context, key: &Key, state: &mut TaskState) -> Option<Observed> {
    let stores = &context.stores;
    let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
    let kanary = stores.kanaries.get(namespace, name)?;
    let routed = needs_routes(context, &kanary);
    let now = now();
    let (canary, pods) = canary(context, &kanary);
    Some(Observed {
        now,
        base: stores.deployments.get(namespace, &names::base(&kanary)),
        canary,
        pods,
        services: services(context, &kanary, &mut state.services),
        autoscalers: stores.autoscalers.all_in(namespace),
        pod_selectors: stores.pod_selectors.iter().flat_map(|store| store.all_in(namespace)).collect(),
        endpoints: state.endpoints.as_ref().and_then(super::endpoints::EndpointWatch::listed),
        routes: if routed { all_routes(context) } else { Routes::default() },
        absences: absences(context, routed, now),
        is_fresh: stores.heard_since(now - RECENTLY),
        watch_broken_since: stores.watch_broken_since().into_iter().chain(routes_lost_since(context, routed)).min(),
        dry_run: state.dry_run.clone(),
        answers: state.answers(),
        prometheus: context.asker.access().clone(),
        faults: state.faults.clone(),
        kanary,
    })
}

/// The canary Deployment and its pods.
pub fn canary(context: &Context, kanary: &KanaryDeployment) -> (Option<Arc<Deployment>>, Vec<Arc<Pod>>) {
    let (stores, namespace) = (&context.stores, kanary.namespace());
    (stores.deployments.get(namespace, &names::canary(kanary)), stores.pods.of_canary(namespace, kanary.name()))
}

/// Those of a namespace's Services that matter to a canary and are none's, as they were at the last look. There may be
/// hundreds of them to go through, and they seldom change.
#[derive(Default)]
pub struct Services {
    of: Option<(u64, String, Option<i64>)>,
    found: Vec<Arc<Service>>,
}

/// Those of other canaries select nobody else's pods; but one of them may have the very name that this one asks for.
fn services(context: &Context, kanary: &KanaryDeployment, known: &mut Services) -> Vec<Arc<Service>> {
    let (store, namespace) = (&context.stores.services, kanary.namespace());
    let now = Some((store.unlabelled_revision(), kanary.uid().to_owned(), kanary.metadata.generation));
    if known.of != now {
        *known = Services { of: now, found: store.unlabelled(namespace, services_of(kanary)) };
    }
    let mut services = known.found.clone();
    services.extend(store.of_canary(namespace, kanary.name()));
    let asked = [kanary.spec.service_name.clone(), Some(names::kanary_service(kanary))];
    let asked = asked.into_iter().flatten().filter_map(|name| store.get(namespace, &name));
    let gaps: Vec<_> = asked.filter(|service| !services.iter().any(|other| other.name() == service.name())).collect();
    services.extend(gaps);
    services
}

/// When nobody led, and when who led did not see all. One that ends in the future was noted by a clock that was wrong.
fn absences(context: &Context, routed: bool, now: Timestamp) -> Vec<Absence> {
    let stores = &context.stores;
    let mut absences = context.leadership.absences();
    absences.extend(stores.gaps.all());
    if routed {
        absences.extend(stores.virtual_services.gaps.all().into_iter().chain(stores.http_routes.gaps.all()));
    }
    absences.retain(|absence| absence.until <= now);
    absences.sort_by_key(|absence| absence.from);
    absences
}

/// Most canaries have nothing to do with routes.
pub fn needs_routes(context: &Context, kanary: &KanaryDeployment) -> bool {
    let own = context.stores.virtual_services.store.of_canary(kanary.namespace(), kanary.name());
    mirror::concerns(kanary, !own.is_empty())
}

fn routes_lost_since(context: &Context, routed: bool) -> Option<Timestamp> {
    let stores = &context.stores;
    let lost = [stores.virtual_services.lost_since(), stores.http_routes.lost_since()];
    lost.into_iter().flatten().filter(|_| routed).min()
}

/// Those of a mesh, of all namespaces.
pub fn all_routes(context: &Context) -> Routes {
    Routes {
        domain: context.cluster_domain.clone(),
        virtual_services: context.stores.virtual_services.known(),
        http_routes: context.stores.http_routes.known(),
        is_fresh: false,
    }
}
