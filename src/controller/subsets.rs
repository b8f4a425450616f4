//! Subsets of production's pods in a mesh: which concern a canary, and which canaries an event of a mesh concerns.
//!
//! In most clusters no DestinationRule names a subset, and then nothing is looked for.

use std::sync::Arc;

use super::{concerned, context::Context, key::Key};
use crate::{
    api::KanaryDeployment,
    decision,
    objects::{DestinationRule, Object, Service, VirtualService},
    traffic::mesh_subsets,
};

/// What was found for a canary, as of the last observation.
#[derive(Default)]
pub struct Subsets {
    /// The revisions of both stores, and the full names of the Services.
    of: Option<(u64, u64, Vec<String>)>,
    found: decision::Subsets,
}

/// What names subsets of these Services' pods.
pub fn gather(
    context: &Context,
    kanary: &KanaryDeployment,
    services: &[Arc<Service>],
    known: &mut Subsets,
) -> decision::Subsets {
    let (rules, routes) = (&context.stores.destination_rules, &context.stores.virtual_services);
    if !rules.is_known() || !routes.is_known() || rules.store.is_empty() {
        return decision::Subsets::default();
    }
    let domain = &context.settings.cluster_domain;
    let full = |service: &Arc<Service>| mesh_subsets::full_name(service.name(), kanary.namespace(), domain);
    let services: Vec<String> = services.iter().map(full).collect();
    let now = Some((rules.store.unlabelled_revision(), routes.store.unlabelled_revision(), services));
    if known.of != now {
        let services = now.as_ref().map_or(&[][..], |(_, _, services)| services);
        known.found = find(context, services);
        known.of = now;
    }
    known.found.clone()
}

fn find(context: &Context, services: &[String]) -> decision::Subsets {
    let (stores, domain) = (&context.stores, &context.settings.cluster_domain);
    let is_about = |rule: &Arc<DestinationRule>| services.iter().any(|full| mesh_subsets::is_about(rule, full, domain));
    let mut destination_rules = stores.destination_rules.store.all();
    destination_rules.retain(is_about);
    if !destination_rules.iter().any(|rule| mesh_subsets::names_subsets(rule)) {
        return decision::Subsets::default();
    }
    let mut virtual_services = stores.virtual_services.store.all();
    virtual_services
        .retain(|route| mesh_subsets::hosts_with_subsets(route, domain).iter().any(|host| services.contains(host)));
    // Stores have no order, and a decision must not depend on chance.
    destination_rules.sort_by(|one, other| place(&**one).cmp(&place(&**other)));
    virtual_services.sort_by(|one, other| place(&**one).cmp(&place(&**other)));
    if virtual_services.is_empty() {
        return decision::Subsets::default();
    }
    decision::Subsets { domain: domain.clone(), destination_rules, virtual_services }
}

fn place<K: Object>(object: &K) -> (&str, &str) {
    (object.namespace(), object.name())
}

/// The canaries of the Services of which a route names subsets.
pub fn concerned_by_route(context: &Context, route: &VirtualService) -> Vec<Key> {
    let hosts = mesh_subsets::hosts_with_subsets(route, &context.settings.cluster_domain);
    hosts.iter().flat_map(|host| of_host(context, host)).collect()
}

/// The canaries of the Service that a DestinationRule is about. One without subsets may go before another with some.
pub fn concerned_by_rule(context: &Context, rule: &DestinationRule) -> Vec<Key> {
    of_host(context, &mesh_subsets::host(rule, &context.settings.cluster_domain))
}

fn of_host(context: &Context, host: &str) -> Vec<Key> {
    if host.starts_with('*') {
        return context.stores.kanaries.all().iter().map(|kanary| Key::of(kanary)).collect();
    }
    let domain = format!(".svc.{}", context.settings.cluster_domain);
    let service = host.strip_suffix(&domain).and_then(|name| name.split_once('.'));
    let service = service.and_then(|(name, namespace)| context.stores.services.get(namespace, name));
    service.map(|service| concerned::by_service(context, &service)).unwrap_or_default()
}
