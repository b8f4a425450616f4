//! VirtualServices: which of their routes lead to the production Service, and what these would carry.
//!
//! Whatever its `hosts` and `gateways` say, also in a delegate, that has neither.

use serde_json::{Value, json};

use super::{
    carrier::{self, Carrier, Rule, Wanted, items, text},
    hosts,
};
use crate::{
    api::{Explanation, Provider, Reason, names},
    decision::{Kind, Observed, Target},
    objects::{Object, VirtualService},
};

const MESH: &str = "mesh";

/// All VirtualServices that are here to stay.
pub fn carriers(seen: &Observed) -> Vec<Carrier<'_>> {
    let own = carrier::own_services(seen);
    let all = seen.routes.virtual_services.iter();
    all.filter(|route| !route.is_terminating()).map(|route| carrier(seen, route, &own)).collect()
}

fn carrier<'a>(seen: &Observed, route: &'a VirtualService, own: &[String]) -> Carrier<'a> {
    let rules = items(&route.spec, "http").iter().enumerate().map(|(index, http)| rule(seen, route, index, http, own));
    Carrier {
        target: Target { kind: Kind::VirtualService, name: route.name().to_owned() },
        namespace: route.namespace(),
        version: route.version(),
        writer: route.last_manager.as_deref(),
        is_own: seen.is_ours(route),
        // Istio reports nothing.
        accepted: Ok(()),
        rules: rules.collect(),
    }
}

fn rule(seen: &Observed, route: &VirtualService, index: usize, http: &Value, own: &[String]) -> Rule {
    let service_of_ours = |entry: &Value| service_of_ours(seen, route, entry, own);
    let list = ("mirrors", format!("/spec/http/{index}/mirrors"));
    carrier::rule(http, list, wanted(seen, route, http, own), service_of_ours, |entry, wanted| {
        let percentage = |entry: &Value| entry.pointer("/percentage/value").map_or(Some(100.0), Value::as_f64);
        let port = |entry: &Value| entry.pointer("/destination/port/number").cloned();
        let host = |entry: &Value| host_of(seen, route, entry);
        host(entry) == host(wanted) && percentage(entry) == percentage(wanted) && port(entry) == port(wanted)
    })
}

/// Written with a short name, which resolves in the VirtualService's own namespace, whatever the cluster's domain.
fn wanted(seen: &Observed, route: &VirtualService, http: &Value, own: &[String]) -> Option<Wanted> {
    if seen.kanary.spec.traffic.mirror().provider != Provider::Istio {
        return None;
    }
    let production = full(seen, seen.kanary.spec.service_name.as_deref()?);
    let leads = |route_to: &&Value| host_of(seen, route, route_to).as_ref() == Some(&production);
    let all = items(http, "route");
    let ours = all.iter().find(leads)?;
    let port = ours.pointer("/destination/port/number");
    let weight = |to: &Value| to.get("weight").and_then(Value::as_i64).unwrap_or(if all.len() == 1 { 100 } else { 0 });
    let other = all.iter().find(|to| !leads(to) && weight(to) > 0);
    let methods = items(http, "match").iter().map(|one| one.pointer("/method/exact").and_then(Value::as_str));
    Some(Wanted {
        entry: entry(seen, port),
        also_leads_to: other.map(|to| host_of(seen, route, to).unwrap_or_default()),
        refusal: refusal(seen, route, http, port, own),
        reads_only: carrier::are_reads(methods),
    })
}

/// Our entry.
pub fn entry(seen: &Observed, port: Option<&Value>) -> Value {
    let mut destination = json!({"host": names::kanary_service(&seen.kanary)});
    if let Some(port) = port {
        destination["port"] = json!({"number": port});
    }
    json!({"destination": destination, "percentage": {"value": seen.kanary.spec.traffic.mirror().percentage}})
}

fn refusal(
    seen: &Observed,
    route: &VirtualService,
    http: &Value,
    port: Option<&Value>,
    own: &[String],
) -> Option<Explanation> {
    let title = format!("VirtualService {}, {}", route.name(), title(http));
    if http.get("mirror").is_some_and(|mirror| !mirror.is_null()) {
        return Some(Explanation::new(
            Reason::SingularMirror,
            format!("{title}: has a `mirror`, beside which Istio takes no `mirrors`; move it into `mirrors`"),
        ));
    }
    let many_ports = seen.service().is_some_and(|service| service.spec.ports.len() > 1);
    if port.is_none() && many_ports && is_reached_by_gateway(seen, route, http) {
        return Some(Explanation::new(
            Reason::PortRequired,
            format!(
                "{title}: a gateway leads there and Service {} has several ports; set the destination's port.number",
                seen.kanary.spec.service_name.as_deref().unwrap_or_default(),
            ),
        ));
    }
    let has_others = items(http, "mirrors").iter().any(|entry| service_of_ours(seen, route, entry, own).is_none());
    let heir = roots(seen, route).find(|(_, http)| !items(http, "mirrors").is_empty()).filter(|_| !has_others);
    heir.map(|(root, _)| {
        Explanation::new(Reason::InheritedMirrors,
            format!(
                "{title}: inherits the `mirrors` of VirtualService {}/{}, which one of its own would replace; repeat them here",
                root.namespace(),
                root.name(),
            ),
        )
    })
}

fn title(http: &Value) -> String {
    text(http, "name").map_or_else(|| "a route without a name".into(), |name| format!("route {name}"))
}

fn full(seen: &Observed, service: &str) -> String {
    hosts::full(service, seen.kanary.namespace(), &seen.routes.domain)
}

/// What the destination of a route or a mirror stands for.
fn host_of(seen: &Observed, route: &VirtualService, to: &Value) -> Option<String> {
    let host = to.pointer("/destination/host").and_then(Value::as_str)?;
    Some(hosts::resolve(host, route.namespace(), &seen.routes.domain))
}

/// Our Service that a mirror sends copies to; nothing if it is not ours.
fn service_of_ours(seen: &Observed, route: &VirtualService, mirror: &Value, own: &[String]) -> Option<String> {
    let host = host_of(seen, route, mirror)?;
    own.iter().find(|service| full(seen, service) == host).cloned()
}

/// The routes of other VirtualServices that delegate to this one.
fn roots<'a>(
    seen: &'a Observed,
    delegate: &'a VirtualService,
) -> impl Iterator<Item = (&'a VirtualService, &'a Value)> {
    let all = seen.routes.virtual_services.iter();
    all.flat_map(|root| items(&root.spec, "http").iter().map(move |http| (root, http))).filter(|(root, http)| {
        let to = http.get("delegate").unwrap_or(&Value::Null);
        text(to, "name") == Some(delegate.name())
            && text(to, "namespace").unwrap_or(root.namespace()) == delegate.namespace()
    })
}

fn is_reached_by_gateway(seen: &Observed, route: &VirtualService, http: &Value) -> bool {
    goes_through_gateway(route, http) || roots(seen, route).any(|(root, http)| goes_through_gateway(root, http))
}

/// The gateways of a match go before those of the VirtualService.
fn goes_through_gateway(route: &VirtualService, http: &Value) -> bool {
    let through = |gateways: &[Value]| gateways.iter().any(|gateway| gateway != MESH);
    let all = items(&route.spec, "gateways");
    let matches = items(http, "match");
    let of = |one: &Value| match items(one, "gateways") {
        [] => through(all),
        own => through(own),
    };
    if matches.is_empty() { through(all) } else { matches.iter().any(of) }
}

/// Does this VirtualService rule over what the mesh's clients send to the production Service?
pub fn rules_over(seen: &Observed, route: &VirtualService) -> bool {
    let Some(service) = seen.kanary.spec.service_name.as_deref() else { return false };
    let gateways = items(&route.spec, "gateways");
    let home = seen.kanary.namespace();
    let catches = |host: &Value| {
        host.as_str().is_some_and(|h| hosts::catches(h, route.namespace(), (service, home), &seen.routes.domain))
    };
    (gateways.is_empty() || gateways.iter().any(|gateway| gateway == MESH))
        && items(&route.spec, "hosts").iter().any(catches)
}
