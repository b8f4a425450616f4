//! A running control plane, and Kanary in it.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::conditions;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};

use crate::audit::Audit;
use crate::backend::Backend;
use crate::control_plane::ControlPlane;
use crate::controller::{self, Controller};
use crate::harness::Setup;
use crate::kit::Kit;
use crate::mesh::Mesh;
use crate::process::Process;
use crate::prometheus::Prometheus;
use crate::tools::Tool;
use crate::{Context, Error, access, manifests, network};

/// What the repository ships and the lab installs, in this order.
const MANIFESTS: [&str; 3] = ["crds/kanarydeployments.yaml", "deploy/namespace.yaml", "deploy/rbac.yaml"];

/// A control plane of its own. There is one in each inner process, see [`crate::namespace`].
pub struct Lab {
    plane: ControlPlane,
    backend: Option<Backend>,
    prometheus: Option<Prometheus>,
    mesh: Option<Mesh>,
}

impl Lab {
    /// Starts one, in the namespaces that this process entered.
    pub async fn start(kit: Kit, setup: &Setup) -> Result<Self, Error> {
        network::up().await?;
        let plane = ControlPlane::serve(kit).await?;
        let mut lab = Self { plane, backend: None, prometheus: None, mesh: None };
        for crds in lab.crds(setup)? {
            lab.apply_file(&crds).await?;
        }
        if setup.installs() {
            lab.install().await?;
        }
        lab.plane.act().await?;
        if setup.mesh() || setup.prometheus() {
            lab.backend = Some(Backend::start(lab.client()).await?);
        }
        if setup.prometheus() {
            lab.prometheus = Some(lab.start_prometheus().await?);
        }
        if setup.mesh() {
            lab.mesh = Some(Mesh::start(&lab).await?);
        }
        Ok(lab)
    }

    fn crds(&self, setup: &Setup) -> Result<Vec<PathBuf>, Error> {
        let mut files = setup.crds.clone();
        if setup.mesh() {
            for tool in [Tool::IstioCrds, Tool::GatewayCrds] {
                files.push(self.kit().tools.path(tool)?.to_owned());
            }
        }
        Ok(files)
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
        let path = self.plane.dir().join(format!("account-{account}.kubeconfig"));
        let token = controller::token(&self.plane, account).await?;
        access::write(&path, access::SERVER, self.plane.ca_pem(), &token)?;
        access::client(&path).await
    }

    /// What answers for every pod.
    pub fn backend(&self) -> Result<&Backend, Error> {
        self.backend.as_ref().ok_or_else(|| Error::wrong("pods answer with `with_mesh` or `with_prometheus` only"))
    }

    /// The Prometheus that all tests share; to stop one, start one.
    pub fn prometheus(&self) -> Result<&Prometheus, Error> {
        self.prometheus.as_ref().ok_or_else(|| Error::wrong("this lab was set up without `with_prometheus`"))
    }

    /// Starts a Prometheus of a test's own, which it may freeze and kill.
    pub async fn start_prometheus(&self) -> Result<Prometheus, Error> {
        Prometheus::start(self.kit()).await
    }

    /// The mesh.
    pub fn mesh(&self) -> Result<&Mesh, Error> {
        self.mesh.as_ref().ok_or_else(|| Error::wrong("this lab was set up without `with_mesh`"))
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
    pub fn kit(&self) -> &Kit {
        self.plane.kit()
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
