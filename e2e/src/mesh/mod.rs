//! A real mesh: istiod, one Envoy as the sidecar of all clients, and one as the ingress gateway.
//!
//! The sidecar serves all clients that call a Service from inside the mesh, and sees the Services of all namespaces.
//! Pods have no sidecar; the [backend](crate::backend) reports the metrics that theirs would. There is no webhook
//! either, so the API server accepts objects that Istio's would reject.

pub mod envoy;
pub mod ingress;
pub mod route;
pub mod shared_ports;

use std::fs;

use kube::Client;
use serde_json::json;
use tokio::process::Command;

use self::envoy::{Envoy, Role};
use crate::{
    Context, Error,
    access::ISTIOD,
    artifacts::Artifacts,
    http_client::HttpClient,
    manifests,
    network::{NODE_IP, XDS_PORT},
    process::Process,
    tool::Tool,
};

const HTTP_PORT: u16 = 15080;
const MONITORING_PORT: u16 = 15014;

/// A running mesh; there is one for all tests.
#[derive(Debug)]
pub struct Mesh {
    _istiod: Process,
    /// Calls Services: `127.0.0.1`, with the Service's port and its name as the Host.
    pub sidecar: Envoy,
    /// Receives requests from outside the mesh, see [`ingress`].
    pub gateway: Envoy,
}

impl Mesh {
    /// Starts it, and waits until istiod has configured both proxies.
    pub async fn start(client: Client, artifacts: &Artifacts) -> Result<Self, Error> {
        for object in ingress::objects().into_iter().chain([shared_ports::object()]) {
            manifests::apply(&client, &object).await?;
        }
        let mut istiod = istiod(artifacts)?;
        let ready = format!("http://127.0.0.1:{HTTP_PORT}/ready");
        HttpClient::default().until_ok(&mut istiod, &ready).await?;
        let address = ingress::address(&client).await?;
        let sidecar = Envoy::start(artifacts, Role::Sidecar, NODE_IP).await?;
        let gateway = Envoy::start(artifacts, Role::Gateway, address).await?;
        Ok(Self { _istiod: istiod, sidecar, gateway })
    }
}

fn istiod(artifacts: &Artifacts) -> Result<Process, Error> {
    let config = artifacts.dir.join("mesh.json");
    // The upstream build of Envoy lacks Istio's filters, and rejects configuration that uses them.
    let mesh = json!({"defaultProviders": {}, "enableAutoMtls": false});
    fs::write(&config, mesh.to_string()).context(|| format!("write {}", config.display()))?;
    let mut command = Command::new(artifacts.tools.path(Tool::PilotDiscovery)?);
    command.args(["discovery", "--secureGRPCAddr=", "--httpsAddr="]);
    command.arg(format!("--kubeconfig={}", ISTIOD.kubeconfig(&artifacts.dir).display()));
    command.arg(format!("--meshConfig={}", config.display()));
    command.arg(format!("--httpAddr=127.0.0.1:{HTTP_PORT}")).arg(format!("--grpcAddr=127.0.0.1:{XDS_PORT}"));
    command.arg(format!("--monitoringAddr=127.0.0.1:{MONITORING_PORT}")).current_dir(&artifacts.dir);
    command.envs([
        ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
        ("PILOT_ENABLE_ALPN_FILTER", "false"),
        ("ENABLE_CA_SERVER", "false"),
        // Nothing can be deployed here: the gateway already runs.
        ("PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER", "false"),
        // istiod waits for quiet before it configures the proxies, and every test waits with it.
        ("PILOT_DEBOUNCE_AFTER", "20ms"),
        ("PILOT_DEBOUNCE_MAX", "500ms"),
        ("CLUSTER_ID", "Kubernetes"),
        ("POD_NAME", "istiod"),
        ("POD_NAMESPACE", "istio-system"),
    ]);
    Process::spawn("istiod", command, artifacts.dir.join("logs/istiod.log"))
}
