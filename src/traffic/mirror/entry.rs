//! Our entry in a rule of a route: whether it is there, and what it should be.

use serde_json::Value;

use super::{gateway, istio};
use crate::{
    api::{Explanation, Provider},
    decision::Observed,
    traffic::routes::{
        self,
        object::{RouteObject, RouteRule},
        splice::EntryList,
    },
};

/// An object, and the mirror in its rules.
pub struct MirrorRoute<'a> {
    pub object: RouteObject<'a>,
    /// Did this `KanaryDeployment` make it?
    pub is_ours: bool,
    pub rules: Vec<MirrorRule<'a>>,
}

/// A rule, and the mirror in it.
pub struct MirrorRule<'a> {
    pub rule: RouteRule<'a>,
    /// The list that our entry belongs to.
    pub list: EntryList,
    /// If the rule points to the production Service, and is of the requested provider: what it could contain.
    pub desired: Option<DesiredEntry>,
}

/// What a rule that points to the production Service could contain.
pub struct DesiredEntry {
    pub entry: Value,
    /// Where else the rule points: requests to that would be mirrored, too.
    pub also_points_to: Option<String>,
    /// Why it cannot contain the entry.
    pub refusal: Option<Explanation>,
    /// Is it limited to methods that change nothing?
    pub reads_only: bool,
}

impl<'a> MirrorRoute<'a> {
    /// Reads an object. Entries that point to one of `our_services` are ours.
    pub fn read(seen: &'a Observed, object: RouteObject<'a>, provider: Provider, our_services: &[String]) -> Self {
        let rule = |rule| MirrorRule::read(seen, object, rule, provider, our_services);
        Self { object, is_ours: object.is_ours(seen), rules: object.rules().map(rule).collect() }
    }

    /// Does any rule point to the production Service?
    pub fn points_to_production(&self) -> bool {
        self.rules.iter().any(|rule| rule.desired.is_some())
    }

    /// Does any rule contain an entry of ours?
    pub fn has_entry(&self) -> bool {
        self.rules.iter().any(|rule| !rule.list.ours.is_empty())
    }

    /// Operations that remove all entries of ours.
    pub fn take(&self) -> Vec<Value> {
        self.rules.iter().flat_map(|rule| rule.list.take()).collect()
    }

    /// Does an entry of ours point to this Service?
    pub fn uses(&self, service: &str) -> bool {
        self.rules.iter().flat_map(|rule| &rule.list.ours).any(|entry| entry.service == service)
    }
}

impl<'a> MirrorRule<'a> {
    fn read(
        seen: &Observed,
        object: RouteObject,
        rule: RouteRule<'a>,
        provider: Provider,
        our_services: &[String],
    ) -> Self {
        let is_of_provider = object.provider() == provider;
        let production = if is_of_provider { routes::to_production(seen, object, rule) } else { None };
        let entry = production.as_ref().map(|production| entry(seen, object, production.port.as_ref()));
        let list = list(seen, object, rule, entry.as_ref(), our_services);
        let desired = production.zip(entry).map(|(production, entry)| DesiredEntry {
            entry,
            refusal: refusal(seen, object, rule, &list, production.port.as_ref()),
            also_points_to: production.also_points_to,
            reads_only: production.reads_only,
        });
        Self { rule, list, desired }
    }
}

fn entry(seen: &Observed, object: RouteObject, port: Option<&Value>) -> Value {
    match object {
        RouteObject::VirtualService(_) => istio::entry(seen, port),
        RouteObject::HTTPRoute(_) => gateway::entry(seen, port),
    }
}

fn list(
    seen: &Observed,
    object: RouteObject,
    rule: RouteRule,
    desired: Option<&Value>,
    our_services: &[String],
) -> EntryList {
    let our_service = |reference: &Value| {
        our_services.iter().find(|service| routes::points_to(seen, object, reference, service)).cloned()
    };
    match object {
        RouteObject::VirtualService(route) => EntryList::read(rule, istio::LIST, our_service, |entry| {
            desired.is_some_and(|desired| istio::says_the_same(seen, route, entry, desired))
        }),
        RouteObject::HTTPRoute(_) => EntryList::read(
            rule,
            gateway::LIST,
            |filter| our_service(gateway::backend(filter)),
            |filter| desired.is_some_and(|desired| gateway::says_the_same(filter, desired)),
        ),
    }
}

fn refusal(
    seen: &Observed,
    object: RouteObject,
    rule: RouteRule,
    list: &EntryList,
    port: Option<&Value>,
) -> Option<Explanation> {
    match object {
        RouteObject::VirtualService(route) => istio::refusal(seen, route, rule, list, port),
        RouteObject::HTTPRoute(route) => gateway::refusal(seen, route, rule, port),
    }
}
