//! A running control plane, and Kanary in it.

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

/// What the repository ships and the lab installs, in this order.
const MANIFESTS: [&str; 3] = ["crds/kanarydeployments.yaml", "deploy/namespace.yaml", "deploy/rbac.yaml"];

/// A control plane of its own. There is one in each inner process, see [`crate::sandbox`].
pub struct Lab {
    plane: ControlPlane,
    backend: OnceCell<Backend>,
    prometheus: OnceCell<Prometheus>,
    mesh: OnceCell<Mesh>,
}

impl Lab {
    /// Starts one, in the namespaces that this process entered.
    pub async fn start(artifacts: Artifacts, setup: &Setup) -> Result<Self, Error> {
        network::up().await?;
        let plane = ControlPlane::serve(artifacts).await?;
        let mut lab = Self { plane, backend: OnceCell::new(), prometheus: OnceCell::new(), mesh: OnceCell::new() };
        for crds in &setup.crds {
            lab.apply_file(crds).await?;
        }
        if setup.mesh() {
            lab.know_routes(&lab.artifacts().tools).await?;
        }
        if setup.installs() {
            lab.install().await?;
        }
        lab.plane.act().await?;
        lab.equip(lab.artifacts(), setup).await?;
        Ok(lab)
    }

    /// Starts what a setup has besides, in a lab that runs already: these tools were built meanwhile.
    ///
    /// The garbage collector hears of the mesh's kinds half a minute late, see [`ControlPlane::serve`].
    pub async fn extend(&self, tools: Tools, setup: &Setup) -> Result<(), Error> {
        if setup.mesh() {
            self.know_routes(&tools).await?;
        }
        self.equip(&Artifacts { tools, ..self.artifacts().clone() }, setup).await
    }

    async fn equip(&self, artifacts: &Artifacts, setup: &Setup) -> Result<(), Error> {
        if setup.mesh() || setup.prometheus() {
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
    async fn know_routes(&self, tools: &Tools) -> Result<(), Error> {
        for tool in [Tool::IstioCrds, Tool::GatewayCrds] {
            self.apply_file(tools.path(tool)?).await?;
        }
        Ok(())
    }

    /// Applies the CRD and the shipped manifests, except the controller's Deployment: nothing would run its image.
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

    /// Starts a controller that looks for the API server at another address.
    pub async fn controller_at<S: AsRef<str>>(&self, server: &str, args: &[S]) -> Result<Controller, Error> {
        Controller::start(&self.plane, server, args).await
    }

    /// A client of the admin.
    pub fn client(&self) -> Client {
        self.plane.client.clone()
    }

    /// A client of a ServiceAccount in Kanary's namespace, e.g. to see what its role forbids.
    pub async fn client_of(&self, account: &str) -> Result<Client, Error> {
        access::client_with(&controller::token(&self.plane, account).await?, self.plane.ca_pem()).await
    }

    /// What answers for every pod.
    pub fn backend(&self) -> Result<&Backend, Error> {
        self.backend.get().ok_or_else(|| Error::wrong("pods answer with `with_mesh` or `with_prometheus` only"))
    }

    /// The Prometheus that all tests share; to stop one, start one.
    pub fn prometheus(&self) -> Result<&Prometheus, Error> {
        self.prometheus.get().ok_or_else(|| Error::wrong("this lab was set up without `with_prometheus`"))
    }

    /// Starts a Prometheus of a test's own, which it may freeze and kill.
    pub async fn start_prometheus(&self) -> Result<Prometheus, Error> {
        Prometheus::start(self.artifacts()).await
    }

    /// Starts a Prometheus of a test's own that speaks https only and wants a password, see
    /// [`Prometheus::start_guarded`]; and the certificate authority that it is known by.
    pub fn start_guarded_prometheus(&self) -> Result<(Prometheus, &str), Error> {
        Ok((Prometheus::start_guarded(self.artifacts(), self.plane.pki())?, self.plane.ca_pem()))
    }

    /// The mesh.
    pub fn mesh(&self) -> Result<&Mesh, Error> {
        self.mesh.get().ok_or_else(|| Error::wrong("this lab was set up without `with_mesh`"))
    }

    /// The admin's kubeconfig, for processes inside the lab.
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    /// What the controllers asked of the API server.
    pub fn audit(&self) -> Audit {
        self.plane.audit()
    }

    /// What it runs.
    pub fn artifacts(&self) -> &Artifacts {
        self.plane.artifacts()
    }

    /// The lab's files: logs, keys, the store.
    pub fn dir(&self) -> &Path {
        self.plane.dir()
    }

    /// The control plane's processes, for those who measure them.
    pub fn processes(&self) -> &[Process] {
        self.plane.processes()
    }
}
