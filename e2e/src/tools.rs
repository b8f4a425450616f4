//! The programs the lab runs, and where they come from: `KUBEBUILDER_ASSETS`, the cache, or a build.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::go::{self, Module};
use crate::progress::Progress;
use crate::{Error, manifests};

/// One program.
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
}

/// What a control plane consists of.
pub const CONTROL_PLANE: [Tool; 5] =
    [Tool::KubeApiserver, Tool::KubeControllerManager, Tool::KubeScheduler, Tool::Kwok, Tool::Etcd];

/// Kubernetes programs that were built without this report no version, and clients that parse it fall over.
const KUBERNETES_VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

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
        }
    }

    /// The Go package it is built from; `tools/<module>/go.mod` pins its version.
    fn package(self) -> &'static str {
        match self {
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
        }
    }

    fn module(self) -> &'static str {
        match self {
            Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler | Self::Kubectl => "kubernetes",
            Self::Kwok => "kwok",
            Self::Etcd => "etcd",
        }
    }

    /// envtest's way to say: use these binaries. It knows of three.
    fn asset(self) -> Option<PathBuf> {
        let known = matches!(self, Self::Etcd | Self::KubeApiserver | Self::Kubectl);
        let file = Path::new(&env::var_os("KUBEBUILDER_ASSETS").filter(|_| known)?).join(self.name());
        file.is_file().then_some(file)
    }
}

/// The paths of the binaries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tools(BTreeMap<Tool, PathBuf>);

impl Tools {
    /// Finds the wanted programs, and builds what is missing.
    pub fn ensure(wanted: &[Tool], progress: &Progress) -> Result<Self, Error> {
        let mut tools = Self::default();
        for module in modules(wanted)? {
            tools.0.extend(go::ensure(&module, progress)?);
        }
        tools.0.extend(wanted.iter().filter_map(|tool| Some((*tool, tool.asset()?))));
        Ok(tools)
    }

    /// The path of one.
    pub fn path(&self, tool: Tool) -> Result<&Path, Error> {
        let path = self.0.get(&tool).map(PathBuf::as_path);
        path.ok_or_else(|| Error::wrong(format!("this lab was started without {}", tool.name())))
    }
}

/// The Go modules that hold what is wanted and not given, in the order of `wanted`.
fn modules(wanted: &[Tool]) -> Result<Vec<Module>, Error> {
    let mut modules: Vec<Module> = Vec::new();
    for tool in wanted.iter().filter(|tool| tool.asset().is_none()) {
        let dir = manifests::repository().join("e2e/tools").join(tool.module());
        let at = match modules.iter().position(|module| module.dir == dir) {
            Some(at) => at,
            None => {
                let link = if tool.module() == "kubernetes" { KUBERNETES_VERSION } else { "" };
                modules.push(Module { dir, link, binaries: Vec::new() });
                modules.len() - 1
            }
        };
        modules[at].binaries.push((*tool, tool.package()));
    }
    Ok(modules)
}
