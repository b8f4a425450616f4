//! A Kubernetes control plane of five processes, with flags that keep it small and private.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{
    Client, ResourceExt,
    api::{Api, PostParams},
};
use serde_json::json;
use tokio::process::Command;

use crate::{
    Context, Error,
    access::{self, ADMIN},
    artifacts::Artifacts,
    audit::{Audit, POLICY},
    flags::Flags,
    pki::Pki,
    process::Process,
    tool::Tool,
};

/// For any step; generous, because the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(90);
const BEAT: Duration = Duration::from_millis(40);
/// More than one, so that a test can distinguish them; each has room for a million pods.
const NODES: [&str; 3] = ["node-0", "node-1", "node-2"];
/// The running processes.
pub struct ControlPlane {
    artifacts: Artifacts,
    flags: Flags,
    processes: Vec<Process>,
    /// A client of the lab's admin.
    pub client: Client,
}

impl ControlPlane {
    /// Starts the API server and its store, the scheduler and the kubelets.
    ///
    /// Install CRDs after this and before the controllers: the garbage collector discovers new kinds every 30 s only,
    /// and does not collect kinds that it has not discovered.
    pub async fn start_api_server(artifacts: Artifacts) -> Result<Self, Error> {
        fs::create_dir_all(artifacts.dir.join("logs")).context(|| "create the log directory".into())?;
        let pki = Pki::create(&artifacts.dir)?;
        let tokens = access::write_all(&artifacts.dir, &pki.ca_pem)?;
        fs::write(artifacts.dir.join("audit-policy.yaml"), POLICY).context(|| "write the audit policy".into())?;
        let client = access::client(&ADMIN.kubeconfig(&artifacts.dir)).await?;
        let flags = Flags { dir: artifacts.dir.clone(), pki };
        let mut plane = Self { artifacts, flags, processes: Vec::new(), client };
        plane.spawn(Tool::Etcd, plane.flags.etcd())?;
        plane.await_port(2379).await?;
        plane.spawn(Tool::KubeApiserver, plane.flags.apiserver(&tokens))?;
        plane.await_port(6443).await?;
        // These need nothing from it yet, and load while it becomes ready.
        plane.spawn(Tool::KubeScheduler, plane.flags.scheduler())?;
        plane.spawn(Tool::Kwok, plane.flags.kwok()?)?;
        plane.await_ready().await?;
        Ok(plane)
    }

    /// Starts the controllers, and waits until pods can run.
    pub async fn start_controllers(&mut self) -> Result<(), Error> {
        self.spawn(Tool::KubeControllerManager, self.flags.controller_manager())?;
        try_join_all(NODES.map(|name| self.create_node(name))).await?;
        self.await_pods_possible().await
    }

    /// Where the lab's files are.
    pub fn dir(&self) -> &Path {
        &self.artifacts.dir
    }

    /// What it was built from.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// The lab's keys.
    pub fn pki(&self) -> &Pki {
        &self.flags.pki
    }

    /// The certificate authority, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.flags.pki.ca_pem
    }

    /// The admin's kubeconfig, for processes inside the lab.
    pub fn kubeconfig(&self) -> PathBuf {
        ADMIN.kubeconfig(&self.artifacts.dir)
    }

    /// The audit log.
    pub fn audit(&self) -> Audit {
        Audit::at(&self.artifacts.dir.join("audit.log"))
    }

    /// The processes, for measurements.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    fn spawn(&mut self, tool: Tool, args: Vec<String>) -> Result<(), Error> {
        let mut command = Command::new(self.artifacts.tools.path(tool)?);
        command.args(args).current_dir(&self.artifacts.dir);
        let log = self.artifacts.dir.join("logs").join(format!("{}.log", tool.name()));
        self.processes.push(Process::spawn(tool.name(), command, log)?);
        Ok(())
    }

    /// The error of the first process that exited.
    fn check(&mut self) -> Result<(), Error> {
        self.processes.iter_mut().find_map(Process::ended).map_or(Ok(()), Err)
    }

    async fn await_port(&mut self, port: u16) -> Result<(), Error> {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            self.beat(begun, || format!("nothing listens on port {port}")).await?;
        }
        Ok(())
    }

    async fn await_ready(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        while let Err(error) = self.get("/readyz").await {
            self.beat(begun, || format!("kube-apiserver is not ready: {error}")).await?;
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<String, Error> {
        let request = http::Request::get(path).body(Vec::new()).context(|| format!("GET {path}"))?;
        let answer = tokio::time::timeout(Duration::from_secs(5), self.client.request_text(request)).await;
        Ok(answer.context(|| format!("GET {path}"))??)
    }

    /// A pod can be created when its namespace has a ServiceAccount, and run when a node is ready.
    async fn await_pods_possible(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), "default");
        let nodes: Api<Node> = Api::all(self.client.clone());
        loop {
            let account = accounts.get_opt("default").await?;
            let ready = nodes.list(&Default::default()).await?.iter().filter(|node| is_ready(node)).count();
            if account.is_some() && ready == NODES.len() {
                return Ok(());
            }
            self.beat(begun, || format!("{ready} of {} nodes are ready", NODES.len())).await?;
        }
    }

    async fn beat(&mut self, begun: Instant, what: impl FnOnce() -> String) -> Result<(), Error> {
        self.check()?;
        if begun.elapsed() > PATIENCE {
            return Err(Error::wrong(format!("the lab has not started within {} s: {}", PATIENCE.as_secs(), what())));
        }
        tokio::time::sleep(BEAT).await;
        Ok(())
    }

    async fn create_node(&self, name: &str) -> Result<Node, Error> {
        let node = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": "lab",
            }},
        }))?;
        let nodes = Api::all(self.client.clone());
        nodes.create(&PostParams::default(), &node).await.context(|| format!("create Node {name}"))
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let tainted = node.spec.as_ref().is_some_and(|spec| spec.taints.as_ref().is_some_and(|taints| !taints.is_empty()));
    !tainted && !node.name_any().is_empty() && conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}
