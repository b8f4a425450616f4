//! The way to the API server: kubeconfig, proxies, and the errors if it cannot be reached.

use std::{fs, net::TcpListener};

use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    server::{Answer, Server, kanary, kubeconfig, proxy},
    snapshot::{program, text},
    trials,
};

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![
        no_proxy_stands_before_a_cluster_on_this_machine,
        the_proxy_of_a_kubeconfig_is_used,
        an_api_server_that_cannot_be_reached_is_named,
        a_wrong_context_names_those_that_exist,
        a_missing_kubeconfig_is_named,
    ]
}
fn one() -> Server {
    Server::start(|_| Answer::list(&[kanary("web", 1)]))
}

/// A machine behind a proxy, with a cluster of its own: kind, k3d, minikube.
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

/// The error of `get` with this kubeconfig.
fn error_with(kubeconfig: &std::path::Path, arguments: &[&str]) -> String {
    let output = program(&[&["get"], arguments].concat()).env("KUBECONFIG", kubeconfig).output();
    let output = output.expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    text(&output.stderr)
}

fn an_api_server_that_cannot_be_reached_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let file = kubeconfig(&json!({"server": format!("https://{free}")}));
    let expected = format!("error: list kanarydeployments: cannot reach https://{free}: connection refused\n");
    assert_eq!(error_with(&file, &[]), expected);
    // Behind a proxy it may be the proxy.
    let proxy = format!("http://{free}");
    let file = kubeconfig(&json!({"server": "https://cluster.invalid:6443", "proxy-url": proxy}));
    let error = error_with(&file, &[]);
    let expected = format!("cannot reach https://cluster.invalid:6443 through the proxy {proxy}: connection refused");
    assert!(error.contains(&expected), "{error}");
}

fn a_wrong_context_names_those_that_exist() {
    let file = kubeconfig(&json!({"server": "https://cluster.invalid:6443"}));
    let error = error_with(&file, &["--context", "nope"]);
    assert_eq!(error, "error: no context \"nope\"; there are: it\n");
    let other = kubeconfig(&json!({"server": "https://cluster.invalid:6443"}));
    let text = fs::read_to_string(&other)
        .expect("a kubeconfig")
        .replace("\"current-context\":\"it\"", "\"current-context\":\"gone\"");
    fs::write(&other, text).expect("a kubeconfig");
    assert_eq!(error_with(&other, &[]), "error: no context \"gone\"; there are: it\n");
}

fn a_missing_kubeconfig_is_named() {
    let file = kubeconfig(&json!({}));
    let error = error_with(&file, &["--kubeconfig", "/no/such/file"]);
    assert_eq!(error, "error: cannot read the kubeconfig /no/such/file: no such file or directory\n");
    let error = error_with("/dev/null".as_ref(), &[]);
    assert_eq!(error, "error: no cluster: the kubeconfig has no context; set --kubeconfig or KUBECONFIG\n");
}
