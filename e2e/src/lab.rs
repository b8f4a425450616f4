//! A running control plane with Kanary installed.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    runtime::{conditions, wait::await_condition},
};
use tokio::sync::OnceCell;

use crate::{
    Context, Error, access,
    artifacts::Artifacts,
    audit::Audit,
    backend::Backend,
    control_plane::ControlPlane,
    controller::{self, Controller},
    manifests,
    mesh::Mesh,
    network,
    process::Process,
    prometheus::Prometheus,
    setup::Setup,
    tool::Tool,
    tools::Tools,
};

/// The shipped manifests that the lab installs, in this order.
const MANIFESTS: [&str; 3] = ["crds/kanarydeployments.yaml", "deploy/namespace.yaml", "deploy/rbac.yaml"];

/// A control plane of its own. There is one in each inner process, see [`crate::sandbox`].
pub struct Lab {
    plane: ControlPlane,
    backend: OnceCell<Backend>,
    prometheus: OnceCell<Prometheus>,
    mesh: OnceCell<Mesh>,
}

impl Lab {
    /// Starts one, in the kernel namespaces of this process.
    pub async fn start(artifacts: Artifacts, setup: &Setup) -> Result<Self, Error> {
        network::up().await?;
        let plane = ControlPlane::start_api_server(artifacts).await?;
        let mut lab = Self { plane, backend: OnceCell::new(), prometheus: OnceCell::new(), mesh: OnceCell::new() };
        for crds in &setup.crds {
            lab.apply_file(crds).await?;
        }
        if setup.mesh() {
            lab.install_route_crds(&lab.artifacts().tools).await?;
        }
        if setup.installs() {
            lab.install().await?;
        }
        lab.plane.start_controllers().await?;
        lab.start_addons(lab.artifacts(), setup).await?;
        Ok(lab)
    }

    /// Starts the mesh and Prometheus of a setup in a lab that already runs, with tools that were built in the
    /// meantime.
    ///
    /// The garbage collector discovers the mesh's kinds up to 30 s later, see [`ControlPlane::start_api_server`].
    pub async fn extend(&self, tools: Tools, setup: &Setup) -> Result<(), Error> {
        if setup.mesh() {
            self.install_route_crds(&tools).await?;
        }
        self.start_addons(&Artifacts { tools, ..self.artifacts().clone() }, setup).await
    }

    async fn start_addons(&self, artifacts: &Artifacts, setup: &Setup) -> Result<(), Error> {
        if setup.backend() {
            self.backend.get_or_try_init(|| Backend::start(self.client())).await?;
        }
        if setup.prometheus() {
            self.prometheus.get_or_try_init(|| Prometheus::start(artifacts)).await?;
        }
        if setup.mesh() {
            self.mesh.get_or_try_init(|| Mesh::start(self.client(), artifacts)).await?;
        }
        Ok(())
    }

    /// Applies the CRDs of Istio and of the Gateway API.
    async fn install_route_crds(&self, tools: &Tools) -> Result<(), Error> {
        for tool in [Tool::IstioCrds, Tool::GatewayCrds] {
            self.apply_file(tools.path(tool)?).await?;
        }
        Ok(())
    }

    /// Applies the CRD and the shipped manifests, except the controller's Deployment, because nothing would run its
    /// image.
    pub async fn install(&self) -> Result<(), Error> {
        for file in MANIFESTS {
            self.apply_file(&manifests::repository().join(file)).await?;
        }
        Ok(())
    }

    /// Applies all objects of a YAML file as admin; returns when its CRDs are served.
    pub async fn apply_file(&self, path: &Path) -> Result<(), Error> {
        let (client, mut crds) = (self.client(), Vec::new());
        for object in manifests::read(path)? {
            let applied = manifests::apply(&client, &object).await?;
            if object["kind"] == "CustomResourceDefinition" {
                crds.push(applied.metadata.name.unwrap_or_default());
            }
        }
        try_join_all(crds.iter().map(|crd| self.await_served(crd))).await.map(drop)
    }

    async fn await_served(&self, crd: &str) -> Result<(), Error> {
        let crds: Api<CustomResourceDefinition> = Api::all(self.client());
        let served = await_condition(crds, crd, conditions::is_crd_established());
        served.await.context(|| format!("wait for CRD {crd}")).map(drop)
    }

    /// Starts a controller, and waits until it is ready. Several can run at once.
    pub async fn controller<S: AsRef<str>>(&self, args: &[S]) -> Result<Controller, Error> {
        let mut controller = self.start_controller(args).await?;
        controller.ready().await?;
        Ok(controller)
    }

    /// Starts a controller that may never become ready.
    pub async fn start_controller<S: AsRef<str>>(&self, args: &[S]) -> Result<Controller, Error> {
        Controller::start(&self.plane, access::SERVER, args).await
    }

    /// Starts a controller that finds the API server at another address.
    pub async fn controller_at<S: AsRef<str>>(&self, server: &str, args: &[S]) -> Result<Controller, Error> {
        Controller::start(&self.plane, server, args).await
    }

    /// The admin's client.
    pub fn client(&self) -> Client {
        self.plane.client.clone()
    }

    /// The client of a ServiceAccount in Kanary's namespace, e.g. to test what its role forbids.
    pub async fn client_of(&self, account: &str) -> Result<Client, Error> {
        access::client_with(&controller::token(&self.plane, account).await?, self.plane.ca_pem()).await
    }

    /// The server that answers for every pod.
    pub fn backend(&self) -> Result<&Backend, Error> {
        self.backend.get().ok_or_else(|| {
            Error::wrong("pods do not answer requests in this lab: set it up with `with_backend`, `with_mesh` or `with_prometheus`")
        })
    }

    /// The Prometheus that all tests share; a test that stops one starts its own.
    pub fn prometheus(&self) -> Result<&Prometheus, Error> {
        self.prometheus
            .get()
            .ok_or_else(|| Error::wrong("this lab has no Prometheus: set it up with `with_prometheus`"))
    }

    /// Starts a Prometheus for one test, which may freeze and kill it.
    pub async fn start_prometheus(&self) -> Result<Prometheus, Error> {
        Prometheus::start(self.artifacts()).await
    }

    /// Starts a Prometheus for one test that serves https only and requires a password, see
    /// [`Prometheus::start_guarded`]; returns also the certificate authority that signed its certificate.
    pub fn start_guarded_prometheus(&self) -> Result<(Prometheus, &str), Error> {
        Ok((Prometheus::start_guarded(self.artifacts(), self.plane.pki())?, self.plane.ca_pem()))
    }

    /// The mesh.
    pub fn mesh(&self) -> Result<&Mesh, Error> {
        self.mesh.get().ok_or_else(|| Error::wrong("this lab has no mesh: set it up with `with_mesh`"))
    }

    /// The admin's kubeconfig, for processes inside the lab.
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    /// The requests that the controllers sent to the API server.
    pub fn audit(&self) -> Audit {
        self.plane.audit()
    }

    /// What it was built from.
    pub fn artifacts(&self) -> &Artifacts {
        self.plane.artifacts()
    }

    /// The lab's files: logs, keys, the store.
    pub fn dir(&self) -> &Path {
        self.plane.dir()
    }

    /// The control plane's processes, for measurements.
    pub fn processes(&self) -> &[Process] {
        self.plane.processes()
    }
}
