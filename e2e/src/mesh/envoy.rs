//! One Envoy that istiod configures, and what its admin pages report.

use std::{
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    ingress,
    route::{self, Route},
};
use crate::{
    Context, Error,
    artifacts::Artifacts,
    http_client::HttpClient,
    network::{GATEWAY_ADMIN_PORT, SIDECAR_ADMIN_PORT, XDS_PORT},
    process::Process,
    tool::Tool,
};

/// istiod configures a proxy within a second; on a busy machine later.
const PATIENCE: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_millis(30);

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Beside a client.
    Sidecar,
    /// At the edge.
    Gateway,
}

impl Role {
    fn admin_port(self) -> u16 {
        match self {
            Self::Sidecar => SIDECAR_ADMIN_PORT,
            Self::Gateway => GATEWAY_ADMIN_PORT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "envoy-sidecar",
            Self::Gateway => "envoy-gateway",
        }
    }

    /// The node that it reports to istiod, which configures it accordingly.
    fn node(self, address: Ipv4Addr) -> Value {
        let (kind, pod, namespace, labels) = match self {
            Self::Sidecar => ("sidecar", "client-0", "default", json!({"app": "client"})),
            Self::Gateway => ("router", ingress::POD, ingress::NAMESPACE, ingress::labels()),
        };
        json!({
            "id": format!("{kind}~{address}~{pod}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("{pod}.{namespace}"),
            "metadata": {
                "NAMESPACE": namespace, "CLUSTER_ID": "Kubernetes", "LABELS": labels,
                // No iptables here: a listener for each port of a Service instead.
                "INTERCEPTION_MODE": "NONE",
            },
        })
    }
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    role: Role,
    client: HttpClient,
}

impl Envoy {
    /// Starts it, and waits until it has all of its configuration.
    pub async fn start(artifacts: &Artifacts, role: Role, address: Ipv4Addr) -> Result<Self, Error> {
        let config = artifacts.dir.join(format!("{}.json", role.name()));
        fs::write(&config, bootstrap(role, address).to_string()).context(|| format!("write {}", config.display()))?;
        let mut command = Command::new(artifacts.tools.path(Tool::Envoy)?);
        command.arg("--config-path").arg(&config).args(["--concurrency", "1", "--disable-hot-restart"]);
        // Istio uses fields that are deprecated in Envoy, which logs that each time.
        command.args(["--log-level", "warning", "--component-log-level", "misc:error"]).current_dir(&artifacts.dir);
        let log = artifacts.dir.join("logs").join(format!("{}.log", role.name()));
        let mut envoy =
            Self { process: Process::spawn(role.name(), command, log)?, role, client: HttpClient::default() };
        let ready = envoy.url("/ready");
        envoy.client.until_ok(&mut envoy.process, &ready).await?;
        Ok(envoy)
    }

    fn url(&self, page: &str) -> String {
        format!("http://127.0.0.1:{}{page}", self.role.admin_port())
    }

    /// A page of its admin interface.
    pub async fn page(&self, page: &str) -> Result<String, Error> {
        match self.client.get(&self.url(page)).await? {
            (200, body) => Ok(body),
            (status, body) => {
                Err(Error::wrong(format!("{} returned status {status} for {page}: {body}", self.role.name())))
            }
        }
    }

    /// The routes it has for requests to this host, in the order in which it tries them.
    pub async fn routes(&self, host: &str) -> Result<Vec<Route>, Error> {
        let dump: Value = serde_json::from_str(&self.page("/config_dump?resource=dynamic_route_configs").await?)?;
        Ok(route::of(&dump, host))
    }

    /// Waits until `met` holds for the first route of a host.
    pub async fn until_route(&self, host: &str, awaited: &str, met: impl Fn(&Route) -> bool) -> Result<Route, Error> {
        let begun = Instant::now();
        loop {
            let routes = self.routes(host).await?;
            if let Some(first) = routes.first().filter(|first| met(first)) {
                return Ok(first.clone());
            }
            wait(begun, || {
                format!("{} has for {host} the routes {routes:#?}, still waiting for: {awaited}", self.role.name())
            })
            .await?;
        }
    }

    /// Waits until it would send requests to `count` pods of a Service, or of a subset of it; the empty one is all of them.
    pub async fn until_endpoints(&self, host: &str, port: u16, subset: &str, count: usize) -> Result<(), Error> {
        let (begun, cluster) = (Instant::now(), format!("outbound|{port}|{subset}|{host}"));
        loop {
            let page: Value = serde_json::from_str(&self.page("/clusters?format=json").await?)?;
            let mut clusters = page["cluster_statuses"].as_array().into_iter().flatten();
            let there = clusters.find(|status| status["name"] == cluster.as_str());
            let found = there.and_then(|status| status["host_statuses"].as_array()).map_or(0, Vec::len);
            if found == count && (there.is_some() || count == 0) {
                return Ok(());
            }
            wait(begun, || format!("{} has {found} endpoints of {cluster}, expected {count}", self.role.name()))
                .await?;
        }
    }

    /// Waits until no request to any Service of a namespace is in flight. A copy is in flight until it is answered.
    pub async fn until_idle(&self, namespace: &str) -> Result<(), Error> {
        let begun = Instant::now();
        let filter = format!("/stats?filter=%5C.{namespace}%5C.svc.*upstream_rq(_pending)?_active");
        loop {
            let page = self.page(&filter).await?;
            if page.lines().all(|line| line.ends_with(": 0")) {
                return Ok(());
            }
            wait(begun, || format!("{} still has requests to {namespace} in flight:\n{page}", self.role.name()))
                .await?;
        }
    }
}

async fn wait(begun: Instant, what: impl FnOnce() -> String) -> Result<(), Error> {
    if begun.elapsed() > PATIENCE {
        return Err(Error::wrong(what()));
    }
    tokio::time::sleep(BEAT).await;
    Ok(())
}

/// An Envoy's static configuration: its node, and where istiod is.
fn bootstrap(role: Role, address: Ipv4Addr) -> Value {
    let socket = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let http2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let ads = json!({"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"});
    json!({
        "node": role.node(address),
        "admin": {"address": socket(role.admin_port())},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": true,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "istiod"}}],
            },
            "lds_config": ads, "cds_config": ads,
        },
        "static_resources": {"clusters": [{
            "name": "istiod", "type": "STATIC", "connect_timeout": "1s",
            "typed_extension_protocol_options": {http2: {
                "@type": format!("type.googleapis.com/{http2}"),
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
            "load_assignment": {"cluster_name": "istiod", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": socket(XDS_PORT)}},
            ]}]},
        }]},
    })
}
