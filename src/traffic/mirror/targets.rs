//! The mirror as it is and as it should be: which rules of which routes are its targets.

use super::entry::{MirrorRoute, MirrorRule};
use crate::{
    api::{self, Provider, Source},
    decision::Observed,
    objects::{Object, VirtualService},
    traffic::{
        kanary_service,
        routes::{
            self, finalizer, istio,
            object::{RouteObject, RouteRule},
        },
    },
};

/// The mirror, read from one observation.
pub struct Mirror<'a> {
    pub seen: &'a Observed,
    pub settings: api::Mirror,
    /// Is the source `mirror`?
    pub is_requested: bool,
    /// Is a VirtualService of our own needed, because none points to the production Service or claims its host?
    pub needs_own_route: bool,
    pub routes: Vec<MirrorRoute<'a>>,
}

impl<'a> Mirror<'a> {
    /// Reads all routes, if there may be something of ours in them.
    pub fn of(seen: &'a Observed) -> Self {
        let settings = seen.kanary.spec.traffic.mirror();
        let is_requested = seen.kanary.spec.traffic.source == Source::Mirror;
        let routes = if routes::concerns(&seen.kanary, seen.own_virtual_services().next().is_some()) {
            read(seen, settings.provider, is_requested)
        } else {
            Vec::new()
        };
        let mut mirror = Self { seen, settings, is_requested, needs_own_route: false, routes };
        mirror.needs_own_route = mirror.needs_own_route();
        mirror
    }

    fn needs_own_route(&self) -> bool {
        let may_have = self.settings.provider == Provider::Istio && self.settings.virtual_service.is_none();
        let is_shadowed = || self.routes.iter().any(|other| precedes_ours(self.seen, other));
        self.is_requested && may_have && !is_shadowed() && host_owner(self.seen).is_none()
    }

    /// The object that the settings name, and its rules that they name.
    pub fn named(&self) -> Option<(&str, &[String])> {
        let istio = self.settings.virtual_service.as_ref().map(|route| (route.name.as_str(), &route.routes[..]));
        let gateway = self.settings.http_route.as_ref().map(|route| (route.name.as_str(), &route.rules[..]));
        match self.settings.provider {
            Provider::Istio => istio,
            Provider::GatewayApi => gateway,
        }
    }

    /// Should this object contain the mirror?
    pub fn selects_object(&self, route: &MirrorRoute) -> bool {
        let is_named = self.named().is_none_or(|(name, _)| route.object.name() == name);
        let is_chosen = route.is_ours || !self.needs_own_route;
        self.is_requested && self.is_home(route) && is_named && is_chosen
    }

    /// Should this rule, of an object that is selected, contain it?
    pub fn selects_rule(&self, rule: &MirrorRule) -> bool {
        let names_none = self.named().is_none_or(|(_, rules)| rules.is_empty());
        rule.desired.is_some() && (names_none || self.names(rule.rule))
    }

    /// Do the settings name this rule?
    pub fn names(&self, rule: RouteRule) -> bool {
        let named = self.named().map_or(&[][..], |(_, rules)| rules);
        rule.name().is_some_and(|name| named.iter().any(|other| other == name))
    }

    /// All rules that should contain it.
    pub fn targets(&self) -> impl Iterator<Item = (&MirrorRoute<'a>, &MirrorRule<'a>)> {
        let selected = self.routes.iter().filter(|route| self.selects_object(route));
        let rules = selected.flat_map(|route| route.rules.iter().map(move |rule| (route, rule)));
        rules.filter(|(_, rule)| self.selects_rule(rule))
    }

    /// Is it in the namespace of the `KanaryDeployment`? Nothing is written to another.
    pub fn is_home(&self, route: &MirrorRoute) -> bool {
        route.object.namespace() == self.seen.kanary.namespace()
    }

    /// `VirtualService web`, as a message names it.
    pub fn title(&self, route: &MirrorRoute) -> String {
        route.object.title(self.seen.kanary.namespace())
    }

    /// `VirtualService web, route shop`, as a message names it.
    pub fn rule_title(&self, route: &MirrorRoute, rule: &MirrorRule) -> String {
        format!("{}, {}", self.title(route), rule.rule.title())
    }

    /// The name of the production Service.
    pub fn service(&self) -> &str {
        self.seen.kanary.spec.service_name.as_deref().unwrap_or_default()
    }
}

/// Without the finalizer, entries in the routes of others were never ours to write.
fn read(seen: &Observed, provider: Provider, is_requested: bool) -> Vec<MirrorRoute<'_>> {
    let all = is_requested || finalizer::is_held(&seen.kanary);
    let our_services = kanary_service::names_of_ours(seen);
    let routes = routes::all(seen).filter(|object| all || object.is_ours(seen));
    routes.map(|object| MirrorRoute::read(seen, object, provider, &our_services)).collect()
}

/// Does another VirtualService that points to the production Service go before one of our own? Of those that canaries made
/// the oldest stays, and they share it.
fn precedes_ours(seen: &Observed, other: &MirrorRoute) -> bool {
    let RouteObject::VirtualService(route) = other.object else { return false };
    if other.is_ours || !other.points_to_production() {
        return false;
    }
    let ours = seen.own_virtual_services().next();
    !is_made_by_kanary(route) || ours.is_none_or(|ours| age(route) < age(ours))
}

/// Did a `KanaryDeployment`, this or another, make it?
fn is_made_by_kanary(route: &VirtualService) -> bool {
    route.canary().is_some()
}

fn age(route: &VirtualService) -> (Option<jiff::Timestamp>, &str) {
    (route.metadata.creation_timestamp.as_ref().map(|time| time.0), route.name())
}

/// A user's VirtualService that claims the host of the production Service. A mesh applies one that is being deleted, too, until it
/// is gone.
pub fn host_owner(seen: &Observed) -> Option<&VirtualService> {
    let mut others = seen.routes.virtual_services.iter().filter(|route| !is_made_by_kanary(route));
    others.find(|route| istio::claims_host(seen, route))
}
