//! What goes wrong before a verb begins: verbs that do not exist, kubeconfig, proxies, an API server that cannot be reached.

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
        a_user_acts_as_another,
        verbs_of_other_tools_are_answered,
        a_cluster_and_a_user_are_chosen,
        a_server_that_does_not_answer_is_not_waited_for,
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

fn a_user_acts_as_another() {
    let server = one();
    let (_, error, code) = server.run(&["get", "--as", "jane", "--as-group", "dev", "--as-group", "ops", "-o", "name"]);
    assert_eq!(code, Some(0), "{error}");
    let requests = server.requests();
    let sent = requests[0].headers.iter().filter(|(name, _)| name.starts_with("impersonate-"));
    let sent: Vec<(&str, &str)> = sent.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(sent, [("impersonate-user", "jane"), ("impersonate-group", "dev"), ("impersonate-group", "ops")]);
    let (_, error, code) = server.run(&["get", "--as-group", "dev"]);
    assert_eq!((code, error.as_str()), (Some(2), "error: --as-group needs --as\n"));
}

fn a_cluster_and_a_user_are_chosen() {
    let server = one();
    let file = kubeconfig(&json!({"server": "http://127.0.0.1:1"}));
    let mut config: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).expect("a kubeconfig")).expect("JSON");
    let other = json!({"name": "other", "cluster": {"server": format!("http://{}", server.address())}});
    config["clusters"].as_array_mut().expect("clusters").push(other);
    config["users"].as_array_mut().expect("users").push(json!({"name": "robot", "user": {"token": "secret"}}));
    fs::write(&file, config.to_string()).expect("a kubeconfig");
    let mut get = program(&["get", "-o", "name", "--cluster", "other", "--user", "robot"]);
    let output = get.env("KUBECONFIG", &file).output().expect("the program runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let token = ("authorization".to_owned(), "Bearer secret".to_owned());
    assert!(server.requests()[0].headers.contains(&token));
    for (flag, expected) in
        [("--cluster", "the kubeconfig has no cluster \"x\""), ("--user", "the kubeconfig has no user \"x\"")]
    {
        let error = error_with(&file, &[flag, "x"]);
        assert!(error.contains(expected), "{error}");
    }
}

fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = Server::start(|_| Answer::Silence);
    let (_, error, code) = server.run(&["get", "--request-timeout", "1"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.starts_with("error: list kanarydeployments: ") && error.contains("time"), "{error}");
}

fn verbs_of_other_tools_are_answered() {
    for (arguments, expected) in [
        (
            vec!["promote", "web", "-n", "shop"],
            "error: there is no verb \"promote\"; did you mean: kubectl kanary approve web\n",
        ),
        (
            vec!["-n", "shop", "status"],
            "error: there is no verb \"status\"; did you mean: kubectl kanary describe NAME\n",
        ),
        (vec!["undo", "web"], "kubectl rollout undo deployment"),
    ] {
        let output = program(&arguments).output().expect("the program runs");
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.ends_with(expected) || error.contains(expected), "{error}");
    }
}
