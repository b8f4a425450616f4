//! What an Envoy does with a request, according to its configuration dump.

use std::collections::BTreeMap;

use serde_json::Value;

/// One route of a virtual host.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its name in the VirtualService; empty if it has none.
    pub name: String,
    /// The object that istiod created it from, e.g. `shop/virtual-service/web`; empty for a Service without one.
    pub origin: String,
    /// Where requests go: clusters such as `outbound|80||web.shop.svc.cluster.local`.
    pub to: Vec<String>,
    /// Where copies go, with their percentage.
    pub mirrors: Vec<(String, f64)>,
}

impl Route {
    /// The percentage of requests that it copies to a Service, by the Service's full name; 0 = none.
    pub fn copies_to(&self, host: &str) -> f64 {
        let share = |(cluster, percent): &(String, f64)| cluster.ends_with(&format!("|{host}")).then_some(*percent);
        self.mirrors.iter().filter_map(share).sum()
    }
}

/// The routes of a host.
pub fn of(dump: &Value, host: &str) -> Vec<Route> {
    let configs = list(&dump["configs"]);
    let hosts = configs.flat_map(|config| list(&config["route_config"]["virtual_hosts"]));
    let serves = |found: &&Value| list(&found["domains"]).any(|domain| domain == host);
    hosts.filter(serves).flat_map(|host| list(&host["routes"])).map(route).collect()
}

fn route(of: &Value) -> Route {
    let action = &of["route"];
    let weighted = list(&action["weighted_clusters"]["clusters"]).map(|cluster| &cluster["name"]);
    let to = action.get("cluster").into_iter().chain(weighted);
    Route {
        name: text(&of["name"]),
        origin: origin(&text(&of["metadata"]["filter_metadata"]["istio"]["config"])),
        to: to.map(text).collect(),
        mirrors: list(&action["request_mirror_policies"]).map(mirror).collect(),
    }
}

fn mirror(of: &Value) -> (String, f64) {
    let share = &of["runtime_fraction"]["default_value"];
    let parts: BTreeMap<&str, f64> = [("HUNDRED", 1.0), ("TEN_THOUSAND", 100.0), ("MILLION", 10_000.0)].into();
    let whole = parts.get(share["denominator"].as_str().unwrap_or("HUNDRED")).copied().unwrap_or(1.0);
    // A fraction of 0 has no numerator in the dump; a policy without a fraction copies every request.
    let percent = if share.is_null() { 100.0 } else { share["numerator"].as_f64().unwrap_or(0.0) / whole };
    (text(&of["cluster"]), percent)
}

/// `/apis/networking.istio.io/v1/namespaces/shop/virtual-service/web`, short.
fn origin(config: &str) -> String {
    config.split_once("/namespaces/").map_or(config, |(_, origin)| origin).to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
