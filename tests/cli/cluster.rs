//! The verbs that speak to a cluster, against an API server that says what each test needs.

use serde_json::json;

use crate::{
    server::{Answer, Server, in_phase, kanary, kubeconfig, proxy},
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

/// A run that succeeds once its events were lost from sight and listed anew.
#[test]
fn a_watch_says_everything_once() {
    let validating = in_phase(kanary("web", 1), "Validating");
    let succeeded = in_phase(kanary("web", 2), "Succeeded");
    let event = |name: &str, reason: &str| {
        let metadata = json!({"name": name, "namespace": "shop", "resourceVersion": "5"});
        json!({"metadata": metadata, "involvedObject": {}, "reason": reason, "message": "as it is"})
    };
    let events = [event("a", "Started"), event("b", "Validating"), event("c", "Anew")];
    let forgotten = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    let (mut lists, mut is_anew) = (0, false);
    let server = Server::start(move |asked| match (asked.what(), asked.is_watch()) {
        ("events", false) => {
            lists += 1;
            Answer::list(&events[..events.len().min(lists + 1)])
        }
        ("events", true) if lists == 1 => Answer::Watch(vec![json!({"type": "ERROR", "object": forgotten})]),
        ("events", true) => {
            is_anew = true;
            Answer::Silence
        }
        ("pods", _) => Answer::refusal(403, "Forbidden", "you may not list pods"),
        ("kanarydeployments", true) if is_anew => {
            Answer::Watch(vec![json!({"type": "MODIFIED", "object": succeeded.clone()})])
        }
        ("kanarydeployments", true) => Answer::refusal(403, "Forbidden", "you may not watch"),
        ("kanarydeployments", false) => Answer::list(std::slice::from_ref(&validating)),
        _ => Answer::Object(200, validating.clone()),
    });
    let (out, error, code) = server.run(&["watch", "web"]);
    assert_eq!(code, Some(0), "{out}{error}");
    for (words, times) in [
        ("event Started: as it is", 1),
        ("event Validating: as it is", 1),
        ("event Anew: as it is", 1),
        ("cannot read its pods: you may not list pods", 1),
        ("cannot read the run: you may not watch", 1),
        ("too old", 0),
        ("Succeeded", 1),
    ] {
        assert_eq!(out.matches(words).count(), times, "{words}\n{out}");
    }
}

/// Deleted after it was read, before the first list, or while the watch was broken.
#[test]
fn a_watch_ends_with_what_it_watches() {
    for listed in [0, 1] {
        let run = in_phase(kanary("web", 1), "Validating");
        let forgotten = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
        let mut lists = 0;
        let server = Server::start(move |asked| match (asked.what(), asked.is_watch()) {
            ("web", _) => Answer::Object(200, run.clone()),
            ("kanarydeployments", false) => {
                lists += 1;
                if lists > listed { Answer::list(&[]) } else { Answer::list(std::slice::from_ref(&run)) }
            }
            ("kanarydeployments", true) => Answer::Watch(vec![json!({"type": "ERROR", "object": forgotten})]),
            (_, true) => Answer::Silence,
            (_, false) => Answer::list(&[]),
        });
        let (out, error, code) = server.run(&["watch", "web"]);
        assert_eq!(code, Some(1), "{out}{error}");
        assert!(out.contains("deleted"), "{out}");
    }
}
