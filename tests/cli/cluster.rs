//! The verbs that need a cluster, against an API server that answers as each test needs it.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    server::{Answer, Server, in_phase, kanary},
    trials,
};

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![
        a_watch_says_everything_once,
        a_watch_ends_with_what_it_watches,
        a_verdict_is_sent_again_after_a_conflict,
        a_verdict_names_its_run_and_its_user,
        a_verdict_is_about_the_run_that_was_read,
        one_that_cannot_be_decoded_hides_no_other,
        a_canary_that_cannot_be_decoded_can_be_rejected,
        what_is_listed_is_a_list,
        a_list_goes_on_as_one_table,
        a_list_does_not_wait_for_what_cannot_be_listed,
        a_page_is_shown_without_what_may_not_be_listed,
        a_list_is_in_order_and_fits,
        a_list_is_made_for_scripts,
        a_watch_ends_when_its_time_is_over,
    ]
}

/// A run that succeeds after its events were lost and listed again.
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
    let server = Server::start(move |request| match (request.resource(), request.is_watch()) {
        ("events", false) => {
            lists += 1;
            Answer::list(&events[..events.len().min(lists + 1)])
        }
        ("events", true) if lists == 1 => Answer::Watch(vec![json!({"type": "ERROR", "object": forgotten})]),
        ("events", true) => {
            is_anew = true;
            Answer::IdleWatch
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
fn a_watch_ends_with_what_it_watches() {
    for listed in [0, 1] {
        let run = in_phase(kanary("web", 1), "Validating");
        let forgotten = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
        let mut lists = 0;
        let server = Server::start(move |request| match (request.resource(), request.is_watch()) {
            ("web", _) => Answer::Object(200, run.clone()),
            ("kanarydeployments", false) => {
                lists += 1;
                if lists > listed { Answer::list(&[]) } else { Answer::list(std::slice::from_ref(&run)) }
            }
            ("kanarydeployments", true) => Answer::Watch(vec![json!({"type": "ERROR", "object": forgotten})]),
            (_, true) => Answer::IdleWatch,
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
    Server::start(move |request| {
        if request.method == "PATCH" {
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

fn a_verdict_is_sent_again_after_a_conflict() {
    for (verb, said) in [("approve", "web approved"), ("reject", "web rejected")] {
        let server = contended(2, |run| run["status"]["message"] = "goes on".into());
        let (out, error, code) = server.run(&[verb, "web"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains(said), "{out}");
        let patches = server.requests().into_iter().filter(|request| request.method == "PATCH");
        let guards: Vec<Value> = patches.map(|request| request.body["metadata"]["resourceVersion"].clone()).collect();
        assert_eq!(guards, ["1", "2", "3"]);
    }
    // It gives up in the end.
    let server = contended(usize::MAX, |_| ());
    let (_, error, code) = server.run(&["approve", "web"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("the object has been modified"), "{error}");
}

/// The run, its template and the user go with it; a base that does not exist cannot have been looked at.
fn a_verdict_names_its_run_and_its_user() {
    for (has_base, arguments, code, said) in [
        (true, vec!["approve", "web"], 0, "web approved for run 2\n  image: web:1 → web:2\n"),
        (false, vec!["approve", "web"], 1, "the base does not exist: Deployment web;"),
        (false, vec!["approve", "web", "--ahead"], 0, "web approved for run 2\n  image: web:2\n"),
        (false, vec!["reject", "web"], 0, "web rejected\n"),
    ] {
        let mut run = in_phase(kanary("web", 1), "Validating");
        run["status"]["run"] = 2.into();
        let hash = run["status"]["templateHash"].clone();
        let server = Server::start(move |request| match (request.path.contains("/deployments/"), request.resource()) {
            (true, _) if !has_base => Answer::refusal(404, "NotFound", "no such Deployment"),
            (true, _) => Answer::Object(
                200,
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"selector": {},
                    "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}),
            ),
            (_, "selfsubjectreviews") => Answer::Object(
                201,
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {},
                    "status": {"userInfo": {"username": "ann"}}}),
            ),
            _ => Answer::Object(200, run.clone()),
        });
        let (out, error, exit) = server.run(&arguments);
        assert_eq!(exit, Some(code), "{arguments:?}: {error}");
        assert!(format!("{out}{error}").contains(said), "{arguments:?}: {out}{error}");
        let requests = server.requests();
        let patch = requests.iter().find(|request| request.method == "PATCH");
        assert_eq!(patch.is_some(), code == 0);
        if let Some(manual) = patch.map(|patch| &patch.body["spec"]["validation"]["manual"]) {
            assert_eq!((&manual["run"], &manual["templateHash"], &manual["by"]), (&json!(2), &hash, &json!("ann")));
            assert!(manual["at"].is_string(), "{manual}");
        }
    }
}

fn a_verdict_is_about_the_run_that_was_read() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (|run| run["spec"]["template"]["metadata"] = json!({"labels": {"a": "b"}}), "another client changed"),
        (|run| run["spec"]["runID"] = "again".into(), "another client changed"),
        (|run| run["spec"]["validation"] = json!({"manual": {"status": "invalid"}}), "another client changed"),
        (|run| run["status"]["phase"] = "Failing".into(), "already has a verdict"),
    ];
    for (change, words) in changes {
        let server = contended(1, change);
        let (_, error, code) = server.run(&["approve", "web"]);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(words), "{words}: {error}");
        assert_eq!(server.requests().iter().filter(|request| request.method == "PATCH").count(), 1);
    }
}

/// As a newer version might write it: a field has another type.
fn strange() -> Value {
    let mut strange = kanary("strange", 7);
    strange["spec"]["scale"] = "much".into();
    strange
}

fn one_that_cannot_be_decoded_hides_no_other() {
    let server = Server::start(|_| Answer::list(&[strange(), kanary("web", 1)]));
    let (out, error, code) = server.run(&["get"]);
    assert_eq!(code, Some(0), "{error}");
    let row = |name: &str| out.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(row("strange").contains('?') && row("web").contains("none"), "{out}");
    assert!(error.contains("strange cannot be decoded by this version: spec.scale: "), "{error}");
    let (out, error, _) = server.run(&["get", "-o", "json"]);
    let list: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&list["items"][0]["spec"]["scale"], error.as_str()), (&json!("much"), ""));
    let (out, _, _) = server.run(&["get", "-o", "name"]);
    assert_eq!(out, "kanarydeployment.kanary.k8s.io/strange\nkanarydeployment.kanary.k8s.io/web\n");
}

fn a_canary_that_cannot_be_decoded_can_be_rejected() {
    let server = Server::start(|_| Answer::Object(200, strange()));
    let (out, error, code) = server.run(&["reject", "strange"]);
    assert_eq!((code, out.as_str()), (Some(0), "kanarydeployment.kanary.k8s.io/strange rejected\n"), "{error}");
    let requests = server.requests();
    let patch = requests.iter().find(|request| request.method == "PATCH").map(|request| &request.body);
    assert_eq!(patch.expect("a patch")["metadata"]["resourceVersion"], "7");
    for verb in ["approve", "retry", "describe"] {
        let (_, error, code) = server.run(&[verb, "strange"]);
        assert_eq!(code, Some(1), "{verb}");
        assert!(error.contains("cannot be decoded by this version"), "{verb}: {error}");
    }
}

/// As with kubectl: one that is requested by its name is an object, everything else a list.
fn what_is_listed_is_a_list() {
    for (items, words, kind, count) in [
        (vec![], vec!["get"], "List", Some(0)),
        (vec![kanary("web", 1)], vec!["get"], "List", Some(1)),
        (vec![kanary("web", 1)], vec!["get", "web"], "KanaryDeployment", None),
        (vec![kanary("web", 1)], vec!["get", "web", "web"], "List", Some(2)),
    ] {
        let server = Server::start(move |request| match request.resource() {
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

/// The first lines that it prints; it does not end by itself.
fn first_lines(server: &Server, arguments: &[&str], count: usize) -> Vec<String> {
    let mut child = server.program(arguments).stdout(Stdio::piped()).spawn().expect("it runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let lines = out.lines().take(count).map(|line| line.expect("UTF-8")).collect();
    child.kill().expect("it runs still");
    child.wait().expect("it ends");
    lines
}

fn a_list_goes_on_as_one_table() {
    let (short, long) = (kanary("web", 1), kanary("a-rather-long-name", 2));
    let forgotten = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    let mut lists = 0;
    let server = Server::start(move |request| match request.is_watch() {
        _ if request.path.contains("/deployments/") => Answer::refusal(404, "NotFound", "no base"),
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
    let lines = first_lines(&server, &["get", "-w"], 8);
    let names: Vec<&str> = lines.iter().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    let long = "a-rather-long-name";
    // Both; one that failed, and is as before in a later list; one that the list lacks; one that was deleted, and created again.
    assert_eq!(names, ["NAME", "web", long, long, long, "web", long, long], "{lines:#?}");
    let words: Vec<&str> = lines.iter().map(|line| line.split_whitespace().nth(1).unwrap_or_default()).collect();
    assert_eq!(words, ["STATUS", "-", "-", "Failed", "-", "Gone", "Gone", "-"], "{lines:#?}");
    let under = lines[0].find("IMAGE").expect("a column");
    assert!(lines[1..].iter().all(|line| line[under..].starts_with("web:2 ")), "{lines:#?}");
}

fn a_list_does_not_wait_for_what_cannot_be_listed() {
    let server = Server::start(|request| match request.resource() {
        "missing" => Answer::refusal(404, "NotFound", "kanarydeployments.kanary.k8s.io \"missing\" not found"),
        _ => Answer::list(&[]),
    });
    let (_, error, code) = server.run(&["get", "-w", "missing"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("\"missing\" not found"), "{error}");
    let server = Server::start(|_| Answer::refusal(403, "Forbidden", "you may not list"));
    let (_, error, code) = server.run(&["get", "-w"]);
    assert_eq!((code, error.as_str()), (Some(1), "error: list KanaryDeployments: you may not list\n"));
}

/// A user who may read the resource alone sees the rest of the page.
fn a_page_is_shown_without_what_may_not_be_listed() {
    let server = Server::start(|request| match request.resource() {
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

/// Ten runs of one base, one of which failed, and the base.
fn ten_runs() -> Server {
    let runs: Vec<Value> = (1..=10)
        .map(|n| in_phase(kanary(&format!("web-{n}"), n), if n == 7 { "Failed" } else { "Validating" }))
        .collect();
    let container = json!({"name": "web", "image": "registry.example.com/shop/web:1"});
    let spec = json!({"selector": {}, "template": {"spec": {"containers": [container]}}});
    let base = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
    Server::start(move |request| match request.path.contains("/deployments/") {
        true => Answer::Object(200, base.clone()),
        false => Answer::list(&runs),
    })
}

fn a_list_is_in_order_and_fits() {
    let server = ten_runs();
    let (out, error, code) = server.run(&["get"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    let column = |out: &str, index: usize| -> Vec<String> {
        out.lines().map(|line| line.split_whitespace().nth(index).unwrap_or_default().to_owned()).collect()
    };
    let natural: Vec<String> = (1..=10).map(|n| format!("web-{n}")).collect();
    assert_eq!(column(&out, 0)[1..], natural);
    assert!(out.starts_with("NAME") && out.contains("web:1 → web:2"), "{out}");
    let (out, _, _) = server.run(&["get", "--failed", "--no-headers"]);
    assert_eq!(column(&out, 0), ["web-7"]);
    let (out, _, _) = server.run(&["get", "--sort-by", "status", "--no-headers"]);
    assert_eq!(column(&out, 0)[..3], ["web-7", "web-1", "web-2"]);
    let (out, _, _) = server.run(&["get", "-A"]);
    assert_eq!(column(&out, 0)[..2], ["NAMESPACE", "shop"]);
    let (out, _, _) = server.run(&["get", "-o", "wide"]);
    assert!(out.contains("registry.example.com/shop/web:1 → web:2") && out.contains("DEPLOYMENT"), "{out}");
}

fn a_list_is_made_for_scripts() {
    let server = ten_runs();
    for (arguments, expected) in [
        (vec!["-o", "jsonpath={.items[0].metadata.name}"], "web-1"),
        (vec!["-o", "jsonpath={.items[?(@.status.phase==\"Failed\")].metadata.name}"], "web-7"),
        (vec!["--sort-by", ".metadata.resourceVersion", "-o", "jsonpath={.items[-1:].metadata.name}"], "web-10"),
        (vec!["--failed", "-o", "jsonpath={range .items[*]}{.metadata.name}{'\\n'}{end}"], "web-7\n"),
    ] {
        let (out, error, code) = server.run(&[&["get"], &arguments[..]].concat());
        assert_eq!((out.as_str(), code), (expected, Some(0)), "{arguments:?}: {error}");
    }
    for (arguments, expected) in [
        (vec!["-o", "jsonpath={.kind"], "is missing"),
        (vec!["-o", "custom"], "must be wide, yaml, json, name or jsonpath"),
        (vec!["--sort-by", "size"], "must be one of name, namespace, status"),
    ] {
        let (_, error, code) = server.run(&[&["get"], &arguments[..]].concat());
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

fn a_watch_ends_when_its_time_is_over() {
    let run = in_phase(kanary("web", 1), "Validating");
    let server = Server::start(move |request| match (request.resource(), request.is_watch()) {
        ("web", _) => Answer::Object(200, run.clone()),
        ("kanarydeployments", false) => Answer::list(std::slice::from_ref(&run)),
        (_, true) => Answer::IdleWatch,
        (_, false) => Answer::list(&[]),
    });
    let (_, error, code) = server.run(&["watch", "web", "--timeout", "1s"]);
    assert_eq!((code, error.as_str()), (Some(1), "error: the run of web is not over after 1s (--timeout)\n"));
}
