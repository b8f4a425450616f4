//! A running control plane, and Kanary in it.

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::conditions;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};

use crate::audit::Audit;
use crate::control_plane::ControlPlane;
use crate::controller::{self, Controller};
use crate::harness::Setup;
use crate::kit::Kit;
use crate::process::Process;
use crate::{Context, Error, access, manifests, network};

/// What the repository ships and the lab installs, in this order.
const MANIFESTS: [&str; 3] = ["crds/kanarydeployments.yaml", "deploy/namespace.yaml", "deploy/rbac.yaml"];

/// A control plane of its own. There is one in each inner process, see [`crate::namespace`].
pub struct Lab {
    plane: ControlPlane,
}

impl Lab {
    /// Starts one, in the namespaces that this process entered.
    pub async fn start(kit: Kit, setup: &Setup) -> Result<Self, Error> {
        network::up().await?;
        let plane = ControlPlane::serve(kit).await?;
        let mut lab = Self { plane };
        for crds in &setup.crds {
            lab.apply_file(crds).await?;
        }
        if setup.installs() {
            lab.install().await?;
        }
        lab.plane.act().await?;
        Ok(lab)
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
        let client = self.client();
        for object in manifests::read(path)? {
            let applied = manifests::apply(&client, &object).await?;
            if object["kind"] == "CustomResourceDefinition" {
                self.await_served(&applied.metadata.name.unwrap_or_default()).await?;
            }
        }
        Ok(())
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
