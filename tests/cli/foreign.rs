//! Texts of others on a terminal and in a pipe: what would be obeyed or hidden is shown.

use jiff::Timestamp;
use kanary::cli::{related::EventSummary, watch};
use libtest_mimic::Trial;
use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};

use crate::{
    server::{Answer, Server, in_phase, kanary},
    trials,
};

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![no_verb_prints_what_a_terminal_obeys, nothing_on_the_screen_is_hidden, data_for_programs_means_the_same]
}

/// Erases its line and is another image; a title for the window; letters from right to left; a letter without width.
const ODD: &str = "web:2\u{1b}[2K\rweb:1\u{1b}]0;title\u{7}\u{202e}\u{200b}\u{9b}1m";

fn is_hidden(letter: char) -> bool {
    letter.is_control() && letter != '\n' || matches!(letter, '\u{202e}' | '\u{200b}')
}

fn odd_run() -> Value {
    let mut run = kanary("web", 1);
    run["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["image"] = ODD.into();
    run["spec"]["validation"] = json!({"items": [{"name": format!("qa{}", &ODD[5..20]), "manual": {}}]});
    run = in_phase(run, "Validating");
    run["status"]["message"] = ODD.into();
    run["status"]["report"] = json!({"status": ODD, "scale": ODD, "traffic": ODD, "validation": ODD});
    run["status"]["conditions"] = json!([{
        "type": "CanaryReady", "status": "True", "reason": ODD, "message": ODD, "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    run["status"]["items"] = json!([{
        "name": format!("qa{}", &ODD[5..20]), "kind": "manual", "verdict": "Unknown", "message": ODD, "value": ODD,
        "bound": ODD, "query": ODD,
    }]);
    run
}

fn odd_pod() -> Value {
    let waiting = json!({"name": ODD, "state": {"waiting": {"reason": ODD, "message": ODD}}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-kanary-1", "namespace": "shop"},
        "status": {"containerStatuses": [waiting]}})
}

fn server() -> Server {
    let run = odd_run();
    let event = json!({"metadata": {"name": "a", "namespace": "shop", "resourceVersion": "5"}, "involvedObject": {},
        "reason": ODD, "message": ODD});
    Server::start(move |request| match (request.path.contains("/deployments/"), request.resource()) {
        (true, _) => Answer::Object(
            200,
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"selector": {},
                "template": {"spec": {"containers": [{"name": "web", "image": format!("{ODD}-old")}]}}}}),
        ),
        (_, "selfsubjectreviews") => Answer::refusal(403, "Forbidden", ODD),
        (_, "events") if request.is_watch() => Answer::IdleWatch,
        (_, "events") => Answer::list(std::slice::from_ref(&event)),
        (_, "pods") if request.is_watch() => Answer::refusal(403, "Forbidden", ODD),
        (_, "pods") => Answer::list(&[odd_pod()]),
        (_, "kanarydeployments") if request.is_watch() => {
            let mut over = run.clone();
            over["status"]["phase"] = "Failed".into();
            Answer::Watch(vec![json!({"type": "MODIFIED", "object": over})])
        }
        (_, "kanarydeployments") if request.query.contains("fieldSelector") => Answer::list(std::slice::from_ref(&run)),
        (_, "kanarydeployments") => {
            Answer::list(&[run.clone(), json!({"metadata": {"name": "b", "namespace": "shop"}, "spec": ODD})])
        }
        (_, "denied") => Answer::refusal(403, "Forbidden", ODD),
        _ => Answer::Object(200, run.clone()),
    })
}

fn no_verb_prints_what_a_terminal_obeys() {
    let server = server();
    let file = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("odd.json");
    let mut run = odd_run();
    run.as_object_mut().expect("an object").remove("status");
    std::fs::write(&file, run.to_string()).expect("it is written");
    let file = file.display().to_string();
    for arguments in [
        &["get"][..],
        &["get", "-o", "wide"],
        &["get", "-o", "json"],
        &["get", "-o", "yaml"],
        &["get", "-o", "jsonpath={.items[*].status.message}"],
        &["describe", "web"],
        &["describe", "denied"],
        &["watch", "web"],
        &["approve", "web"],
        &["approve", "denied"],
        &["plan", "-f", &file],
        &["plan", "-o", "yaml", "-f", &file],
        &["gitops-ignore", "--argocd", "-f", &file],
    ] {
        let (out, error, _) = server.run(arguments);
        let all = format!("{out}{error}");
        assert!(!all.contains(is_hidden), "{arguments:?}: {all:?}");
        assert!(!all.is_empty(), "{arguments:?}");
    }
    let (out, error, code) = server.run(&["approve", "web"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains(r"→ web:2\u{1b}[2K\u{d}web:1"), "the image that is approved is shown: {out}");
}

fn nothing_on_the_screen_is_hidden() {
    let mut state = watch::State::new(serde_json::from_value(odd_run()).expect("a KanaryDeployment"));
    let pod = odd_pod();
    state.pods = [("a".to_owned(), serde_json::from_value(pod).expect("a Pod"))].into();
    let event = EventSummary { at: None, kind: "Normal".into(), reason: "E".into(), note: ODD.into(), count: 1 };
    state.events = [("a".to_owned(), event)].into();
    state.notice = Some(ODD.into());
    let mut terminal = Terminal::new(TestBackend::new(160, 40)).expect("a terminal");
    terminal.draw(|frame| watch::draw(frame, &state, Timestamp::UNIX_EPOCH)).expect("it draws");
    let screen = terminal.backend().to_string();
    let shown = screen.matches(r"web:2\u{1b}[2K\u{d}web:1").count();
    assert!(shown >= 6, "image, message, notice, item, pod and event: {shown}\n{screen}");
}

/// What is printed for programs is still the same value.
fn data_for_programs_means_the_same() {
    let server = server();
    for format in ["json", "yaml"] {
        let (out, error, _) = server.run(&["get", "web", "-o", format]);
        let read: Value = serde_saphyr::from_str(&out).unwrap_or_else(|why| panic!("{format}: {why}: {out}{error}"));
        assert_eq!(read["status"]["message"], ODD, "{format}");
    }
}
