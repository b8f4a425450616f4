//! The mirror in an HTTPRoute: a filter of type `RequestMirror`.

use serde_json::{Value, json};

use crate::{
    api::{Explanation, Reason, names},
    decision::Observed,
    objects::{HTTPRoute, Object},
    traffic::routes::object::RouteRule,
};

/// The list that it is an entry of.
pub const LIST: &str = "filters";

/// Our entry. Without `percent` it means all requests: older CustomResourceDefinitions do not know the field.
pub fn entry(seen: &Observed, port: Option<&Value>) -> Value {
    let mut mirror = json!({"backendRef": {"name": names::kanary_service(&seen.kanary), "port": port}});
    let percentage = seen.kanary.spec.traffic.mirror().percentage;
    if percentage != 100 {
        mirror["percent"] = percentage.into();
    }
    json!({"type": "RequestMirror", "requestMirror": mirror})
}

/// The backendRef of a filter that mirrors; null of any other.
pub fn backend(filter: &Value) -> &Value {
    filter.pointer("/requestMirror/backendRef").unwrap_or(&Value::Null)
}

/// Do two filters say the same, however they are written?
pub fn says_the_same(one: &Value, other: &Value) -> bool {
    let same = |field: &str| backend(one).get(field) == backend(other).get(field);
    same("name") && same("port") && percentage(one) == percentage(other)
}

/// In percent; the default is all requests.
fn percentage(filter: &Value) -> Option<f64> {
    let mirror = filter.get("requestMirror")?;
    let Some(fraction) = mirror.get("fraction") else {
        return mirror.get("percent").map_or(Some(100.0), Value::as_f64);
    };
    let part = |field: &str, default| fraction.get(field).map_or(Some(default), Value::as_f64);
    Some(100.0 * part("numerator", 0.0)? / part("denominator", 100.0)?)
}

/// Why the rule cannot contain our entry: a filter must name a port.
pub fn refusal(seen: &Observed, route: &HTTPRoute, rule: RouteRule, port: Option<&Value>) -> Option<Explanation> {
    if port.is_some() {
        return None;
    }
    let service = seen.kanary.spec.service_name.as_deref().unwrap_or_default();
    let (route, rule) = (route.name(), rule.title());
    let message = format!("HTTPRoute {route}, {rule}: set the port of the backendRef to Service {service}");
    Some(Explanation::new(Reason::PortRequired, message))
}
