//! Which Service a host in a VirtualService means, exactly as Istio resolves it.
//!
//! A name without a dot is a Service in the VirtualService's own namespace, never in that of the client. A name with a dot
//! is taken as it is: to a destination `web.shop` and `web.shop.svc` are not Services, only
//! `web.shop.svc.cluster.local` is. (As hosts they do catch requests that clients send to these names.)

use std::net::IpAddr;

/// The full name of a Service.
pub fn full(service: &str, namespace: &str, domain: &str) -> String {
    format!("{service}.{namespace}.svc.{domain}")
}

/// What a destination's host means in a VirtualService of this namespace.
pub fn resolve(host: &str, namespace: &str, domain: &str) -> String {
    let stands_for_itself = host.is_empty() || host == "*" || host.contains('.') || host.parse::<IpAddr>().is_ok();
    if stands_for_itself { host.to_owned() } else { full(host, namespace, domain) }
}

/// Does a host of a VirtualService of `namespace` catch requests to a Service, under any of the names that clients use?
pub fn catches(host: &str, namespace: &str, service: (&str, &str), domain: &str) -> bool {
    let (name, home) = service;
    let whole = full(name, home, domain);
    if let Some(suffix) = host.strip_prefix('*') {
        return whole.ends_with(suffix);
    }
    let names = [whole, format!("{name}.{home}.svc"), format!("{name}.{home}")];
    names.contains(&resolve(host, namespace, domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "cluster.local";

    #[test]
    fn destinations_resolve_as_istio_does_it() {
        let cases = [
            ("web", "shop", "web.shop.svc.cluster.local"),
            ("web", "other", "web.other.svc.cluster.local"),
            ("web.shop.svc.cluster.local", "other", "web.shop.svc.cluster.local"),
            ("web.shop", "other", "web.shop"),
            ("web.shop.svc", "shop", "web.shop.svc"),
            ("api.example.com", "shop", "api.example.com"),
            ("10.0.0.1", "shop", "10.0.0.1"),
            ("::1", "shop", "::1"),
            ("*", "shop", "*"),
        ];
        for (host, namespace, stands_for) in cases {
            assert_eq!(resolve(host, namespace, DOMAIN), stands_for, "{host} in {namespace}");
        }
    }

    #[test]
    fn hosts_catch_what_clients_ask_for() {
        let cases = [
            ("web", "shop", true),
            ("web", "other", false),
            ("web.shop", "other", true),
            ("web.shop.svc", "other", true),
            ("web.shop.svc.cluster.local", "other", true),
            ("*", "other", true),
            ("*.shop.svc.cluster.local", "other", true),
            ("*.other.svc.cluster.local", "other", false),
            ("api.example.com", "shop", false),
        ];
        for (host, namespace, expected) in cases {
            assert_eq!(catches(host, namespace, ("web", "shop"), DOMAIN), expected, "{host} in {namespace}");
        }
    }
}
