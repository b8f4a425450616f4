//! The programs the lab runs, and where they come from: `KUBEBUILDER_ASSETS`, the cache, or a build.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::go::Module;
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
const VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.36.3 \
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

    /// The Go package it is built from; `tools/kubernetes/go.mod` pins its version.
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

    /// A binary that is there already: in envtest's directory, which holds three of them, or a person's own kubectl.
    fn given(self) -> Option<PathBuf> {
        let known = matches!(self, Self::Etcd | Self::KubeApiserver | Self::Kubectl);
        let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|_| known).map(PathBuf::from);
        let path = env::var_os("PATH").filter(|_| self == Self::Kubectl).unwrap_or_default();
        let dirs = assets.into_iter().chain(env::split_paths(&path));
        dirs.map(|dir| dir.join(self.name())).find(|file| file.is_file())
    }
}

/// The paths of the binaries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tools(BTreeMap<Tool, PathBuf>);

impl Tools {
    /// The path of one.
    pub fn path(&self, tool: Tool) -> Result<&Path, Error> {
        let path = self.0.get(&tool).map(PathBuf::as_path);
        path.ok_or_else(|| Error::wrong(format!("this lab was started without {}", tool.name())))
    }
}

/// Where each program will come from.
#[derive(Debug)]
pub struct Plan {
    tools: Tools,
    module: Option<Module>,
}

/// Finds what is there. An error here comes before anything is built: what is missing cannot be built on this machine.
pub fn plan(wanted: &[Tool]) -> Result<Plan, Error> {
    let (mut tools, mut binaries) = (Tools::default(), Vec::new());
    for tool in wanted {
        match tool.given() {
            Some(path) => drop(tools.0.insert(*tool, path)),
            None => binaries.push((*tool, tool.package())),
        }
    }
    let module = Module { dir: manifests::repository().join("e2e/tools/kubernetes"), link: VERSION, binaries };
    let cached = module.cached()?;
    if cached.len() == module.binaries.len() {
        tools.0.extend(cached);
        return Ok(Plan { tools, module: None });
    }
    module.check_go()?;
    Ok(Plan { tools, module: Some(module) })
}

impl Plan {
    /// How many builds it takes.
    pub fn to_build(&self) -> usize {
        usize::from(self.module.is_some())
    }

    /// Builds what is missing.
    pub fn carry_out(mut self, progress: &Progress) -> Result<Tools, Error> {
        if let Some(module) = self.module {
            self.tools.0.extend(module.build(progress)?);
        }
        Ok(self.tools)
    }
}
