//! One request to a Prometheus: bounded in time and size, without redirects, to an address that was checked.

use std::{collections::HashMap, error::Error, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::{
    Certificate, Client, ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use url::Url;

use super::secrets::Credentials;
use crate::promql::{EgressPolicy, Query};

/// An evaluation needs a few samples; more than this is a query that does not aggregate.
const MAX_BYTES: usize = 1 << 20;
/// One for each server, and no more than a cluster has.
const MAX_CLIENTS: usize = 64;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("cannot connect to {server}: {why}")]
    Unreachable { server: String, why: String },
    #[error("the connection broke before the response was complete: {0}")]
    BrokeOff(String),
    #[error("the response is larger than 1 MiB; aggregate in the query")]
    TooLong,
    #[error("cannot set up TLS: {0}; see caSecretRef")]
    Tls(String),
    #[error("cannot build the request: {0}")]
    Unsendable(String),
}

/// Connections that are kept, by server, and by whether it is the operator's own: what may be reached through one of those
/// is forbidden to all others.
#[derive(Default)]
pub struct Clients(Mutex<HashMap<(String, bool), Client>>);

impl Clients {
    fn get(
        &self,
        egress: &Arc<EgressPolicy>,
        url: &Url,
        written: &str,
        ca: Option<&[u8]>,
    ) -> Result<Client, SendError> {
        // A CA of its own may change with its Secret, so such a client is made for one query.
        if ca.is_some() {
            return client(egress, url, written, ca);
        }
        let key = (authority(written), egress.is_trusted(written));
        if let Some(client) = self.0.lock().get(&key) {
            return Ok(client.clone());
        }
        let made = client(egress, url, written, None)?;
        let mut clients = self.0.lock();
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, made.clone());
        Ok(made)
    }
}

/// Scheme, host and port: which server it is.
pub fn authority(url: &str) -> String {
    Url::parse(url).map(|url| url[..url::Position::BeforePath].to_owned()).unwrap_or_default()
}

fn client(egress: &Arc<EgressPolicy>, url: &Url, written: &str, ca: Option<&[u8]>) -> Result<Client, SendError> {
    // A second provider in the process would make both panic; that one is installed already is not an error.
    drop(rustls::crypto::ring::default_provider().install_default());
    let resolver = CheckedResolver {
        egress: egress.clone(),
        port: url.port_or_known_default().unwrap_or_default(),
        is_trusted: egress.is_trusted(written),
    };
    let builder = Client::builder()
        .user_agent(concat!("kanary/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(resolver))
        .pool_max_idle_per_host(2);
    trusting(builder, url, ca)?.build().map_err(|error| SendError::Tls(deepest(&error)))
}

/// Which certificates to trust. A plain connection needs none, and must not fail where the system has no certificates.
fn trusting(builder: ClientBuilder, url: &Url, ca: Option<&[u8]>) -> Result<ClientBuilder, SendError> {
    match ca {
        Some(pem) => {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| SendError::Tls(deepest(&error)))?;
            Ok(builder.tls_certs_only(certificates))
        }
        None if url.scheme() == "http" => Ok(builder.tls_certs_only([])),
        None => Ok(builder),
    }
}

/// Sends the query; returns status and body. The crate builds the request and sends it through our own client; the body is
/// read here, because the crate would read it without a limit.
pub async fn send(
    clients: &Clients,
    egress: &Arc<EgressPolicy>,
    query: &Query,
    credentials: &Credentials,
    timeout: Duration,
) -> Result<(u16, Vec<u8>), SendError> {
    // The path of the URL is kept: many servers can be behind one host.
    let base = query.url.trim_end_matches('/');
    let url = Url::parse(base).map_err(|error| SendError::Unsendable(error.to_string()))?;
    let client = clients.get(egress, &url, &query.url, credentials.ca.as_deref())?;
    let client = prometheus_http_query::Client::from(client, base).map_err(|error| send_error(&query.url, error))?;
    let mut request = client.query(&query.query).timeout(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
    for (name, value) in &headers(query, credentials)? {
        request = request.header(name, value);
    }
    let exchange = async {
        let response = request.post_raw().await.map_err(|error| send_error(&query.url, error))?;
        Ok((response.status().as_u16(), read(response).await?))
    };
    tokio::time::timeout(timeout, exchange).await.map_err(|_| SendError::Late(timeout))?
}

/// The user's headers and ours. The form's own Content-Type stays.
fn headers(query: &Query, credentials: &Credentials) -> Result<HeaderMap, SendError> {
    let bad = |what: &str| SendError::Unsendable(format!("{what} cannot be sent as a header"));
    let mut headers = HeaderMap::new();
    for (name, value) in query.prom_ql.prometheus.iter().flat_map(|server| &server.headers) {
        let parsed: HeaderName = name.parse().map_err(|_| bad(name))?;
        headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| bad(name))?);
    }
    headers.remove(CONTENT_TYPE);
    if let Some(authorization) = &credentials.authorization {
        let mut value = HeaderValue::from_bytes(authorization).map_err(|_| bad("the Secret's content"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, SendError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| SendError::BrokeOff(deepest(&error)))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(SendError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of prometheus-http-query, and grows")]
fn send_error(url: &str, error: prometheus_http_query::Error) -> SendError {
    let cause = deepest(&error);
    match error {
        prometheus_http_query::Error::Client(error) if error.inner().is_some_and(reqwest::Error::is_connect) => {
            SendError::Unreachable { server: authority(url), why: cause }
        }
        prometheus_http_query::Error::Client(_) => SendError::BrokeOff(cause),
        // A URL that cannot be parsed, or what a later version of the crate adds.
        _ => SendError::Unsendable(cause),
    }
}

/// What went wrong in the end; the layers above only say that something did.
fn deepest(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Resolves a name, and lets only those addresses through that may be reached: a name can point anywhere, and elsewhere
/// the next time.
struct CheckedResolver {
    egress: Arc<EgressPolicy>,
    port: u16,
    is_trusted: bool,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, port, is_trusted) = (self.egress.clone(), self.port, self.is_trusted);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), port)).await?.collect();
            let (allowed, refused): (Vec<_>, Vec<_>) =
                found.into_iter().map(|at| (at, egress.check(at))).partition(|(_, may)| is_trusted || may.is_ok());
            match refused.into_iter().find_map(|(_, may)| may.err()) {
                Some(error) if allowed.is_empty() => Err(error.into()),
                Some(_) | None => Ok(Box::new(allowed.into_iter().map(|(at, _)| at)) as Addrs),
            }
        })
    }
}
