//! Gathers an observation from memory. No request is made here.

use std::sync::Arc;

use jiff::{Timestamp, Unit};

use super::{Context, Key, tend::Notes};
use crate::{
    api::{KanaryDeployment, Source, names},
    lifecycle::{Absence, Observed, Routes, services_of},
    seen::{Seen, Service},
    traffic::mirror,
};

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
    Some(Observed {
        now: now(),
        base: world.deployments.get(namespace, &names::base(&kanary)),
        canary: world.deployments.get(namespace, &names::canary(&kanary)),
        pods: world.pods.of_canary(namespace, name),
        services: services(context, &kanary, &mut notes.services),
        autoscalers: world.autoscalers.all_in(namespace),
        bystanders: world.bystanders.iter().flat_map(|memory| memory.all_in(namespace)).collect(),
        endpoints: notes.endpoints.as_ref().and_then(super::endpoints::Following::listed),
        routes: routes(context, &kanary),
        absences: absences(context, &kanary),
        blind_since: world.blind_since().into_iter().chain(routes_lost_since(context, &kanary)).min(),
        rehearsal: notes.rehearsal.clone(),
        answers: notes.answers(),
        prometheus: context.asker.access().clone(),
        faults: notes.faults.clone(),
        kanary,
    })
}

/// Those of a namespace's Services that matter to a canary and are none's, as they were at the last look. There may be
/// hundreds of them to go through, and they seldom change.
#[derive(Default)]
pub struct Services {
    of: Option<(u64, Option<i64>)>,
    found: Vec<Arc<Service>>,
}

/// Those of other canaries select nobody else's pods; but one of them may have the very name that this one asks for.
fn services(context: &Context, kanary: &KanaryDeployment, known: &mut Services) -> Vec<Arc<Service>> {
    let (memory, namespace) = (&context.world.services, kanary.namespace());
    let now = (memory.changes_of_nobody(), kanary.metadata.generation);
    if known.of != Some(now) {
        *known = Services { of: Some(now), found: memory.of_nobody(namespace, services_of(kanary)) };
    }
    let mut services = known.found.clone();
    services.extend(memory.of_canary(namespace, kanary.name()));
    let asked = [kanary.spec.service_name.clone(), Some(names::kanary_service(kanary))];
    let asked = asked.into_iter().flatten().filter_map(|name| memory.get(namespace, &name));
    let missed: Vec<_> = asked.filter(|service| !services.iter().any(|other| other.name() == service.name())).collect();
    services.extend(missed);
    services
}

/// When nobody led, and when who led did not see all.
fn absences(context: &Context, kanary: &KanaryDeployment) -> Vec<Absence> {
    let world = &context.world;
    let mut absences = context.leadership.absences();
    absences.extend(world.missed.all());
    if needs_routes(context, kanary) {
        absences.extend(world.virtual_services.missed.all().into_iter().chain(world.http_routes.missed.all()));
    }
    absences.sort_by_key(|absence| absence.from);
    absences
}

/// Most canaries have nothing to do with routes; those that mirror have, and those that did and left something behind.
pub fn needs_routes(context: &Context, kanary: &KanaryDeployment) -> bool {
    let has_own = || !context.world.virtual_services.memory.of_canary(kanary.namespace(), kanary.name()).is_empty();
    kanary.spec.traffic.source == Source::Mirror || mirror::is_held(kanary) || has_own()
}

fn routes_lost_since(context: &Context, kanary: &KanaryDeployment) -> Option<Timestamp> {
    let world = &context.world;
    let lost = [world.virtual_services.lost_since(), world.http_routes.lost_since()];
    lost.into_iter().flatten().filter(|_| needs_routes(context, kanary)).min()
}

/// Those of a mesh, of all namespaces.
pub fn routes(context: &Context, kanary: &KanaryDeployment) -> Routes {
    if !needs_routes(context, kanary) {
        return Routes::default();
    }
    Routes {
        domain: context.cluster_domain.clone(),
        virtual_services: context.world.virtual_services.known(),
        http_routes: context.world.http_routes.known(),
        is_fresh: false,
    }
}
