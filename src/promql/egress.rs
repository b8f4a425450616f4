//! Where queries can go. A user who can write a `KanaryDeployment` makes the controller send requests from its own place in
//! the network, so addresses where no Prometheus can be are blocked: cloud metadata, loopback, link-local addresses, the
//! API server where the controller calls it. The addresses of the controller's own pod and node are not known;
//! `--prometheus-allow` keeps queries from those.
//!
//! An address is checked twice: as it is written, and, by `controller::prometheus`, as its name resolves.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::embedded;

/// What the operator of the controller allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EgressPolicy {
    /// `--prometheus-url`: for queries of items without a URL. It may be anywhere.
    pub url: Option<String>,
    /// `--prometheus-allow`: hosts, or `*.suffix`; empty means any.
    pub allow: Vec<String>,
    /// Where the API server listens.
    pub api_server: BTreeSet<SocketAddr>,
    /// `--mirror-copies-query`: replaces the compiled-in query for whether mirrored requests arrive.
    pub copies_query: Option<String>,
}

/// Why a query cannot be sent there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no URL.
    #[error("no Prometheus URL: set promQL.prometheus.url, or start the controller with --prometheus-url")]
    Missing,
    /// Not an http or https URL.
    #[error("{0} is not an http or https URL")]
    NotAUrl(String),
    /// It has a password in it.
    #[error("the URL contains credentials, which everyone who can read this object sees; use basicAuthSecretRef")]
    Credentials,
    /// It has more than a path.
    #[error("the URL has a query string or a fragment; only a path is allowed after the host")]
    Query,
    /// It is that of an endpoint or of a page.
    #[error(
        "the URL ends in {end}, which is not the base URL of a Prometheus: the controller adds /api/v1/query; write {base}"
    )]
    Endpoint {
        /// What is too much.
        end: &'static str,
        /// The URL without it.
        base: String,
    },
    /// The operator allows other hosts only.
    #[error("the controller's --prometheus-allow does not list {0}")]
    NotListed(String),
    /// No Prometheus can be there.
    #[error("{address} is {what}; queries are not sent there")]
    Forbidden {
        /// The address.
        address: IpAddr,
        /// What is there.
        what: &'static str,
    },
}

/// Cloud metadata services at addresses of their own, beside the link-local one.
const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

impl EgressPolicy {
    /// The URL that a query goes to.
    ///
    /// # Errors
    /// [`Refused`], as far as the text of the URL says it.
    pub fn url<'a>(&'a self, written: Option<&'a str>) -> Result<&'a str, Refused> {
        let url = written.or(self.url.as_deref()).ok_or(Refused::Missing)?;
        let parsed = Url::parse(url).ok().filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
        let (parsed, host) = parsed
            .as_ref()
            .and_then(|parsed| Some((parsed, parsed.host()?)))
            .ok_or_else(|| Refused::NotAUrl(url.to_owned()))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Refused::Credentials);
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(Refused::Query);
        }
        if let Some((base, end)) = endpoint(url) {
            return Err(Refused::Endpoint { end, base: base.to_owned() });
        }
        if self.is_trusted(url) {
            return Ok(url);
        }
        if !self.lists(&host.to_string()) {
            return Err(Refused::NotListed(host.to_string()));
        }
        let port = parsed.port_or_known_default().unwrap_or_default();
        match host {
            Host::Ipv4(ip) => self.check(SocketAddr::new(ip.into(), port)).map(|()| url),
            Host::Ipv6(ip) => self.check(SocketAddr::new(ip.into(), port)).map(|()| url),
            Host::Domain(_) => Ok(url),
        }
    }

    /// Is it the operator's own?
    #[must_use]
    pub fn is_trusted(&self, url: &str) -> bool {
        self.url.as_deref() == Some(url)
    }

    /// May a connection go to this address?
    ///
    /// # Errors
    /// [`Refused::Forbidden`].
    pub fn check(&self, address: SocketAddr) -> Result<(), Refused> {
        let is_api_server = |ip: &IpAddr| {
            let is = |api: &SocketAddr| api.port() == address.port() && embedded::reached(api.ip()).contains(ip);
            self.api_server.iter().any(is)
        };
        let refused = embedded::reached(address.ip()).into_iter().find_map(|ip| {
            let what = if is_api_server(&ip) { Some("the API server") } else { forbidden(ip) };
            what.map(|what| Refused::Forbidden { address: ip, what })
        });
        refused.map_or(Ok(()), Err)
    }

    fn lists(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let is = |entry: &String| match entry.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix) && suffix.starts_with('.'),
            None => host == *entry,
        };
        self.allow.is_empty() || self.allow.iter().any(is)
    }
}

/// What people copy from a browser or from another tool; the longer ones first.
const ENDPOINTS: [&str; 4] = ["/api/v1/query_range", "/api/v1/query", "/api/v1", "/graph"];

/// The base URL, and the endpoint behind it.
fn endpoint(url: &str) -> Option<(&str, &'static str)> {
    let url = url.trim_end_matches('/');
    ENDPOINTS.into_iter().find_map(|end| Some((url.strip_suffix(end)?, end)))
}

fn forbidden(ip: IpAddr) -> Option<&'static str> {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let is_group = ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    match () {
        () if ip.is_loopback() || ip.is_unspecified() => Some("the controller's own host"),
        () if link_local => Some("a link-local address, as used for cloud metadata"),
        () if METADATA.contains(&ip) => Some("a cloud metadata address"),
        () if is_group => Some("a multicast or broadcast address"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> EgressPolicy {
        EgressPolicy { api_server: ["10.96.0.1:443".parse().expect("an address")].into(), ..EgressPolicy::default() }
    }

    #[test]
    fn a_prometheus_may_be_anywhere_else() {
        let good = [
            "http://prometheus.istio-system:9090",
            "https://prometheus.example.com/team-a/prometheus",
            "http://10.96.0.1:9090",
            "http://10.1.2.3:9090/",
            "https://metrics.example.com/api/prom",
            "https://metrics.example.com/select/0/prometheus",
            "http://[fd00::1]:9090",
            "http://[64:ff9b::192.0.2.1]:9090",
            "http://[64:ff9b:1::192.0.2.1]:9090",
            "http://[2002:c000:201::1]:9090",
            "http://[2001:db8::7f00:1]:9090",
            "http://168.63.129.17:9090",
        ];
        for url in good {
            assert_eq!(policy().url(Some(url)), Ok(url));
        }
    }

    #[test]
    fn what_a_user_must_not_reach_is_refused() {
        let bad = [
            ("http://169.254.169.254/latest/meta-data", "metadata"),
            ("http://[fe80::1]:9090", "link-local"),
            ("http://[::ffff:169.254.169.254]", "metadata"),
            ("http://[fd00:ec2::254]", "metadata"),
            ("http://100.100.100.200", "metadata"),
            ("http://168.63.129.16", "metadata"),
            ("http://[::ffff:168.63.129.16]", "metadata"),
            ("http://[::ffff:100.100.100.200]", "metadata"),
            ("http://[64:ff9b::169.254.169.254]", "metadata"),
            ("http://[64:ff9b::a83f:8110]", "metadata"),
            ("http://[64:ff9b::127.0.0.1]", "own host"),
            ("http://[64:ff9b::10.96.0.1]:443", "the API server"),
            ("http://[::7f00:1]:8080", "own host"),
            ("http://[::169.254.169.254]", "metadata"),
            ("http://[::10.96.0.1]:443", "the API server"),
            ("http://[::ffff:0:127.0.0.1]:8080", "own host"),
            ("http://[2002:7f00:1::]:8080", "own host"),
            ("http://[2002:a9fe:a9fe::1]", "metadata"),
            ("http://[2002:a60:1::1]:443", "the API server"),
            ("http://[64:ff9b:1::7f00:1]:8080", "own host"),
            ("http://[64:ff9b:1:7f00:0:100::]:8080", "own host"),
            ("http://[64:ff9b:1:ab7f:0:1::]:8080", "own host"),
            ("http://[64:ff9b:1::a9fe:a9fe]", "metadata"),
            ("http://[2001:0:c000:201::80ff:fffe]:8080", "own host"),
            ("http://[2001:0:a9fe:a9fe::1]", "metadata"),
            ("http://[fd00::5efe:127.0.0.1]:8080", "own host"),
            ("http://[fd00::200:5efe:a9fe:a9fe]", "metadata"),
            ("http://[fd20:ce::254]", "metadata"),
            ("http://127.0.0.1:8080", "own host"),
            ("http://127.9.9.9", "own host"),
            ("http://[::1]:8080", "own host"),
            ("http://0.0.0.0:8080", "own host"),
            ("https://10.96.0.1", "the API server"),
            ("http://10.96.0.1:443", "the API server"),
            ("http://[::ffff:10.96.0.1]:443", "the API server"),
            ("http://224.0.0.1", "multicast"),
            ("http://user:secret@prometheus:9090", "basicAuthSecretRef"),
            ("http://prometheus:9090/?match[]=up", "query string"),
            ("http://2130706433:8080", "own host"),
            ("http://0x7f.1", "own host"),
            ("http://prometheus:9090/?x=y", "query string"),
            ("http://prometheus:9090/api/v1/query", "ends in /api/v1/query, which"),
            ("http://prometheus:9090/api/v1/", "write http://prometheus:9090"),
            ("http://prometheus:9090/team/graph", "write http://prometheus:9090/team"),
            ("http://prometheus:9090/api/v1/query_range", "ends in /api/v1/query_range, which"),
            ("ftp://prometheus", "not an http"),
            ("prometheus:9090", "not an http"),
            ("/prometheus", "not an http"),
        ];
        for (url, why) in bad {
            let refused = policy().url(Some(url)).expect_err(url).to_string();
            assert!(refused.contains(why), "{url}: {refused}");
        }
        assert_eq!(policy().url(None), Err(Refused::Missing));
    }

    #[test]
    fn the_operators_own_may_be_anywhere() {
        let own =
            EgressPolicy { url: Some("http://127.0.0.1:9090".into()), allow: vec!["elsewhere".into()], ..policy() };
        assert_eq!(own.url(None), Ok("http://127.0.0.1:9090"));
        assert_eq!(own.url(Some("http://127.0.0.1:9090")), Ok("http://127.0.0.1:9090"));
        assert!(own.url(Some("http://127.0.0.1:9091")).is_err());
    }

    #[test]
    fn a_list_narrows() {
        let allow = vec!["prometheus.istio-system".into(), "*.monitoring.svc".into()];
        let narrow = EgressPolicy { allow, ..policy() };
        for url in ["http://prometheus.istio-system:9090", "http://a.monitoring.svc", "http://Prometheus.istio-system"]
        {
            assert_eq!(narrow.url(Some(url)), Ok(url));
        }
        for url in ["http://prometheus.istio-system.evil.example", "http://xmonitoring.svc", "http://monitoring.svc"] {
            assert!(matches!(narrow.url(Some(url)), Err(Refused::NotListed(_))), "{url}");
        }
    }
}
