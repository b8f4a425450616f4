//! What `get`, `describe` and `watch` show of runs in every state: each file in `views/` is one, with its pods, its events
//! and the time; the pages are beside it.

use std::path::Path;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kanary::{
    api::{KanaryDeployment, ManualStatus},
    cli::{describe::Page, get, images, related, watch},
    objects::{Object, Pod},
};
use libtest_mimic::Trial;
use ratatui::{Terminal, backend::TestBackend};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    snapshot::{compare, each, files, folder, plain},
    trials,
};

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let named = trials![
        every_state_is_listed,
        a_run_that_is_about_to_start_is_not_over,
        a_warning_stays_beside_the_message_until_it_is_over,
        a_long_reason_is_wrapped,
        keys_ask_before_a_verdict_is_sent,
        values_become_a_line,
    ];
    [
        named,
        each("describe", files(&folder("views"), "yaml"), is_described),
        each("screen", files(&folder("views"), "yaml"), is_drawn),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct View {
    now: Timestamp,
    kanary: KanaryDeployment,
    pods: Vec<Pod>,
    events: Vec<related::EventSummary>,
}

fn read(file: &Path) -> View {
    let text = std::fs::read_to_string(file).expect("a view");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    fn all<K: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<K> {
        let of_kind = objects.iter().filter(|object| object["kind"] == kind);
        of_kind.map(|object| serde_json::from_value(object.clone()).expect(kind)).collect()
    }
    let now = objects.iter().find_map(|object| object["now"].as_str()).expect("a time");
    let kanary = all(&objects, "KanaryDeployment").pop().expect("a KanaryDeployment");
    let events = all::<k8s_openapi::api::core::v1::Event>(&objects, "Event");
    let events = events.into_iter().map(related::summary).collect();
    View { now: now.parse().expect("a time"), kanary, pods: all(&objects, "Pod"), events }
}

fn is_described(file: &Path) {
    let View { now, kanary, pods, events } = read(file);
    let page = Page { kanary: &kanary, pods: Ok(&pods), events: Ok(&events), now };
    compare(&file.with_extension("describe.txt"), &plain(&page.text()));
}

fn every_state_is_listed() {
    let views: Vec<View> = files(&folder("views"), "yaml").iter().map(|file| read(file)).collect();
    let now = views[0].now;
    let old = images::Images::from([("web".to_owned(), "web:1".to_owned())]);
    let rows: Vec<get::Row> = views.iter().map(|view| get::Row::new(&view.kanary, Some(&old), now)).collect();
    let table = |wide, namespaces, width| {
        let layout = get::Layout { wide, namespaces, no_headers: false };
        plain(&get::draw(&rows, layout, Some(width)))
    };
    let narrow = table(false, false, 80);
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    compare(&folder("views").join("get.txt"), &narrow);
    compare(&folder("views").join("get-all.txt"), &table(false, true, 120));
    compare(&folder("views").join("get-wide.txt"), &table(true, false, 80));
}

/// The base of all views.
fn base() -> Deployment {
    let pod = json!({"spec": {"containers": [{"name": "web", "image": "web:1"}]}});
    let spec = json!({"selector": {}, "template": pod});
    let base = json!({"metadata": {"name": "web"}, "spec": spec, "status": {"replicas": 3, "readyReplicas": 3}});
    serde_json::from_value(base).expect("a Deployment")
}

fn screen(view: &View, width: u16, height: u16) -> String {
    let mut state = watch::State::new(view.kanary.clone());
    state.base = Some(base());
    state.pods = view.pods.iter().map(|pod| (pod.name().to_owned(), pod.clone())).collect();
    state.events = view.events.iter().enumerate().map(|(n, event)| (n.to_string(), event.clone())).collect();
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| watch::draw(frame, &state, view.now)).expect("it draws");
    let buffer = terminal.backend().buffer();
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| format!("{}\n", line(y).trim_end())).collect()
}

fn is_drawn(file: &Path) {
    let view = read(file);
    compare(&file.with_extension("screen.txt"), &screen(&view, 80, 24));
    compare(&file.with_extension("large.txt"), &screen(&view, 120, 40));
    for (width, height) in [(1, 1), (20, 5), (40, 10), (80, 24), (300, 100)] {
        screen(&view, width, height);
    }
}

/// After a new `runID`, the status is that of the last run until the controller has processed it.
fn a_run_that_is_about_to_start_is_not_over() {
    let ended = files(&folder("views"), "yaml")
        .iter()
        .map(|file| read(file))
        .find(|view| view.kanary.metadata.name.as_deref() == Some("good"));
    let mut kanary = ended.expect("a run that ended").kanary;
    let hash = kanary.spec.template.hash();
    kanary.status.as_mut().expect("a status").template_hash = Some(hash.to_owned());
    assert!(watch::State::new(kanary.clone()).is_over());
    kanary.spec.run_id = Some("again".into());
    assert!(!watch::State::new(kanary).is_over());
}

/// Two of three watches may continue while one cannot read; what is known of the run stays on the screen.
fn a_warning_stays_beside_the_message_until_it_is_over() {
    let file = folder("views").join("3-validating.yaml");
    let mut view = read(&file);
    view.kanary.status.as_mut().expect("a status").message = Some("no failure so far".into());
    let mut state = watch::State::new(view.kanary.clone());
    let shown = |state: &watch::State, now: Timestamp| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
        terminal.draw(|frame| watch::draw(frame, state, now)).expect("it draws");
        terminal.backend().to_string()
    };
    let unreadable = |what| watch::Update::Unreadable(what, "forbidden".into(), view.now);
    state.apply(unreadable(watch::Watched::Events));
    state.apply(unreadable(watch::Watched::Pods));
    let screen = shown(&state, view.now);
    assert!(screen.contains("no failure so far"), "{screen}");
    assert!(screen.contains("cannot read its pods: forbidden; cannot read its events: forbidden"), "{screen}");
    // Each watch reports for itself.
    state.apply(watch::Update::Kanary(Box::new(view.kanary.clone())));
    state.apply(watch::Update::Readable(watch::Watched::Pods));
    let screen = shown(&state, view.now);
    assert!(!screen.contains("its pods") && screen.contains("cannot read its events"), "{screen}");
    let later = view.now + jiff::SignedDuration::from_mins(3);
    assert!(!shown(&state, later).contains("cannot read"), "it would have been reported again");
}

fn shown(state: &watch::State, now: Timestamp, size: (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a terminal");
    terminal.draw(|frame| watch::draw(frame, state, now)).expect("it draws");
    terminal.backend().to_string()
}

fn a_long_reason_is_wrapped() {
    let mut view = read(&folder("views").join("3-validating.yaml"));
    let words: Vec<String> = (0..25).map(|n| format!("word{n}")).collect();
    view.kanary.status.as_mut().expect("a status").message = Some(words.join(" "));
    let screen = shown(&watch::State::new(view.kanary), view.now, (80, 24));
    assert!(words.iter().all(|word| screen.contains(word)), "{screen}");
}

fn keys_ask_before_a_verdict_is_sent() {
    let view = read(&folder("views").join("7-approval.yaml"));
    let mut state = watch::State::new(view.kanary);
    let press = |state: &mut watch::State, key: char| {
        assert!(state.apply(watch::Update::Key(key)), "{key} does not quit");
        shown(state, view.now, (80, 24))
    };
    assert!(press(&mut state, '?').contains("a  approve"));
    assert!(!press(&mut state, 'a').contains("approve ready? y"), "the first key leaves the help");
    assert!(press(&mut state, 'a').contains("approve ready? y: yes"));
    press(&mut state, 'n');
    assert_eq!(state.verdict, None);
    press(&mut state, 'r');
    assert!(press(&mut state, 'x').contains("a: approve, r: reject"));
    assert_eq!(state.verdict, None);
    press(&mut state, 'r');
    press(&mut state, 'y');
    assert_eq!(state.verdict.take(), Some(ManualStatus::Invalid));
    state.apply(watch::Update::Sent("kanarydeployment.kanary.k8s.io/ready rejected".into()));
    assert!(shown(&state, view.now, (80, 24)).contains("ready rejected"));
    press(&mut state, 'a');
    assert!(state.apply(watch::Update::Key('\u{1b}')), "an answer, and no end");
    assert!(!state.apply(watch::Update::Key('q')));
}

fn values_become_a_line() {
    let view = read(&folder("views").join("3-validating.yaml"));
    let mut state = watch::State::new(view.kanary.clone());
    for value in ["0.95", "1"] {
        let mut kanary = view.kanary.clone();
        kanary.status.as_mut().expect("a status").items[0].value = Some(value.into());
        state.apply(watch::Update::Kanary(Box::new(kanary)));
    }
    let screen = shown(&state, view.now, (120, 40));
    assert!(screen.contains("█▁█  the query returns true"), "{screen}");
}
