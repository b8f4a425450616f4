//! `plan`: every example, every mistake.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    snapshot::{compare, each, files, folder, program, repository, run, stem},
    trials,
};

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let named = trials![
        a_rejected_canary_is_removed,
        a_plan_is_data_too,
        a_dump_of_a_running_canary_is_planned,
        a_rejection_is_simulated_whatever_the_verdict_was,
        a_base_of_another_namespace_is_not_used,
        rules_are_for_the_namespace_that_is_given,
        files_are_completed,
        folders_may_contain_other_files,
        what_cannot_be_read_is_reported,
        no_file_crashes_it,
        the_rules_are_those_of_the_api_server,
    ];
    [named, of_files()].into_iter().flatten().collect()
}

const AT: &str = "--at=2026-01-01T00:00:00Z";

/// An example that needs more than its folder.
fn more(example: &str) -> &'static [&'static str] {
    match example {
        "base-created" => &["--without-base"],
        _ => &[],
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(repository()).expect("in the repository").display().to_string()
}

/// Each example, story and mistake is a test of its own.
fn of_files() -> Vec<Trial> {
    let entries = fs::read_dir(repository().join("examples")).expect("examples");
    let entries = entries.map(|entry| entry.expect("entry").path());
    let examples: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(!examples.is_empty(), "there are examples");
    let examples = each("example", examples, example_is_planned);
    let stories = each("story", files(&folder("stories"), "yaml"), story_is_planned);
    let mistakes = each("mistake", files(&folder("wrong"), "yaml"), mistake_is_found);
    [examples, stories, mistakes].into_iter().flatten().collect()
}

fn example_is_planned(folder_of_it: &Path) {
    let name = stem(folder_of_it);
    let place = relative(folder_of_it);
    let arguments: Vec<&str> = ["plan", "-f", &place, AT].into_iter().chain(more(&name).iter().copied()).collect();
    let printed = run(&arguments);
    compare(&folder("plan").join(format!("{name}.txt")), &printed);
    assert!(printed.ends_with("[exit 0]\n"), "{name} lints");
}

fn story_is_planned(file: &Path) {
    let printed = run(&["plan", "-f", &relative(file), AT]);
    compare(&file.with_extension("txt"), &printed);
    assert!(printed.ends_with("[exit 0]\n"), "{}", file.display());
    assert!(!printed.contains("MirrorReverted"), "{}: there is no other client in a plan", file.display());
    let rules = run(&["gitops-ignore", "-f", &relative(file)]);
    compare(&file.with_extension("gitops.txt"), &rules);
}

fn mistake_is_found(file: &Path) {
    let printed = run(&["plan", "-f", &relative(file), AT]);
    compare(&file.with_extension("txt"), &printed);
    assert!(printed.ends_with("[exit 1]\n"), "{}", file.display());
}

fn a_rejected_canary_is_removed() {
    let printed = run(&["plan", "-f", "examples/service", AT, "--reject"]);
    compare(&folder("plan").join("service.rejected.out"), &printed);
}

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
        ["patch", "Pod"],
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

fn a_dump_of_a_running_canary_is_planned() {
    let (report, code) = planned(&dump(), &[]);
    assert_eq!((&report["outcome"]["ends"], code), (&json!("succeeded"), Some(0)), "{report:#}");
}

fn a_rejection_is_simulated_whatever_the_verdict_was() {
    let mut preset = dump();
    preset[0]["spec"]["validation"]["items"] = json!([{"manual": {"status": "valid"}}]);
    for objects in [dump(), preset] {
        let (report, code) = planned(&objects, &["--reject"]);
        assert_eq!((&report["outcome"]["ends"], code), (&json!("failed"), Some(0)), "{report:#}");
    }
}

fn a_base_of_another_namespace_is_not_used() {
    let mut objects = dump();
    objects[1]["metadata"]["namespace"] = "shop".into();
    let (report, _) = planned(&objects, &[]);
    let assumptions = report["assumptions"].to_string();
    assert!(
        assumptions.contains("is not used because it is in namespace shop, and the plan in default"),
        "{assumptions}"
    );
    let (report, _) = planned(&objects, &["-n", "shop"]);
    assert_eq!(report.get("assumptions"), None);
}

/// An object without a namespace is in the one that is given, routes as well.
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

/// kubectl and the shells complete paths relative to the working directory.
fn files_are_completed() {
    let complete = |word: &str| {
        let output = program(&["__complete", "plan", "-f", word]).output().expect("the program runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert_eq!(complete("exam"), "examples/\n:6\n");
    let files = complete("examples/service/k");
    assert!(files.contains("examples/service/kanary.yaml\n") && files.ends_with(":4\n"), "{files}");
}

fn what_cannot_be_read_is_reported() {
    for (arguments, expected, code) in [
        (vec!["plan", "-f", "no-such-file.yaml"], "no-such-file.yaml", 1),
        (vec!["plan", "-f", "examples/service/app.yaml"], "found no KanaryDeployment in the files", 1),
        (vec!["plan"], "--filename", 2),
        (vec!["plan", "-f", "examples/service", "-o", "text"], "possible values", 2),
        (vec!["plna", "-f", "x"], "similar subcommand exists: 'plan'", 2),
    ] {
        let output = program(&arguments).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// Whatever is in a file, the answer is an error message.
fn no_file_crashes_it() {
    let kanary = fs::read_to_string(repository().join("examples/service/kanary.yaml")).expect("an example");
    for (other, expected) in [
        (
            "{kind: Deployment, metadata: {name: web}, spec: {replicas: 1, replicas: 2}}",
            "line 1: spec.replicas is set already in line 1; remove one",
        ),
        ("just a word", "document 1 is not a Kubernetes object"),
        ("- 1\n- 2", "document 1 is not a Kubernetes object"),
        ("kind: Deployment\nmetadata: web", "document 1 is not a Kubernetes object"),
        ("a: [", "stdin"),
        ("{kind: Deployment, metadata: {name: web}, spec: none}", "Deployment web: spec: "),
        (
            "{kind: Deployment, metadata: {name: web, annotations: none}, spec: {}}",
            "Deployment web: metadata.annotations: ",
        ),
        (
            "{kind: Deployment, metadata: {name: web}, spec: {selector: {}, template: {}}}",
            "at least one container is required",
        ),
        ("{kind: Service, metadata: {name: web}, spec: {ports: 80}}", "Service web: spec.ports: "),
        ("{kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: []}", "HorizontalPodAutoscaler web: spec: "),
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

/// What a real API server rejects is rejected here, with the same messages if they are the CRD's; what it accepts is accepted.
fn the_rules_are_those_of_the_api_server() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    let schema = kanary::api::crd::schema().to_string();
    for case in refused::SCHEMA {
        let refusals =
            |patch: &str| kanary::cli::manifest::rules::admit(&with(patch)).err().unwrap_or_default().join("; ");
        let (rejected, right) = (refusals(case.wrong), refusals(case.right));
        if rejected.is_empty() {
            wrong.push(format!("{}: is accepted", case.name));
        }
        // Each sentence of the CRD must be there; those about types and bounds are the API server's.
        let ours = |words: &&&str| words.contains(' ') && schema.contains(**words);
        for words in case.says.iter().filter(ours) {
            compared += 1;
            if !rejected.contains(*words) {
                wrong.push(format!("{}: no {words:?} in {rejected:?}", case.name));
            }
        }
        if !right.is_empty() {
            wrong.push(format!("{}: its good neighbour is rejected: {right}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 30, "{compared} sentences are the CRD's");
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

/// A folder as people have them: a kustomization, values, a chart's templates, a folder in it, and a link back to itself.
fn folders_may_contain_other_files() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-folder", std::process::id()));
    let write = |name: &str, text: &str| {
        let file = root.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    };
    write("kanary.yaml", &with("{}").to_string());
    write("kustomization.yaml", "resources: [kanary.yaml]\n");
    write("values.yaml", "image: web:1\n");
    write("patch.json", "[{\"op\": \"remove\", \"path\": \"/spec/replicas\"}]");
    write("template.yaml", "metadata: {{ include \"web\" . }}\n{{- if .Values.x }}\n");
    write("README.md", "# web\n");
    write("base/web.yaml", &dump()[1].to_string());
    #[cfg(unix)]
    std::os::unix::fs::symlink(&root, root.join("base/again")).expect("a link");
    let folder = root.to_str().expect("UTF-8");
    let planned = |more: &[&str]| {
        let output =
            program(&[&["plan", "-o", "json", "-f", folder], more].concat()).output().expect("the program runs");
        let reports: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (reports[0]["assumptions"].clone(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (assumptions, warnings) = planned(&[]);
    assert!(assumptions.to_string().contains("Deployment web exists"), "{assumptions}");
    for (file, words) in [
        (
            "kustomization.yaml",
            format!("is a kustomization, which is not applied here; render it with: kubectl kustomize {folder}"),
        ),
        ("values.yaml", "is not a Kubernetes object".to_owned()),
        ("patch.json", "is not a Kubernetes object".to_owned()),
        ("template.yaml", "it looks like a template, which must be rendered first".to_owned()),
    ] {
        let line = warnings.lines().find(|line| line.contains(file)).unwrap_or_default();
        assert!(line.starts_with("warning: skipped: ") && line.contains(&words), "{file}: {warnings}");
    }
    assert_eq!(warnings.lines().count(), 4, "{warnings}");
    assert_eq!(planned(&["-R"]).0, Value::Null, "the base was found");
    // A file that is given by its name is meant.
    let file = root.join("kustomization.yaml");
    let output = program(&["plan", "-f", file.to_str().expect("UTF-8")]).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    write("wrong.yaml", "a: [\n");
    let output = program(&["plan", "-f", folder]).output().expect("the program runs");
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(error.contains("wrong.yaml: line ") && error.contains("is not YAML"), "{error}");
    fs::remove_dir_all(&root).expect("it was there");
}
