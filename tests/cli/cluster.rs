//! The verbs that speak to a cluster, against an API server that says what each test needs.

use serde_json::json;

use crate::{
    server::{Answer, Server, kanary, kubeconfig, proxy},
    snapshot::program,
};

fn one() -> Server {
    Server::start(|_| Answer::list(&[kanary("web", 1)]))
}

/// A machine behind a proxy, with a cluster of its own: kind, k3d, minikube.
#[test]
fn no_proxy_stands_before_a_cluster_on_this_machine() {
    let server = one();
    for exceptions in ["", "127.0.0.1"] {
        let mut get = server.program(&["get", "-o", "name"]);
        let output = get.env("HTTPS_PROXY", "http://proxy.invalid:3128").env("NO_PROXY", exceptions).output();
        let output = output.expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "kanarydeployment.kanary.k8s.io/web\n", "{error}");
    }
}

#[test]
fn the_proxy_of_a_kubeconfig_is_used() {
    let server = one();
    let file = kubeconfig(&json!({
        "server": "http://cluster.invalid:6443", "proxy-url": format!("http://{}", proxy(server.address())),
    }));
    let mut get = program(&["get", "-o", "name"]);
    let output = get.env("KUBECONFIG", file).env("NO_PROXY", "*").output().expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "kanarydeployment.kanary.k8s.io/web\n", "{error}");
}
