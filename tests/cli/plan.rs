//! `plan`: every example, every mistake.

use std::{fs, io::Write, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::snapshot::{compare, files, folder, program, repository, run};

const AT: &str = "--at=2026-01-01T00:00:00Z";

/// A story that needs more than its folder to be told.
fn more(story: &str) -> &'static [&'static str] {
    match story {
        "base-created" => &["--without-base"],
        _ => &[],
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(repository()).expect("in the repository").display().to_string()
}

#[test]
fn every_example_is_planned() {
    let stories =
        fs::read_dir(repository().join("examples")).expect("examples").map(|entry| entry.expect("entry").path());
    for story in stories.filter(|path| path.is_dir()) {
        let name = story.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        let place = relative(&story);
        let arguments: Vec<&str> = ["plan", "-f", &place, AT].into_iter().chain(more(&name).iter().copied()).collect();
        let said = run(&arguments);
        compare(&folder("plan").join(format!("{name}.txt")), &said);
        assert!(said.ends_with("[exit 0]\n"), "{name} lints");
    }
}

#[test]
fn every_story_is_planned() {
    for file in files(&folder("stories"), "yaml") {
        let said = run(&["plan", "-f", &relative(&file), AT]);
        compare(&file.with_extension("txt"), &said);
        assert!(said.ends_with("[exit 0]\n"), "{}", file.display());
        assert!(!said.contains("MirrorReverted"), "{}: nobody else writes in a plan", file.display());
        let rules = run(&["gitops-ignore", "-f", &relative(&file)]);
        compare(&file.with_extension("gitops.txt"), &rules);
    }
}

#[test]
fn every_mistake_is_found() {
    for file in files(&folder("wrong"), "yaml") {
        let said = run(&["plan", "-f", &relative(&file), AT]);
        compare(&file.with_extension("txt"), &said);
        assert!(said.ends_with("[exit 1]\n"), "{}", file.display());
    }
}

#[test]
fn a_rejected_canary_is_taken_away() {
    let said = run(&["plan", "-f", "examples/service", AT, "--reject"]);
    compare(&folder("plan").join("service.rejected.out"), &said);
}

#[test]
fn a_plan_is_data_too() {
    let arguments = ["plan", "-f", "examples/both", AT, "-o"];
    let read = |format: &str| -> Vec<u8> {
        program(&[&arguments[..], &[format]].concat()).output().expect("the program runs").stdout
    };
    let json: Value = serde_json::from_slice(&read("json")).expect("JSON");
    let yaml: Value = serde_saphyr::from_str(&String::from_utf8(read("yaml")).expect("UTF-8")).expect("YAML");
    assert_eq!(json, yaml);
    assert_eq!(json[0]["outcome"]["ends"], "succeeded");
    let writes = json[0]["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .flat_map(|step| step["writes"].as_array().cloned().unwrap_or_default());
    let verbs: Vec<Value> = writes.map(|write| json!([write["verb"], write["kind"]])).collect();
    let expected = json!([
        ["create", "Service"],
        ["create", "Deployment"],
        ["patch", "Pod"],
        ["promote", "Deployment"],
        ["delete", "Deployment"],
        ["delete", "Service"]
    ]);
    assert_eq!(json!(verbs), expected);
}

fn planned(objects: &[Value], arguments: &[&str]) -> (Value, Option<i32>) {
    let list = json!({"kind": "List", "apiVersion": "v1", "items": objects});
    let mut child = program(&[&["plan", "-o", "json", AT, "-f", "-"], arguments].concat());
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(list.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let mut reports: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    (reports[0].take(), output.status.code())
}

/// The base, and what a run of the canary has made already.
fn dump() -> Vec<Value> {
    let template = |image: &str, label: &str| json!({"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": "web", "image": image}]}});
    let deployment = |name: &str, image: &str| {
        let spec = json!({"selector": {"matchLabels": {"app": name}}, "template": template(image, name)});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    };
    let owned = |kind: &str, name: &str| json!({"ownerReferences": [{"kind": kind, "name": name, "uid": "1"}]});
    let mut canary = deployment("try-kanary", "web:2");
    json_patch::merge(&mut canary["metadata"], &owned("KanaryDeployment", "try"));
    let pod = |name: &str| {
        let mut metadata = owned("ReplicaSet", "web-1");
        metadata["name"] = name.into();
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}})
    };
    let sets = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-1"}, "spec": {}});
    let kanary = with("{spec: {validation: {manual: {status: valid}}}}");
    vec![kanary, deployment("web", "web:1"), canary, sets, pod("web-1-a")]
}

#[test]
fn a_dump_of_a_running_canary_is_planned() {
    let (report, code) = planned(&dump(), &[]);
    assert_eq!((&report["outcome"]["ends"], code), (&json!("succeeded"), Some(0)), "{report:#}");
}

#[test]
fn a_rejection_is_played_whatever_was_said_before() {
    let mut preset = dump();
    preset[0]["spec"]["validation"]["items"] = json!([{"manual": {"status": "valid"}}]);
    for objects in [dump(), preset] {
        let (report, code) = planned(&objects, &["--reject"]);
        assert_eq!((&report["outcome"]["ends"], code), (&json!("failed"), Some(0)), "{report:#}");
    }
}

#[test]
fn a_base_of_another_namespace_is_said_to_be_none() {
    let mut objects = dump();
    objects[1]["metadata"]["namespace"] = "shop".into();
    let (report, _) = planned(&objects, &[]);
    let assumptions = report["assumptions"].to_string();
    assert!(assumptions.contains("in namespace shop, and the plan in default"), "{assumptions}");
    let (report, _) = planned(&objects, &["-n", "shop"]);
    assert_eq!(report.get("assumptions"), None);
}

/// What names no namespace is in the one that is given, the routes as well.
#[test]
fn rules_are_for_the_namespace_that_is_given() {
    let text = fs::read_to_string(folder("stories").join("mirror-istio.yaml")).expect("a story");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-shop.yaml", std::process::id()));
    let rules = |text: &str| {
        fs::write(&file, text).expect("a file");
        let words = ["gitops-ignore", "-n", "shop", "-f", file.to_str().expect("UTF-8")];
        let output = program(&words).output().expect("the program runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let named = rules(&text);
    assert!(named.contains("VirtualService") && named.contains("namespace: shop"), "{named}");
    let kanary = text.replacen(", namespace: shop", "", 1);
    let routes = text.replace(", namespace: shop", "").replacen("{name: try", "{name: try, namespace: shop", 1);
    for text in [kanary, routes, text.replace(", namespace: shop", "")] {
        assert_eq!(rules(&text), named);
    }
    fs::remove_file(&file).expect("it was there");
}

/// kubectl and its shells ask for paths as seen from where they are.
#[test]
fn files_are_completed() {
    let complete = |word: &str| {
        let output = program(&["__complete", "plan", "-f", word]).output().expect("the program runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert_eq!(complete("exam"), "examples/\n:6\n");
    let files = complete("examples/service/k");
    assert!(files.contains("examples/service/kanary.yaml\n") && files.ends_with(":4\n"), "{files}");
}

#[test]
fn what_cannot_be_read_is_said() {
    for (arguments, expected, code) in [
        (vec!["plan", "-f", "no-such-file.yaml"], "no-such-file.yaml", 1),
        (vec!["plan", "-f", "examples/service/app.yaml"], "there is no KanaryDeployment in the files", 1),
        (vec!["plan"], "--filename", 2),
        (vec!["plna", "-f", "x"], "similar subcommand exists: 'plan'", 2),
    ] {
        let output = program(&arguments).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// Whatever is in a file, it is answered with a sentence.
#[test]
fn no_file_makes_it_stumble() {
    let kanary = fs::read_to_string(repository().join("examples/service/kanary.yaml")).expect("an example");
    for (other, expected) in [
        ("just a word", "document 1 is no Kubernetes object"),
        ("- 1\n- 2", "document 1 is no Kubernetes object"),
        ("kind: Deployment\nmetadata: web", "document 1 is no Kubernetes object"),
        ("a: [", "stdin"),
        ("{kind: Deployment, metadata: {name: web}, spec: none}", "Deployment web: "),
        ("{kind: Deployment, metadata: {name: web, annotations: none}, spec: {}}", "Deployment web: "),
        ("{kind: Deployment, metadata: {name: web}, spec: {selector: {}, template: {}}}", "a pod needs a container"),
        ("{kind: Service, metadata: {name: web}, spec: {ports: 80}}", "Service web: "),
        ("{kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: []}", "HorizontalPodAutoscaler web: "),
    ] {
        let mut child = program(&["plan", "-f", "-"]);
        let mut child =
            child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let input = format!("{other}\n---\n{kanary}");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{other}: {error}");
        assert!(error.contains(expected.replace("stdin", "-:").as_str()), "{other}: {error}");
    }
}

/// The table of mistakes that the end-to-end tests show to a real API server.
#[path = "../../e2e/tests/refused/mod.rs"]
#[allow(dead_code)]
mod refused;

/// What a real API server refuses is refused here, in its words where they are ours; what it takes is taken.
#[test]
fn the_rules_are_those_of_the_api_server() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    let schema = kanary::api::crd::schema().to_string();
    for case in refused::SCHEMA {
        let refusals = |patch: &str| kanary::cli::plan::rules::admit(&with(patch)).err().unwrap_or_default().join("; ");
        let (said, right) = (refusals(case.wrong), refusals(case.right));
        if said.is_empty() {
            wrong.push(format!("{}: is taken", case.name));
        }
        // Of our own sentences each must be there; how types and bounds are put is the API server's.
        let ours = |words: &&&str| words.contains(' ') && schema.contains(**words);
        for words in case.says.iter().filter(ours) {
            compared += 1;
            if !said.contains(*words) {
                wrong.push(format!("{}: no {words:?} in {said:?}", case.name));
            }
        }
        if !right.is_empty() {
            wrong.push(format!("{}: its good neighbour is refused: {right}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 30, "{compared} sentences are ours");
}

fn with(patch: &str) -> Value {
    let mut kanary = json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": "try"},
        "spec": {"deploymentName": "web", "template": {"spec": {"template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:2"}]},
        }}}},
    });
    let patch: Value = serde_saphyr::from_str(&expanded(patch)).expect("YAML");
    json_patch::merge(&mut kanary, &patch);
    kanary
}

/// `x*57` is that many letters.
fn expanded(text: &str) -> String {
    let count = |word: &str| word.strip_prefix("x*")?.parse::<usize>().ok();
    let words = text.split(' ').map(|word| count(word).map_or(word.to_owned(), |count| "x".repeat(count)));
    words.collect::<Vec<_>>().join(" ")
}
