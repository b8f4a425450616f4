//! Subsets: a route of Istio's may send production's requests only to those pods of a Service whose labels a DestinationRule
//! names, as istiod applies it.
//!
//! Which DestinationRule applies depends on the client: one of the client's namespace, of the Service's, or of the mesh's root
//! namespace. So each counts, whatever namespace it is in; and each route counts, whatever its hosts and gateways are.

use std::cmp::Reverse;

use serde_json::Value;

use super::{
    hosts, istio,
    json::{items, text},
};
use crate::{
    decision::Observed,
    objects::{DestinationRule, Labels, Object, Subset, VirtualService},
};

/// The lists of a VirtualService whose members have destinations.
const LISTS: [&str; 3] = ["http", "tls", "tcp"];

/// A route that sends requests for a Service to a subset of its pods, by one DestinationRule.
#[derive(Clone, Copy)]
pub struct ToSubset<'a> {
    route: &'a VirtualService,
    rule: &'a Value,
    destination_rule: &'a DestinationRule,
    subset: &'a Subset,
}

impl ToSubset<'_> {
    /// Does the subset contain pods with these labels? Labels that only nodes give pods are not known of a template.
    pub fn contains(&self, labels: &Labels) -> bool {
        self.known().all(|(key, value)| labels.get(key) == Some(value))
    }

    /// The labels of the subset that these do not have, such as `the label version=v1`.
    pub fn missing(&self, labels: &Labels) -> String {
        let lacks = self.known().filter(|(key, value)| labels.get(*key) != Some(*value));
        let pairs: Vec<String> = lacks.map(|(key, value)| format!("{key}={value}")).collect();
        format!("the {} {}", if pairs.len() == 1 { "label" } else { "labels" }, pairs.join(", "))
    }

    fn known(&self) -> impl Iterator<Item = (&String, &String)> {
        self.subset.labels.iter().filter(|(key, _)| !is_of_node(key))
    }

    /// `subset v1 of DestinationRule web`, as a message names it; with its namespace if that is not `home`.
    pub fn title(&self, home: &str) -> String {
        format!("subset {} of DestinationRule {}", self.subset.name, title(self.destination_rule, home))
    }

    /// `VirtualService web, route all`.
    pub fn route_title(&self, home: &str) -> String {
        let rule =
            text(self.rule, "name").map_or_else(|| "an unnamed route".to_owned(), |name| format!("route {name}"));
        format!("VirtualService {}, {rule}", title(self.route, home))
    }
}

fn title<K: Object>(object: &K, home: &str) -> String {
    if object.namespace() == home {
        object.name().to_owned()
    } else {
        format!("{}/{}", object.namespace(), object.name())
    }
}

/// istiod gives each endpoint labels of where it runs.
fn is_of_node(key: &str) -> bool {
    key.starts_with("topology.") || key == "kubernetes.io/hostname"
}

/// Does it name subsets by labels at all? As a rule it does not, and then it matters to no canary.
#[must_use]
pub fn names_subsets(rule: &DestinationRule) -> bool {
    rule.spec.subsets.iter().any(|subset| !subset.labels.is_empty())
}

/// The full name of a Service.
#[must_use]
pub fn full_name(service: &str, namespace: &str, domain: &str) -> String {
    hosts::full(service, namespace, domain)
}

/// Is it about the pods of the Service with this full name?
#[must_use]
pub fn is_about(rule: &DestinationRule, full: &str, domain: &str) -> bool {
    exactness(rule, full, domain).is_some()
}

/// The hosts of which a VirtualService names subsets, as full names.
#[must_use]
pub fn hosts_with_subsets(route: &VirtualService, domain: &str) -> Vec<String> {
    let destinations = LISTS.iter().flat_map(|list| items(&route.spec, list)).flat_map(|rule| items(rule, "route"));
    let named = destinations.filter_map(|to| to.get("destination")).filter(|to| text(to, "subset").is_some());
    let hosts = named.filter_map(|to| text(to, "host"));
    let mut hosts: Vec<_> = hosts.map(|host| hosts::resolve(host, route.namespace(), domain)).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// The full name of the host that a DestinationRule is about.
#[must_use]
pub fn host(rule: &DestinationRule, domain: &str) -> String {
    hosts::resolve(&rule.spec.host, rule.namespace(), domain)
}

/// How exactly it names a host, if it does: a wildcard less than a name, a shorter one less than a longer one.
fn exactness(rule: &DestinationRule, full: &str, domain: &str) -> Option<usize> {
    let own = host(rule, domain);
    match own.strip_prefix('*') {
        Some(suffix) => full.ends_with(suffix).then_some(suffix.len()),
        None => (own == full).then_some(usize::MAX),
    }
}

/// Routes that send requests for this Service to a subset.
pub fn to_subsets<'a>(seen: &'a Observed, service: &str) -> Vec<ToSubset<'a>> {
    parts(seen, service).into_iter().flat_map(|part| part.subsets).collect()
}

/// For each rule all of whose requests for this Service go to known subsets: these.
pub fn closed_rules<'a>(seen: &'a Observed, service: &str) -> Vec<Vec<ToSubset<'a>>> {
    let closed = parts(seen, service).into_iter().filter(|part| !part.is_open);
    closed.map(|part| part.subsets).filter(|subsets| !subsets.is_empty()).collect()
}

/// What a rule does with requests for a Service.
struct Part<'a> {
    subsets: Vec<ToSubset<'a>>,
    /// Does it send some of them to all pods, or to a subset that is not known?
    is_open: bool,
}

fn parts<'a>(seen: &'a Observed, service: &str) -> Vec<Part<'a>> {
    let subsets = &seen.subsets;
    if subsets.destination_rules.is_empty() {
        return Vec::new();
    }
    let full = hosts::full(service, seen.kanary.namespace(), &subsets.domain);
    let routes = subsets.virtual_services.iter().map(AsRef::as_ref);
    let routes = routes.filter(|route: &&VirtualService| !route.is_terminating() && !is_hidden(exports(route)));
    let rules = routes.flat_map(|route| {
        LISTS
            .iter()
            .flat_map(|list| items(&route.spec, list))
            .filter(|rule| istio::sends(rule))
            .map(move |rule| (route, rule))
    });
    rules.map(|(route, rule)| part(seen, route, rule, &full)).collect()
}

fn part<'a>(seen: &'a Observed, route: &'a VirtualService, rule: &'a Value, full: &str) -> Part<'a> {
    let all = items(rule, "route");
    let domain = &seen.subsets.domain;
    let is_meant = |to: &&Value| {
        let host = to.pointer("/destination/host").and_then(Value::as_str);
        host.is_some_and(|host| hosts::resolve(host, route.namespace(), domain) == full)
            && istio::weight(to, all.len()) > 0
    };
    let mut part = Part { subsets: Vec::new(), is_open: false };
    for to in all.iter().filter(is_meant) {
        let name = to.get("destination").and_then(|to| text(to, "subset"));
        let found = name.map(|name| named(seen, full, name)).unwrap_or_default();
        part.is_open |= found.is_empty();
        let to_subset = |(destination_rule, subset)| ToSubset { route, rule, destination_rule, subset };
        part.subsets.extend(found.into_iter().map(to_subset));
    }
    part
}

/// What a subset's name means to clients: of several DestinationRules of one namespace the most exact ones apply, and of
/// those the oldest that has the name.
fn named<'a>(seen: &'a Observed, full: &str, name: &str) -> Vec<(&'a DestinationRule, &'a Subset)> {
    let domain = &seen.subsets.domain;
    let all = seen.subsets.destination_rules.iter().map(AsRef::as_ref);
    let all = all.filter(|rule: &&DestinationRule| !rule.is_terminating() && !is_hidden(rule.spec.export_to.iter()));
    let mut about: Vec<_> = all.filter_map(|rule| Some((exactness(rule, full, domain)?, rule))).collect();
    about.sort_by_key(|(exactness, rule)| {
        let created = rule.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (rule.namespace(), rule.spec.workload_selector, Reverse(*exactness), created, rule.name())
    });
    let mut found: Vec<(&DestinationRule, &Subset)> = Vec::new();
    for (index, (exactness, rule)) in about.iter().enumerate() {
        // One for some clients only does not go before others for the rest of them.
        let same = |other: &DestinationRule| {
            other.namespace() == rule.namespace() && !other.spec.workload_selector && !rule.spec.workload_selector
        };
        let mut before = about.iter().take(index);
        let is_shadowed =
            before.any(|(other, of)| same(of) && other > exactness) || found.iter().any(|(of, _)| same(of));
        let subset = rule.spec.subsets.iter().find(|subset| subset.name == name);
        found.extend(subset.filter(|_| !is_shadowed).map(|subset| (*rule, subset)));
    }
    found
}

fn exports(route: &VirtualService) -> impl Iterator<Item = &str> {
    items(&route.spec, "exportTo").iter().filter_map(Value::as_str)
}

/// `~` is nobody.
fn is_hidden<S: AsRef<str>>(mut exports: impl Iterator<Item = S>) -> bool {
    exports.any(|to| to.as_ref() == "~")
}
