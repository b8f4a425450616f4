//! The mirror in a VirtualService: an entry of `mirrors`, and what an `http` route must not have beside it.

use serde_json::{Value, json};

use crate::{
    api::{Explanation, Reason, names},
    decision::Observed,
    objects::{Object, VirtualService},
    traffic::routes::{istio, json::items, object::RouteRule, splice::EntryList},
};

/// The list that it is an entry of.
pub const LIST: &str = "mirrors";

/// Our entry. Its short host resolves in the VirtualService's own namespace, whatever the cluster's domain.
pub fn entry(seen: &Observed, port: Option<&Value>) -> Value {
    let mut destination = json!({"host": names::kanary_service(&seen.kanary)});
    if let Some(port) = port {
        destination["port"] = json!({"number": port});
    }
    json!({"destination": destination, "percentage": {"value": seen.kanary.spec.traffic.mirror().percentage}})
}

/// Do two entries say the same, however they are written?
pub fn says_the_same(seen: &Observed, route: &VirtualService, one: &Value, other: &Value) -> bool {
    let port = |entry: &Value| entry.pointer("/destination/port/number").cloned();
    istio::host_of(seen, route, one) == istio::host_of(seen, route, other)
        && percentage(one) == percentage(other)
        && port(one) == port(other)
}

/// In percent; the default is all requests.
fn percentage(entry: &Value) -> Option<f64> {
    entry.pointer("/percentage/value").map_or(Some(100.0), Value::as_f64)
}

/// Why the `http` route cannot contain our entry.
pub fn refusal(
    seen: &Observed,
    route: &VirtualService,
    rule: RouteRule,
    list: &EntryList,
    port: Option<&Value>,
) -> Option<Explanation> {
    let why =
        singular(rule).or_else(|| port_required(seen, route, rule, port)).or_else(|| inherited(seen, route, list))?;
    Some(why.prefixed(&format!("VirtualService {}, {}: ", route.name(), rule.title())))
}

fn singular(rule: RouteRule) -> Option<Explanation> {
    if rule.json.get("mirror").is_none_or(Value::is_null) {
        return None;
    }
    let message = "has the field `mirror`, beside which Istio does not allow `mirrors`; move it into `mirrors`";
    Some(Explanation::new(Reason::SingularMirror, message))
}

fn port_required(
    seen: &Observed,
    route: &VirtualService,
    rule: RouteRule,
    port: Option<&Value>,
) -> Option<Explanation> {
    let service = seen.service()?;
    if port.is_some() || service.spec.ports.len() < 2 || !istio::is_reached_by_gateway(seen, route, rule.json) {
        return None;
    }
    let name = service.name();
    let message = format!(
        "a gateway sends requests there and Service {name} has several ports; set port.number of the destination"
    );
    Some(Explanation::new(Reason::PortRequired, message))
}

/// A list of its own would replace the one that a delegate inherits.
fn inherited(seen: &Observed, route: &VirtualService, list: &EntryList) -> Option<Explanation> {
    if list.has_others() {
        return None;
    }
    let (root, _) = istio::roots(seen, route).find(|(_, http)| !items(http, LIST).is_empty())?;
    let message = format!(
        "inherits the `mirrors` of VirtualService {}/{}, which an entry here would replace; repeat them here",
        root.namespace(),
        root.name(),
    );
    Some(Explanation::new(Reason::InheritedMirrors, message))
}
