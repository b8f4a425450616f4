//! The lab: a real Kubernetes control plane on a plain Linux machine, without Docker and without root.
//!
//! It builds `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` and `kwok` from their
//! Go modules (once; they are kept in a cache), runs them in namespaces of the kernel that belong to this
//! process alone, and runs Kanary there as it runs in production: with the shipped manifests, under its own
//! ServiceAccount. Tests, the demo and the benchmark use it. On request there is a mesh (istiod and Envoy), and a
//! Prometheus.
//!
//! ```text
//!  tools             builds the programs, before anything starts        (on the host's network)
//!  background_build  or while the lab already runs, for the demo        (on the host's network)
//!  sandbox           this program again, in a net+pid+mount namespace   (when it dies, the kernel ends everything in it)
//!  control_plane     etcd, API server, controllers, scheduler, kubelet  (kwok simulates the kubelet)
//!  lab               a control plane with Kanary installed
//!  backend           all pods: they answer, count and have metrics      (on request, and with a mesh or a Prometheus)
//!  test_namespace    a Kubernetes namespace for one test, and how to wait for what should happen in it
//!  harness           a test binary: one lab, many test namespaces
//! ```
//!
//! What it is not: pods have addresses and conditions but no processes, there is no container runtime and no
//! CNI. And nothing here knows what Kanary should do; the tests do.

pub mod access;
pub mod artifacts;
pub mod audit;
pub mod backend;
pub mod background_build;
pub mod cache;
pub mod control_plane;
pub mod controller;
pub mod cut_proxy;
pub mod diagnostics;
pub mod dynamic;
pub mod error;
pub mod flags;
pub mod go;
pub mod harness;
pub mod home;
pub mod http_client;
pub mod job;
pub mod kanary_api;
pub mod kanary_deployment;
pub mod lab;
pub mod load;
pub mod manifests;
pub mod mesh;
pub mod network;
pub mod pki;
pub mod port_forward;
pub mod process;
pub mod progress;
pub mod prometheus;
pub mod sandbox;
pub mod setup;
pub mod terminal;
pub mod test_namespace;
pub mod tool;
pub mod tools;
pub mod traffic;
pub mod wait;
pub mod watch_proxy;
pub mod wheel;

pub use error::{Context, Error};
pub use lab::Lab;
pub use setup::Setup;
pub use test_namespace::TestNamespace;
