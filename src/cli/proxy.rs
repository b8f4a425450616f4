//! Whether requests to the API server go through a proxy, decided as kubectl does: by the rules of Go's `net/http`.
//!
//! kube compares `NO_PROXY` with the address of the proxy instead of the API server's, and hyper-util's matcher knows
//! neither ports nor `*.example.org` in the list, lets `*` match names only and `.example.org` the domain itself, and sends
//! even loopback addresses through the proxy. So the rules stay here; the networks are ipnet's.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

/// The proxy to an API server: that of the kubeconfig, whatever the environment says; else that of the environment.
///
/// # Errors
/// Not an address.
pub fn to(
    server: &Uri,
    of_kubeconfig: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Uri>, http::uri::InvalidUri> {
    if let Some(proxy) = of_kubeconfig.filter(|proxy| !proxy.is_empty()) {
        return parse(proxy).map(Some);
    }
    let either = |names: [&str; 2]| names.into_iter().filter_map(&variable).find(|value| !value.is_empty());
    if is_excepted(&either(["NO_PROXY", "no_proxy"]).unwrap_or_default(), server) {
        return Ok(None);
    }
    let proxy = match server.scheme_str() {
        Some("http") => either(["HTTP_PROXY", "http_proxy"]),
        Some(_) | None => either(["HTTPS_PROXY", "https_proxy"]),
    };
    proxy.map(|proxy| parse(&proxy)).transpose()
}

/// An address without a scheme is that of an HTTP proxy.
fn parse(proxy: &str) -> Result<Uri, http::uri::InvalidUri> {
    if proxy.contains("://") { proxy.parse() } else { format!("http://{proxy}").parse() }
}

/// This machine itself, and what the list names: `*`, addresses, networks, domains with their subdomains.
fn is_excepted(list: &str, server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_lowercase();
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let default = if server.scheme_str() == Some("http") { 80 } else { 443 };
    let port = server.port_u16().unwrap_or(default);
    let is_match = |entry: &str| match address {
        Some(address) => matches_address(entry, address, port),
        None => matches_host(entry, &host, port),
    };
    list.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| entry == "*" || is_match(&entry))
}

fn matches_address(entry: &str, address: IpAddr, port: u16) -> bool {
    if entry.contains('/') {
        return entry.parse().is_ok_and(|network: IpNet| network.contains(&address));
    }
    let is_it = |text: &str| text.trim_matches(['[', ']']).parse() == Ok(address);
    // An address of version 6 has a port only behind brackets.
    is_it(entry) || entry.rsplit_once(':').is_some_and(|(text, of)| is_it(text) && of.parse() == Ok(port))
}

fn matches_host(entry: &str, host: &str, port: u16) -> bool {
    let (name, of) = entry.rsplit_once(':').map_or((entry, None), |(name, of)| (name, Some(of)));
    let name = if name.starts_with("*.") { &name[1..] } else { name };
    let is_it = match name.strip_prefix('.') {
        Some(domain) => is_below(host, domain),
        None => host == name || is_below(host, name),
    };
    is_it && of.is_none_or(|of| of.parse() == Ok(port))
}

fn is_below(host: &str, domain: &str) -> bool {
    !domain.is_empty() && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(server: &str, of_kubeconfig: Option<&str>, variables: &[(&str, &str)]) -> Option<String> {
        let variable =
            |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        let uri = to(&server.parse().expect("an address"), of_kubeconfig, variable).expect("an address");
        uri.map(|uri| uri.to_string())
    }

    #[test]
    fn exceptions_are_about_the_api_server() {
        for (list, server, excepted) in [
            ("", "https://127.0.0.1:6443", true),
            ("", "https://[::1]:6443", true),
            ("", "https://localhost:6443", true),
            ("", "https://10.0.0.1:6443", false),
            ("*", "https://10.0.0.1:6443", true),
            ("a.example, 10.0.0.1,", "https://10.0.0.1:6443", true),
            ("10.0.0.1:6443", "https://10.0.0.1:6443", true),
            ("10.0.0.1:443", "https://10.0.0.1:6443", false),
            ("10.0.0.0/8", "https://10.255.0.1:6443", true),
            ("10.0.0.0/8", "https://11.0.0.1:6443", false),
            ("0.0.0.0/0", "https://11.0.0.1:6443", true),
            ("10.0.0.0/33", "https://10.0.0.0:6443", false),
            ("fd00::/8", "https://[fd12::1]:6443", true),
            ("fd00::/8", "https://[fe80::1]:6443", false),
            ("::/0", "https://[fe80::1]:6443", true),
            ("fe80::1", "https://[fe80::1]:6443", true),
            ("[fe80::1]:6443", "https://[fe80::1]:6443", true),
            ("example.org", "https://example.org", true),
            ("example.org", "https://API.Example.org:6443", true),
            (".example.org", "https://example.org", false),
            ("*.example.org", "https://api.example.org", true),
            ("example.org", "https://anexample.org", false),
            ("example.org:6443", "https://example.org:6443", true),
            ("example.org:443", "https://example.org:6443", false),
            ("example.org:443", "https://example.org", true),
            // What the proxy is called does not matter.
            ("proxy.example", "https://10.0.0.1:6443", false),
        ] {
            let variables = [("HTTPS_PROXY", "http://proxy.example:3128"), ("NO_PROXY", list)];
            assert_eq!(proxy(server, None, &variables).is_none(), excepted, "{list:?} {server}");
        }
    }

    #[test]
    fn the_kubeconfig_knows_best() {
        let server = "https://10.0.0.1:6443";
        let everywhere = [("HTTPS_PROXY", "http://other:1"), ("NO_PROXY", "*")];
        assert_eq!(proxy(server, Some("socks5://named:1080"), &everywhere).as_deref(), Some("socks5://named:1080/"));
        assert_eq!(proxy(server, None, &everywhere), None);
        assert_eq!(proxy(server, Some(""), &[("https_proxy", "other:1")]).as_deref(), Some("http://other:1/"));
        assert_eq!(proxy(server, None, &[("HTTPS_PROXY", ""), ("https_proxy", "")]), None);
        assert_eq!(proxy("http://10.0.0.5:8080", None, &[("HTTPS_PROXY", "http://other:1")]), None);
    }
}
