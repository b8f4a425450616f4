//! `generate`: what it prints is taken by the API server's rules, comes back as written, and is planned to its end.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use kanary::cli::generate;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    snapshot::{compare, each, files, folder, program, stem, text},
    trials,
};

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let named = trials![
        nothing_of_the_api_server_is_left,
        what_the_original_got_wrong,
        contradicting_options_are_rejected,
        what_is_generated_is_promoted,
        the_pods_keep_their_annotations,
        what_is_generated_changes_nothing,
        a_changed_pull_policy_is_shown,
        one_of_several_deployments_is_named,
        a_name_that_does_not_fit_is_asked_for,
        modes_are_octal,
        every_wrong_type_is_named,
        no_file_crashes_it,
        a_period_is_written_as_in_the_spec,
    ];
    [named, each("options", files(&folder("generate"), "args"), options_make_the_resource)]
        .into_iter()
        .flatten()
        .collect()
}

fn generated(arguments: &[&str]) -> Value {
    let live = ["generate", "-f", "tests/cli/generate/live.yaml"];
    let output = program(&[&live[..], arguments].concat()).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_saphyr::from_str(&String::from_utf8(output.stdout).expect("UTF-8")).expect("YAML")
}

/// Each file of arguments makes the YAML beside it.
fn options_make_the_resource(file: &Path) {
    let words = fs::read_to_string(file).expect("arguments");
    let words: Vec<&str> = words.lines().collect();
    let live = ["generate", "-f", "tests/cli/generate/live.yaml"];
    let output = program(&[&live[..], &words].concat()).output().expect("the program runs");
    compare(&file.with_extension("yaml"), &text(&output.stdout));
    // The core accepts the queries.
    let made = format!("tests/cli/generate/{}.yaml", stem(file));
    let plan = program(&["plan", "-f", &made, "tests/cli/generate/live.yaml"]).output().expect("the program runs");
    assert!(plan.status.success(), "{made}: {}", text(&plan.stdout));
}

fn nothing_of_the_api_server_is_left() {
    let made = generated(&[]).to_string();
    for left in [
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
        "\"uid\"",
        "\"status\":{",
        "restartedAt",
        "\"replicas\":3",
        "deployment.kubernetes.io/revision",
        "last-applied-configuration",
        "argocd",
        "promoted-by",
        "change-cause",
        "terminationMessagePath",
        "dnsPolicy",
    ] {
        assert!(!made.contains(left), "{left} in {made}");
    }
}

/// What the original printed for these could not succeed, or could not be applied.
fn what_the_original_got_wrong() {
    // A promQL validation brought a manual one along, so that no run could succeed without an approval.
    let success = generated(&["--service=web", "--traffic=service", "--validation-promql-istio-success=0.95"]);
    let items = success["spec"]["validation"]["items"].as_array().expect("items").clone();
    assert_eq!(items.len(), 1);
    let query = items[0]["promQL"]["query"].as_str().expect("a query");
    assert!(query.ends_with(">= bool 0.95"), "a comparison that answers true or false: {query}");
    assert!(query.contains("or vector(0)") && query.contains("> 0)"), "{query}");
    // The metric had the name of a very old Istio.
    let latency = generated(&["--service=web", "--traffic=both", "--validation-promql-istio-quantile=P99<310"]);
    let item = &latency["spec"]["validation"]["items"][0]["promQL"];
    assert!(item["query"].as_str().is_some_and(|query| query.contains("istio_request_duration_milliseconds_bucket")));
    assert_eq!(item["valueInRange"], serde_json::json!({"min": 0, "max": 310}));
    assert_eq!(item["allPodsQuery"], true, "a quantile of all pods names none");
    // An autoscaler without maxReplicas is none.
    let hpa = generated(&["--scale=hpa"]);
    assert_eq!(hpa["spec"]["scale"]["hpa"]["maxReplicas"], 10);
    assert!(hpa["spec"]["scale"].get("static").is_none(), "two scales are refused");
    // Several validations are several items, each of one kind.
    let all = generated(&[
        "--service=web",
        "--traffic=mirror",
        "--validation-labelwatch-pod=a=b",
        "--validation-labelwatch-dep=c=d",
        "--validation-promql-istio-quantile=P99.9<=0.5",
        "--validation-promql-istio-success=1",
    ]);
    let kinds: Vec<usize> = all["spec"]["validation"]["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item.as_object().expect("an item").keys().filter(|key| *key != "name").count())
        .collect();
    assert_eq!(kinds, [1, 1, 1]);
    // Without any, an approval is required.
    assert_eq!(generated(&[])["spec"]["validation"]["items"][0]["manual"]["statusAfterDeadline"], "none");
}

fn contradicting_options_are_rejected() {
    for (arguments, expected) in [
        (vec!["--traffic=service"], "--traffic needs --service"),
        (vec!["--mirror-percentage=10"], "need --traffic mirror"),
        (vec!["--validation-promql-istio-success=95"], "a share above 0 and up to 1"),
        (vec!["--validation-promql-istio-quantile=99<310"], "such as P99<310"),
        (vec!["--validation-period=0s"], "positive duration"),
        (vec!["--name=Not-A-Name"], "error: --name: \"Not-A-Name\" must consist of lowercase letters"),
        (vec!["--name=web", "--service=web-kanary", "--traffic=both"], "spec.traffic.kanaryService"),
        (vec!["--replicas=0"], "0 is not in"),
    ] {
        let live = ["generate", "-f", "tests/cli/generate/live.yaml"];
        let output = program(&[&live[..], &arguments].concat()).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

/// A changed image, and the run goes through: of the base that image changes and nothing else, though the live base has
/// every default written out.
fn what_is_generated_is_promoted() {
    let mut kanary = generated(&["--service=web", "--traffic=both"]);
    kanary["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1.29".into();
    let file = std::env::temp_dir().join(format!("kanary-generated-{}.json", std::process::id()));
    fs::write(&file, kanary.to_string()).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let plan = ["plan", "-o", "json", "-f", path, "tests/cli/generate/live.yaml"];
    let output = program(&plan).output().expect("the program runs");
    fs::remove_file(&file).expect("it was there");
    let reports: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success(), "{reports:#}");
    assert_eq!(reports[0].get("assumptions"), None, "all is in the files");
    let steps = reports[0]["steps"].as_array().expect("steps").iter();
    let mut writes = steps.flat_map(|step| step["writes"].as_array().into_iter().flatten());
    let promotion = writes.find(|write| write["verb"] == "promote").expect("a promotion");
    let (mut before, after) = (promotion["before"].clone(), &promotion["after"]);
    before["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1.29".into();
    // It was restarted once; a new template is a restart as well.
    before["spec"]["template"]["metadata"]["annotations"]
        .as_object_mut()
        .and_then(|annotations| annotations.remove("kubectl.kubernetes.io/restartedAt"));
    similar_asserts::assert_eq!(before["spec"], after["spec"]);
    assert_eq!(before["metadata"]["labels"], after["metadata"]["labels"]);
}

/// What is left out of the pods' annotations, the promotion takes from production.
fn the_pods_keep_their_annotations() {
    let annotations = &generated(&[])["spec"]["template"]["spec"]["template"]["metadata"]["annotations"];
    let expected = json!({"kubectl.kubernetes.io/default-container": "nginx", "prometheus.io/scrape": "true"});
    assert_eq!(*annotations, expected);
}

/// Whatever is in a file, the answer is an error message.
fn no_file_crashes_it() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-odd.yaml", std::process::id()));
    for odd in [
        "spec: none",
        "spec: {selector: {}, template: {metadata: none}}",
        "spec: {selector: {}, template: {metadata: null}}",
        "spec: {selector: {}, template: {metadata: {labels: null, annotations: null}, spec: null}}",
        "spec: {selector: {}, template: {metadata: {labels: {a: 1}}}}",
        "spec: {selector: {}, template: none}",
        "spec: null",
        "status: {}",
    ] {
        let text = format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\n{odd}\n");
        fs::write(&file, text).expect("a file");
        let output = program(&["generate", "-f", file.to_str().expect("UTF-8")]).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0..=2)) && !error.contains("panicked"), "{odd}: {error}");
    }
    fs::remove_file(&file).expect("it was there");
}

fn a_period_is_written_as_in_the_spec() {
    for (text, seconds) in [("30m1h", "1h30m"), ("1.5h30m", "2h"), ("1m1m", "2m")] {
        let made = generated(&["--validation-period", text]);
        assert_eq!(made["spec"]["validation"]["validationPeriod"], seconds, "{text}");
    }
}

/// The output of the program for this input.
fn with_input(arguments: &[&str], input: &str) -> (String, String, Option<i32>) {
    let mut child = program(arguments);
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// A live Deployment: with the policy that the API server or a user has written, or as in a file, without one.
fn deployment(name: &str, image: &str, policy: Option<&str>) -> Value {
    let mut container = json!({"name": "main", "image": image});
    if let Some(policy) = policy {
        container["imagePullPolicy"] = policy.into();
    }
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "initContainers": [container]}},
        },
    })
}

/// What a plan would write into the bases of these.
fn promotions(objects: &[Value]) -> Vec<Value> {
    // Each is planned beside all others.
    objects.chunks(16).flat_map(promotions_of).collect()
}

fn promotions_of(objects: &[Value]) -> Vec<Value> {
    let list = json!({"kind": "List", "items": objects}).to_string();
    let (out, error, code) = with_input(&["plan", "-o", "json", "-f", "-"], &list);
    assert_eq!(code, Some(0), "{error}{out}");
    let reports: Vec<Value> = serde_json::from_str(&out).expect("JSON");
    let steps = reports.into_iter().flat_map(|report| report["steps"].as_array().cloned().unwrap_or_default());
    let writes = steps.flat_map(|step| step["writes"].as_array().cloned().unwrap_or_default());
    writes.filter(|write| write["verb"] == "promote").collect()
}

/// Whatever the tag and the policy, a plan of the same Deployment has nothing to write; and with another tag, the tag alone.
fn what_is_generated_changes_nothing() {
    let images = [
        "web",
        "web:latest",
        "web:1",
        "reg:5000/a/web",
        "reg:5000/a/web:1",
        "web@sha256:0123",
        "web:latest@sha256:0123",
    ];
    let policies = [None, Some("Always"), Some("IfNotPresent"), Some("Never")];
    let (mut same, mut others, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for (index, image) in images.iter().enumerate() {
        for (number, policy) in policies.iter().enumerate() {
            let base = deployment(&format!("web-{index}-{number}"), image, *policy);
            let options = <generate::Options as Defaults>::defaults();
            let made = generate::generate(&base, None, &options).expect("a KanaryDeployment");
            same.extend([base.clone(), made.clone()]);
            for other in images.iter().filter(|other| *other != image && policy.is_some()) {
                let text = |value: &Value| value.to_string().replace(&format!("\"{image}\""), &format!("\"{other}\""));
                let name = format!("web-{index}-{number}-{}", others.len());
                let renamed = |text: String| text.replace(&format!("web-{index}-{number}"), &name);
                others.push(serde_json::from_str(&renamed(base.to_string())).expect("JSON"));
                others.push(serde_json::from_str(&renamed(text(&made))).expect("JSON"));
                expected.push((name, (*other).to_owned()));
            }
        }
    }
    assert_eq!(promotions(&same), Vec::<Value>::new());
    let promotions = promotions(&others);
    assert_eq!(promotions.len(), expected.len());
    for (write, (name, image)) in promotions.iter().zip(expected) {
        let mut before = write["before"].clone();
        for list in ["containers", "initContainers"] {
            before["spec"]["template"]["spec"][list][0]["image"] = image.as_str().into();
        }
        assert_eq!(write["name"], *name);
        similar_asserts::assert_eq!(before["spec"], write["after"]["spec"], "{name} {image}");
    }
}

trait Defaults: Sized {
    fn defaults() -> Self;
}

impl Defaults for generate::Options {
    fn defaults() -> Self {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: generate::Options,
        }
        <Line as clap::Parser>::parse_from(["test"]).options
    }
}

/// A template that a person wrote without a policy changes it with the tag.
fn a_changed_pull_policy_is_shown() {
    let base = deployment("web", "web:1", None);
    let template = deployment("web", "web:latest", None)["spec"].clone();
    let kanary = json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": "web"},
        "spec": {"deploymentName": "web", "template": {"spec": template}},
    });
    let write = promotions(&[base, kanary]).pop().expect("a promotion");
    let policy = |of: &str| write[of]["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"].clone();
    assert_eq!((policy("before"), policy("after")), (json!("IfNotPresent"), json!("Always")));
}

fn one_of_several_deployments_is_named() {
    let list = |items: Vec<Value>| json!({"kind": "List", "items": items}).to_string();
    let two = list(vec![deployment("web", "web:1", None), deployment("api", "api:1", None)]);
    let (_, error, code) = with_input(&["generate", "-f", "-"], &two);
    assert_eq!(code, Some(2), "{error}");
    let expected = "found 2 Deployments (web, api); name one of them: kubectl kanary generate web -f -";
    assert!(error.contains(expected), "{error}");
    let (out, _, code) = with_input(&["generate", "api", "-f", "-"], &two);
    assert!(code == Some(0) && out.contains("image: api:1"), "{out}");
    let mut other = deployment("web", "web:9", None);
    other["metadata"]["namespace"] = "blue".into();
    let two = list(vec![deployment("web", "web:1", None), other]);
    let (_, error, code) = with_input(&["generate", "web", "-f", "-"], &two);
    assert!(code == Some(2) && error.contains("(web, blue/web); choose one with -n NAMESPACE"), "{error}");
    let (out, error, _) = with_input(&["generate", "web", "-n", "blue", "-f", "-"], &two);
    assert!(out.contains("image: web:9"), "{error}");
}

fn a_name_that_does_not_fit_is_asked_for() {
    let long = "payments-reconciliation-batch-exporter-europe-west-prod-blue";
    let cases = [
        (long, &long[..55]),
        ("api.v2", "api-v2"),
        (
            "a.very.long.name.that.is.cut.right.behind.one.of.its.dots.x",
            "a-very-long-name-that-is-cut-right-behind-one-of-its-dot",
        ),
    ];
    for (name, fitting) in cases {
        let base = deployment(name, "web:1", None).to_string();
        let (_, error, code) = with_input(&["generate", "-f", "-"], &base);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(&format!("pass --name, for example --name {fitting}\n")), "{error}");
        let (out, error, code) = with_input(&["generate", "-f", "-", "--name", fitting], &base);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.contains(&format!("deploymentName: {name}\n")), "{out}");
    }
    let (_, error, _) =
        with_input(&["generate", "-f", "-", "--name", long], &deployment("web", "web:1", None).to_string());
    assert!(error.starts_with("error: --name: must be a DNS label"), "{error}");
}

/// As kubectl reads them.
fn modes_are_octal() {
    let base = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 40.0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {on: \"0644\"}}
    spec:
      containers: [{name: web, image: web, stdin: yes}]
      volumes:
      - {name: a, secret: {secretName: a, defaultMode: 0400}}
      - {name: b, configMap: {name: b, defaultMode: 0o755}}
";
    let (out, error, code) = with_input(&["generate", "-f", "-"], base);
    assert_eq!(code, Some(0), "{error}");
    for words in ["defaultMode: 256\n", "defaultMode: 493\n", "stdin: true\n", "\"true\": \"0644\"\n"] {
        assert!(out.contains(words), "{words} is not in {out}");
    }
    // Another reader of YAML reads the same.
    let (planned, error, code) = with_input(&["plan", "-o", "json", "-f", "-"], &format!("{base}---\n{out}"));
    assert_eq!(code, Some(0), "{error}{planned}");
    assert!(planned.contains("\"defaultMode\": 256") && !planned.contains("\"promote\""), "{planned}");
}

fn every_wrong_type_is_named() {
    let mut base = deployment("web", "web:1", None);
    base["metadata"]["labels"] = json!({"release": 1.1});
    base["spec"]["template"]["metadata"]["labels"]["version"] = json!(2);
    let (_, error, code) = with_input(&["generate", "-f", "-"], &base.to_string());
    assert_eq!(code, Some(1), "{error}");
    for words in [
        "metadata.labels.release: must be a string, not 1.1",
        "spec.template.metadata.labels.version: must be a string, not 2; quote it: \"2\"",
    ] {
        assert!(error.contains(words), "{error}");
    }
}
