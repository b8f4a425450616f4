//! Gathers an observation from memory. No request is made here.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};

use super::{Context, Key, tend::Notes};
use crate::{
    api::{KanaryDeployment, names},
    decision::{Absence, Observed, Routes, services_of},
    objects::{Deployment, Object, Pod, Service},
    traffic,
};

/// A watch that spoke so lately has not fallen silent.
const RECENTLY: SignedDuration = SignedDuration::from_secs(5);

/// Now, to the millisecond: that is what the status keeps.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}

/// The world around one resource; nothing, if the resource is gone.
pub fn observe(context: &Context, key: &Key, notes: &mut Notes) -> Option<Observed> {
    let world = &context.world;
    let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
    let kanary = world.kanaries.get(namespace, name)?;
    let routed = needs_routes(context, &kanary);
    let now = now();
    let (canary, pods) = canary(context, &kanary);
    Some(Observed {
        now,
        base: world.deployments.get(namespace, &names::base(&kanary)),
        canary,
        pods,
        services: services(context, &kanary, &mut notes.services),
        autoscalers: world.autoscalers.all_in(namespace),
        pod_selectors: world.pod_selectors.iter().flat_map(|memory| memory.all_in(namespace)).collect(),
        endpoints: notes.endpoints.as_ref().and_then(super::endpoints::Following::listed),
        routes: if routed { all_routes(context) } else { Routes::default() },
        absences: absences(context, routed, now),
        is_fresh: world.spoke_since(now - RECENTLY),
        watch_broken_since: world.watch_broken_since().into_iter().chain(routes_lost_since(context, routed)).min(),
        dry_run: notes.dry_run.clone(),
        answers: notes.answers(),
        prometheus: context.asker.access().clone(),
        faults: notes.faults.clone(),
        kanary,
    })
}

/// The canary Deployment and its pods.
pub fn canary(context: &Context, kanary: &KanaryDeployment) -> (Option<Arc<Deployment>>, Vec<Arc<Pod>>) {
    let (world, namespace) = (&context.world, kanary.namespace());
    (world.deployments.get(namespace, &names::canary(kanary)), world.pods.of_canary(namespace, kanary.name()))
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
    let (memory, namespace) = (&context.world.services, kanary.namespace());
    let now = Some((memory.changes_of_nobody(), kanary.uid().to_owned(), kanary.metadata.generation));
    if known.of != now {
        *known = Services { of: now, found: memory.of_nobody(namespace, services_of(kanary)) };
    }
    let mut services = known.found.clone();
    services.extend(memory.of_canary(namespace, kanary.name()));
    let asked = [kanary.spec.service_name.clone(), Some(names::kanary_service(kanary))];
    let asked = asked.into_iter().flatten().filter_map(|name| memory.get(namespace, &name));
    let missed: Vec<_> = asked.filter(|service| !services.iter().any(|other| other.name() == service.name())).collect();
    services.extend(missed);
    services
}

/// When nobody led, and when who led did not see all. One that ends in the future was noted by a clock that was wrong.
fn absences(context: &Context, routed: bool, now: Timestamp) -> Vec<Absence> {
    let world = &context.world;
    let mut absences = context.leadership.absences();
    absences.extend(world.missed.all());
    if routed {
        absences.extend(world.virtual_services.missed.all().into_iter().chain(world.http_routes.missed.all()));
    }
    absences.retain(|absence| absence.until <= now);
    absences.sort_by_key(|absence| absence.from);
    absences
}

/// Most canaries have nothing to do with routes.
pub fn needs_routes(context: &Context, kanary: &KanaryDeployment) -> bool {
    let own = context.world.virtual_services.memory.of_canary(kanary.namespace(), kanary.name());
    traffic::concerns_routes(kanary, !own.is_empty())
}

fn routes_lost_since(context: &Context, routed: bool) -> Option<Timestamp> {
    let world = &context.world;
    let lost = [world.virtual_services.lost_since(), world.http_routes.lost_since()];
    lost.into_iter().flatten().filter(|_| routed).min()
}

/// Those of a mesh, of all namespaces.
pub fn all_routes(context: &Context) -> Routes {
    Routes {
        domain: context.cluster_domain.clone(),
        virtual_services: context.world.virtual_services.known(),
        http_routes: context.world.http_routes.known(),
        is_fresh: false,
    }
}
