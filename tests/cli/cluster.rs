//! The verbs that speak to a cluster, against an API server that says what each test needs.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};

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
            Answer::DefaultStatus
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
            (_, true) => Answer::DefaultStatus,
            (_, false) => Answer::list(&[]),
        });
        let (out, error, code) = server.run(&["watch", "web"]);
        assert_eq!(code, Some(1), "{out}{error}");
        assert!(out.contains("deleted"), "{out}");
    }
}

/// Answers `get web` and its patches: the first of them are conflicts, and each time the object is as `then` makes it.
fn contended(conflicts: usize, then: impl Fn(&mut Value) + Send + 'static) -> Server {
    let mut run = in_phase(kanary("web", 1), "Validating");
    let mut patches = 0;
    Server::start(move |asked| {
        if asked.method == "PATCH" {
            patches += 1;
            if patches <= conflicts {
                run["metadata"]["resourceVersion"] = (patches + 1).to_string().into();
                then(&mut run);
                return Answer::refusal(409, "Conflict", "the object has been modified");
            }
        }
        Answer::Object(200, run.clone())
    })
}

#[test]
fn a_word_is_said_again_if_the_controller_wrote_meanwhile() {
    for (verb, said) in [("approve", "web approved"), ("reject", "web rejected")] {
        let server = contended(2, |run| run["status"]["message"] = "goes on".into());
        let (out, error, code) = server.run(&[verb, "web"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains(said), "{out}");
        let patches = server.asked().into_iter().filter(|asked| asked.method == "PATCH");
        let guards: Vec<Value> = patches.map(|asked| asked.body["metadata"]["resourceVersion"].clone()).collect();
        assert_eq!(guards, ["1", "2", "3"]);
    }
    // It gives up at last.
    let server = contended(usize::MAX, |_| ());
    let (_, error, code) = server.run(&["approve", "web"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("the object has been modified"), "{error}");
}

#[test]
fn a_word_is_about_what_was_seen() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (|run| run["spec"]["template"]["metadata"] = json!({"labels": {"a": "b"}}), "somebody else changed"),
        (|run| run["spec"]["runID"] = "again".into(), "somebody else changed"),
        (|run| run["spec"]["validation"] = json!({"manual": {"status": "invalid"}}), "somebody else changed"),
        (|run| run["status"]["phase"] = "Failing".into(), "has fallen already"),
    ];
    for (change, words) in changes {
        let server = contended(1, change);
        let (_, error, code) = server.run(&["approve", "web"]);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(words), "{words}: {error}");
        assert_eq!(server.asked().iter().filter(|asked| asked.method == "PATCH").count(), 1);
    }
}

/// Of a newer version, say: a field is another type.
fn strange() -> Value {
    let mut strange = kanary("strange", 7);
    strange["spec"]["scale"] = "much".into();
    strange
}

#[test]
fn one_that_is_not_understood_hides_no_other() {
    let server = Server::start(|_| Answer::list(&[strange(), kanary("web", 1)]));
    let (out, error, code) = server.run(&["get"]);
    assert_eq!(code, Some(0), "{error}");
    let row = |name: &str| out.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(row("strange").contains('?') && row("web").contains("none"), "{out}");
    assert!(error.contains("strange cannot be read by this version"), "{error}");
    let (out, error, _) = server.run(&["get", "-o", "json"]);
    let list: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&list["items"][0]["spec"]["scale"], error.as_str()), (&json!("much"), ""));
    let (out, _, _) = server.run(&["get", "-o", "name"]);
    assert_eq!(out, "kanarydeployment.kanary.k8s.io/strange\nkanarydeployment.kanary.k8s.io/web\n");
}

#[test]
fn a_canary_is_stopped_though_it_is_not_understood() {
    let server = Server::start(|_| Answer::Object(200, strange()));
    let (out, error, code) = server.run(&["reject", "strange"]);
    assert_eq!((code, out.as_str()), (Some(0), "kanarydeployment.kanary.k8s.io/strange rejected\n"), "{error}");
    let patch = &server.asked()[1].body;
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
    for verb in ["approve", "retry", "describe"] {
        let (_, error, code) = server.run(&[verb, "strange"]);
        assert_eq!(code, Some(1), "{verb}");
        assert!(error.contains("cannot be read by this version"), "{verb}: {error}");
    }
}

/// As kubectl has it: one that is asked for by its name is an object, all else a list.
#[test]
fn what_is_listed_is_a_list() {
    for (items, words, kind, count) in [
        (vec![], vec!["get"], "List", Some(0)),
        (vec![kanary("web", 1)], vec!["get"], "List", Some(1)),
        (vec![kanary("web", 1)], vec!["get", "web"], "KanaryDeployment", None),
        (vec![kanary("web", 1)], vec!["get", "web", "web"], "List", Some(2)),
    ] {
        let server = Server::start(move |asked| match asked.what() {
            "web" => Answer::Object(200, items[0].clone()),
            _ => Answer::list(&items),
        });
        for format in ["json", "yaml"] {
            let (out, error, code) = server.run(&[&words[..], &["-o", format]].concat());
            assert_eq!(code, Some(0), "{error}");
            let data: Value = serde_saphyr::from_str(&out).expect("YAML");
            assert_eq!(data["kind"], kind, "{words:?} {format}");
            assert_eq!(data["items"].as_array().map(Vec::len), count, "{words:?} {format}");
        }
    }
}

/// The first lines that it prints; it goes on for ever.
fn first_lines(server: &Server, arguments: &[&str], count: usize) -> Vec<String> {
    let mut child = server.program(arguments).stdout(Stdio::piped()).spawn().expect("it runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let lines = out.lines().take(count).map(|line| line.expect("UTF-8")).collect();
    child.kill().expect("it runs still");
    child.wait().expect("it ends");
    lines
}

#[test]
fn a_list_goes_on_as_one_table() {
    let (short, long) = (kanary("web", 1), kanary("a-rather-long-name", 2));
    let forgotten = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    let mut lists = 0;
    let server = Server::start(move |asked| match asked.is_watch() {
        false => {
            lists += 1;
            let items = [short.clone(), long.clone()];
            Answer::list(if lists == 1 { &items } else { &items[1..] })
        }
        true if lists == 1 => Answer::Watch(vec![
            json!({"type": "MODIFIED", "object": in_phase(long.clone(), "Failed")}),
            json!({"type": "ERROR", "object": forgotten}),
        ]),
        true => {
            Answer::Watch(vec![json!({"type": "DELETED", "object": long}), json!({"type": "ADDED", "object": long})])
        }
    });
    let lines = first_lines(&server, &["get", "-w"], 6);
    let names: Vec<&str> = lines.iter().map(|line| line.split_whitespace().nth(1).unwrap_or_default()).collect();
    let long = "a-rather-long-name";
    // Both; what the list lacks after a while; what was deleted; and it is forgotten, so that it comes anew.
    assert_eq!(names, ["NAME", "web", long, "web", long, long], "{lines:#?}");
    let words: Vec<&str> = lines.iter().map(|line| line.split_whitespace().nth(2).unwrap_or_default()).collect();
    assert_eq!(words, ["STATUS", "-", "-", "Gone", "Gone", "-"], "{lines:#?}");
    let under = lines[0].find("DEPLOYMENT").expect("a column");
    assert!(lines[1..].iter().all(|line| line[under..].starts_with("web ")), "{lines:#?}");
}

#[test]
fn a_list_does_not_wait_for_what_cannot_be_listed() {
    let server = Server::start(|asked| match asked.what() {
        "nobody" => Answer::refusal(404, "NotFound", "kanarydeployments.kanary.k8s.io \"nobody\" not found"),
        _ => Answer::list(&[]),
    });
    let (_, error, code) = server.run(&["get", "-w", "nobody"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("\"nobody\" not found"), "{error}");
    let server = Server::start(|_| Answer::refusal(403, "Forbidden", "you may not list"));
    let (_, error, code) = server.run(&["get", "-w"]);
    assert_eq!((code, error.as_str()), (Some(1), "error: list KanaryDeployments: you may not list\n"));
}

/// Whoever may read the resource alone learns the rest of the story.
#[test]
fn a_page_is_shown_without_what_may_not_be_listed() {
    let server = Server::start(|asked| match asked.what() {
        "web" => Answer::Object(200, in_phase(kanary("web", 1), "Validating")),
        what => Answer::refusal(403, "Forbidden", &format!("you may not list {what}")),
    });
    let (out, error, code) = server.run(&["describe", "web"]);
    assert_eq!(code, Some(0), "{error}");
    for words in [
        "Name:       web",
        "Pods:\n  cannot list the canary's pods: you may not list pods",
        "Events:\n  cannot list events: you may not list events",
    ] {
        assert!(out.contains(words), "{words:?} is not in\n{out}");
    }
}
