//! `kubectl kanary` on a real control plane: each verb as a user runs it.

mod support;
mod transcript;

use std::{env, fs, iter, path::Path, process::ExitCode};

use k8s_openapi::api::apps::v1::Deployment;
use kanary_e2e::{Context, Error, Setup, TestNamespace, cases, harness, terminal::Terminal, tool::Tool};
use serde_json::{Value, json};
use support::{
    TRIAL, assert_nothing_is_left, base_image, image, json_of, merged,
    plugin::{call, command, good, program, refused},
    production, text, traffic, trial, validating, watching,
};
use tokio::process::Command;
use transcript::the_docs_show_what_is_printed;

fn main() -> ExitCode {
    let cases = cases![
        generated_without_traffic_is_promoted: lab_only,
        generated_for_the_service_is_promoted: lab_only,
        generated_for_its_own_service_is_promoted: lab_only,
        generated_for_both_is_promoted: lab_only,
        generated_with_an_autoscaler_and_labels_is_taken: lab_only,
        users_give_their_verdict: lab_only,
        a_run_is_retried: lab_only,
        runs_are_listed_in_every_form: lab_only,
        a_list_follows_what_happens: lab_only,
        describe_shows_why_a_pod_is_not_ready: lab_only,
        a_watch_moves_on_a_terminal: lab_only,
        a_watch_without_a_terminal_ends_with_the_run: lab_only,
        names_are_completed: lab_only,
        kubectl_finds_it: lab_only,
        a_credential_plugin_is_called: lab_only,
        colours_are_for_terminals: lab_only,
        what_is_ignored_is_what_is_written: lab_only,
        errors_are_reported: lab_only,
        the_docs_show_what_is_printed: lab_only,
    ];
    harness::main(Setup::controller(&[]).with_kubectl(), cases)
}

/// `generate | sed s/web:1/web:2/ | kubectl apply`, approve, and the base has the new image.
async fn generate_and_promote(ns: &TestNamespace, arguments: &[&str]) -> Result<(), Error> {
    production(ns).await?;
    let words = [&["generate", "web", "--name", TRIAL], arguments].concat();
    let yaml = good(ns, &words).await?;
    assert!(yaml.contains("image: web:1"), "{yaml}");
    ns.apply(yaml.replace("image: web:1", "image: web:2")).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    good(ns, &["approve", TRIAL, "--reason", "looks good"]).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(ns).await?, "web:2");
    assert_nothing_is_left(ns).await
}

async fn generated_without_traffic_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    generate_and_promote(&ns, &[]).await
}

async fn generated_for_the_service_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    generate_and_promote(&ns, &["--service", "web", "--traffic", "service"]).await
}

async fn generated_for_its_own_service_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    generate_and_promote(&ns, &["--service", "web", "--traffic", "kanary-service", "--replicas", "2"]).await
}

async fn generated_for_both_is_promoted(ns: TestNamespace) -> Result<(), Error> {
    generate_and_promote(&ns, &["--service", "web", "--traffic", "both"]).await
}

async fn generated_with_an_autoscaler_and_labels_is_taken(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let words = [
        "generate",
        "deployment/web",
        "--name",
        TRIAL,
        "--scale",
        "hpa",
        "--dry-run",
        "--validation-period",
        "2s",
        "--validation-labelwatch-pod",
        "bad=yes",
        "--validation-labelwatch-dep",
        "bad=yes",
        "-o",
        "json",
    ];
    let kanary: Value = serde_json::from_str(&good(&ns, &words).await?)?;
    ns.apply(kanary.clone()).await?;
    let kept = ns.until_phase(TRIAL, "Succeeded").await?;
    support::assert_contains(&kept["spec"], &kanary["spec"]);
    assert_eq!(support::condition(&kept, "DeploymentUpdated")["reason"], "NoUpdate");
    Ok(())
}

async fn users_give_their_verdict(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, merged(traffic("service"), image("web:2"))).await?;
    assert!(good(&ns, &["reject", TRIAL, "--reason", "it is too slow"]).await?.contains("trial rejected"));
    let failed = ns.until_phase(TRIAL, "Failed").await?;
    assert!(text(&failed, "/status/message").contains("it is too slow"), "{failed}");
    refused(&ns, &["approve", TRIAL], "is over: Failed; try the same template again with: kubectl kanary retry")
        .await?;
    refused(&ns, &["reject", TRIAL], "is over: Failed").await?;
    assert_eq!(base_image(&ns).await?, "web:1");
    Ok(())
}

/// The verdict on the last run does not count for the next.
async fn a_run_is_retried(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    refused(&ns, &["retry", TRIAL], "is not over: it is Validating").await?;
    good(&ns, &["reject", TRIAL]).await?;
    ns.until_phase(TRIAL, "Failed").await?;
    good(&ns, &["retry", TRIAL]).await?;
    let again = ns.until_phase(TRIAL, "Validating").await?;
    assert_eq!(again["status"]["run"], 2);
    assert_eq!(again["spec"]["validation"]["manual"], json!({}));
    good(&ns, &["approve", &format!("kd/{TRIAL}")]).await?;
    ns.until_phase(TRIAL, "Succeeded").await.map(drop)
}

async fn runs_are_listed_in_every_form(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, watching("1h")).await?;
    let table = good(&ns, &["get"]).await?;
    let (head, row) = table.split_once('\n').unwrap_or_default();
    assert!(head.starts_with("NAME ") && head.trim_end().ends_with("MESSAGE"), "{head}");
    for cell in [TRIAL, "Validating", "web:1 → web:2", "none", "/1h"] {
        assert!(row.contains(cell), "{cell} in {row}");
    }
    let wide = good(&ns, &["get", TRIAL, "-o", "wide"]).await?;
    for cell in ["static 1", "labelWatch", "validating until"] {
        assert!(wide.contains(cell), "{cell} in {wide}");
    }
    let path = "jsonpath={.items[*].status.phase}";
    assert_eq!(good(&ns, &["get", "-o", path]).await?, "Validating");
    assert_eq!(good(&ns, &["get", "--failed"]).await?, "");
    assert_eq!(good(&ns, &["get", "-o", "name"]).await?, format!("kanarydeployment.kanary.k8s.io/{TRIAL}\n"));
    let one: Value = serde_json::from_str(&good(&ns, &["get", TRIAL, "-o", "json"]).await?)?;
    assert_eq!(one["metadata"]["name"], TRIAL);
    assert!(one["metadata"].get("managedFields").is_none());
    assert!(good(&ns, &["get", TRIAL, "-o", "yaml"]).await?.contains("kind: KanaryDeployment"));
    assert!(good(&ns, &["get", "-A"]).await?.contains(ns.name()));
    ns.patch_kanary(TRIAL, json!({"metadata": {"labels": {"team": "shop"}}})).await?;
    assert!(good(&ns, &["get", "-l", "team=shop"]).await?.contains(TRIAL));
    assert_eq!(good(&ns, &["get", "-l", "team=other"]).await?, "");
    Ok(())
}

async fn a_list_follows_what_happens(ns: TestNamespace) -> Result<(), Error> {
    use tokio::io::{AsyncBufReadExt, BufReader};

    validating(&ns, json!({})).await?;
    let mut child =
        command(&ns, &["get", "-w"])?.stdout(std::process::Stdio::piped()).spawn().context(|| "get -w".into())?;
    let out = child.stdout.take().ok_or_else(|| Error::wrong("no pipe"))?;
    let mut lines = BufReader::new(out).lines();
    let mut next = async || lines.next_line().await.ok().flatten().unwrap_or_default();
    assert!(next().await.starts_with("NAME "));
    assert!(next().await.contains("Waiting for approval"));
    good(&ns, &["approve", TRIAL]).await?;
    while !next().await.contains("Succeeded") {}
    child.kill().await.context(|| "end get -w".into())
}

async fn describe_shows_why_a_pod_is_not_ready(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    ns.apply(trial(support::playing("image-pull"))).await?;
    support::until_reason(&ns, "CanaryReady", "ImagePullBackOff").await?;
    support::until_event(&ns, "Started").await?;
    let page = good(&ns, &["describe", TRIAL]).await?;
    for words in [
        "Status:     Starting",
        "Deployment trial-kanary, 0 of 1 pods ready",
        "ImagePullBackOff",
        "manual-0  Unknown",
        "Started: run 1",
    ] {
        assert!(page.contains(words), "{words:?} is not in\n{page}");
    }
    Ok(())
}

async fn a_watch_moves_on_a_terminal(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, merged(traffic("service"), json!({"validation": {"validationPeriod": "1h"}}))).await?;
    let kubeconfig = ns.lab()?.kubeconfig();
    let arguments = ["watch", TRIAL, "-n", ns.name()];
    let start = || Terminal::start(&program(&ns)?, &arguments, &[("KUBECONFIG", &kubeconfig)], (24, 80));
    let mut terminal = start()?;
    let is_read = |screen: &str| screen.contains("ready, in production") && screen.contains("web:1");
    let screen = terminal.until("pods and images", is_read).await?;
    for words in [
        "?: help  q: quit",
        "web:1 → web:2",
        "waiting for approval: kubectl kanary approve trial",
        "manual-0",
        "Starting › Validating › Promoting › Succeeded",
    ] {
        assert!(screen.contains(words), "{words:?} is not in\n{screen}");
    }
    assert!(terminal.is_taken());
    terminal.until("an event", |screen| screen.contains("Validating the canary is available")).await?;
    terminal.press("r")?;
    terminal.until("a question", |screen| screen.contains("reject trial? y: yes")).await?;
    terminal.press("y")?;
    terminal
        .until("the verdict", |screen| screen.contains("Failing › Failed") && screen.contains("trial rejected"))
        .await?;
    ns.until_phase(TRIAL, "Failed").await?;
    terminal.press("q")?;
    assert_eq!(terminal.ends().await?, Some(0), "{}", terminal.screen());
    assert!(!terminal.is_taken(), "the screen is given back");
    // The last status that it read, which may be a moment old.
    assert!(terminal.screen().contains("trial: Fail"), "{}", terminal.screen());
    // In raw mode Ctrl-C is an ordinary key.
    let mut terminal = start()?;
    terminal.until("a view", |screen| screen.contains("q: quit")).await?;
    terminal.press("\u{3}")?;
    assert_eq!(terminal.ends().await?, Some(0));
    assert!(!terminal.is_taken());
    Ok(())
}

async fn a_watch_without_a_terminal_ends_with_the_run(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    let watch = async || call(&ns, &["watch", TRIAL]).await;
    let (output, approval) = tokio::join!(watch(), call(&ns, &["approve", TRIAL]));
    let (output, _) = (output?, approval?);
    assert_eq!(output.code, Some(0), "{}{}", output.out, output.err);
    assert!(output.out.contains("  Succeeded: promoted: Deployment web "), "{}", output.out);
    good(&ns, &["retry", TRIAL]).await?;
    let reject = async || {
        ns.until_kanary(TRIAL, "run 2", |kanary| kanary["status"]["run"] == 2).await?;
        call(&ns, &["reject", TRIAL]).await
    };
    let (output, approval) = tokio::join!(watch(), reject());
    let (output, _) = (output?, approval?);
    assert_eq!(output.code, Some(1), "a run that failed fails the script: {}{}", output.out, output.err);
    assert!(output.out.contains("  Failed: rejected manually"), "{}", output.out);
    Ok(())
}

async fn names_are_completed(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    let complete = async |words: &[&str]| {
        let mut command = Command::new(program(&ns)?);
        command.arg("__complete").args(words).env("KUBECONFIG", ns.lab()?.kubeconfig());
        let output = command.output().await.context(|| format!("complete {words:?}"))?;
        Ok::<_, Error>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let verbs = complete(&["ap"]).await?;
    assert!(verbs.starts_with("approve") && verbs.ends_with(":4\n"), "{verbs}");
    for verb in ["approve", "reject", "retry", "describe", "watch", "get", "gitops-ignore"] {
        let names = complete(&["-n", ns.name(), verb, "tr"]).await?;
        assert!(names.lines().any(|line| line == TRIAL), "{verb}: {names}");
    }
    Ok(())
}

/// kubectl itself runs it, and completes with it.
async fn kubectl_finds_it(ns: TestNamespace) -> Result<(), Error> {
    use std::os::unix::fs::{PermissionsExt, symlink};

    validating(&ns, json!({})).await?;
    let lab = ns.lab()?;
    let bin = lab.dir().join("kubectl-finds-it");
    let what = || format!("fill {}", bin.display());
    fs::create_dir_all(&bin).context(what)?;
    symlink(lab.artifacts().tools.path(Tool::Kubectl)?, bin.join("kubectl")).context(what)?;
    symlink(program(&ns)?, bin.join("kubectl-kanary")).context(what)?;
    let script = bin.join("kubectl_complete-kanary");
    fs::write(&script, good(&ns, &["completion", "kubectl"]).await?).context(what)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).context(what)?;
    let kubectl = async |arguments: &[&str]| {
        let path =
            env::join_paths(iter::once(bin.clone()).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())));
        let mut command = Command::new(bin.join("kubectl"));
        command.args(arguments).env("KUBECONFIG", lab.kubeconfig()).env("PATH", path.context(what)?);
        let output = command.output().await.context(|| format!("kubectl {arguments:?}"))?;
        Ok::<_, Error>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let table = kubectl(&["kanary", "get", "-n", ns.name()]).await?;
    assert!(table.contains(TRIAL), "{table}");
    let names = kubectl(&["__complete", "kanary", "approve", "-n", ns.name(), "tr"]).await?;
    assert!(names.lines().any(|line| line == TRIAL), "{names}");
    Ok(())
}

/// As in the kubeconfigs of cloud providers: a program returns the token.
async fn a_credential_plugin_is_called(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    let lab = ns.lab()?;
    let text = fs::read_to_string(lab.kubeconfig()).context(|| "read the kubeconfig".into())?;
    let mut config: Value = serde_json::from_str(&text)?;
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": config["users"][0]["user"]["token"]},
    });
    config["users"][0]["user"] = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": "printf", "args": ["%s", credential.to_string()],
    }});
    let file = lab.dir().join("exec.kubeconfig");
    fs::write(&file, config.to_string()).context(|| format!("write {}", file.display()))?;
    let output = call(&ns, &["get", "--kubeconfig", &file.display().to_string()]).await?;
    assert!(output.out.contains(TRIAL), "{}{}", output.out, output.err);
    Ok(())
}

async fn colours_are_for_terminals(ns: TestNamespace) -> Result<(), Error> {
    validating(&ns, json!({})).await?;
    good(&ns, &["reject", TRIAL]).await?;
    ns.until_phase(TRIAL, "Failed").await?;
    assert!(!good(&ns, &["get"]).await?.contains('\u{1b}'), "a pipe gets none");
    let kubeconfig = ns.lab()?.kubeconfig();
    for (no_color, coloured) in [(None, true), (Some(("NO_COLOR", Path::new("1"))), false)] {
        let variables: Vec<_> = iter::once(("KUBECONFIG", kubeconfig.as_path())).chain(no_color).collect();
        for verb in ["get", "watch"] {
            let arguments = [verb, TRIAL, "-n", ns.name()];
            let mut terminal = Terminal::start(&program(&ns)?, &arguments, &variables, (24, 160))?;
            terminal.until("the run", |screen| screen.contains("Failed")).await?;
            assert_eq!(terminal.is_coloured(), coloured, "{verb} with {no_color:?}");
            terminal.press("q")?;
            terminal.ends().await?;
        }
    }
    Ok(())
}

/// `gitops-ignore` names exactly the fields of the base that the promotion wrote, according to managedFields.
async fn what_is_ignored_is_what_is_written(ns: TestNamespace) -> Result<(), Error> {
    let template = json!({"template": {
        "metadata": {"labels": {"example.org/team": "shop"}, "annotations": {"note": "hello"}},
        "spec": {"replicas": 3, "minReadySeconds": 1},
    }});
    production(&ns).await?;
    ns.apply(trial(template)).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    let rules = good(&ns, &["gitops-ignore", TRIAL, "--for", "argocd"]).await?;
    let rules: Value = from_yaml(&rules)?;
    good(&ns, &["approve", TRIAL]).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    let web = json_of::<Deployment>(&ns, "web").await?;
    let entries = web["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let ours = entries.iter().find(|entry| entry["manager"] == "kanary" && entry.get("subresource").is_none());
    let fields = &ours.ok_or_else(|| Error::wrong("the promotion is not in the books"))?["fieldsV1"];
    let ignored = rules["ignoreDifferences"][0]["jsonPointers"].as_array();
    let ignored: Vec<&str> = ignored.into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(!ignored.is_empty(), "{rules}");
    let mut written = Vec::new();
    leaves(fields, String::new(), &mut written);
    let covers = |pointer: &str, path: &str| path == pointer || path.starts_with(&format!("{pointer}/"));
    for path in &written {
        assert!(ignored.iter().any(|pointer| covers(pointer, path)), "{path} is written, but not in {ignored:?}");
    }
    for pointer in &ignored {
        // managedFields does not list fields that had the value before.
        let is_so = web.pointer(pointer).is_some();
        assert!(is_so, "{pointer} is ignored, but not there");
    }
    assert_eq!(rules["ignoreDifferences"][0]["name"], "web");
    assert_eq!(rules["syncPolicy"]["syncOptions"], json!(["RespectIgnoreDifferences=true"]));
    Ok(())
}

fn from_yaml(text: &str) -> Result<Value, Error> {
    let objects = kanary_e2e::manifests::parse(text)?;
    objects.into_iter().next().ok_or_else(|| Error::wrong("no rules"))
}

/// The paths that an entry of managedFields names, as JSON pointers; items of lists stand for their list.
fn leaves(fields: &Value, path: String, found: &mut Vec<String>) {
    let children =
        fields.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.strip_prefix("f:")?, value)));
    let mut is_leaf = true;
    for (key, value) in children {
        is_leaf = false;
        leaves(value, format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
    }
    if is_leaf && !path.is_empty() {
        found.push(path);
    }
}

async fn errors_are_reported(ns: TestNamespace) -> Result<(), Error> {
    refused(&ns, &["get", "nobody"], "\"nobody\" not found").await?;
    refused(&ns, &["describe", "nobody"], "not found").await?;
    refused(&ns, &["watch", "nobody"], "not found").await?;
    refused(&ns, &["generate", "nobody"], "deployments.apps \"nobody\" not found").await?;
    refused(&ns, &["get", "--context", "nowhere"], "nowhere").await?;
    refused(&ns, &["get", "--kubeconfig", "/no/such/file"], "/no/such/file").await?;
    let empty = call(&ns, &["get"]).await?;
    assert_eq!((empty.code, empty.out.as_str()), (Some(0), ""));
    assert!(empty.err.contains("No KanaryDeployments found in namespace"), "{}", empty.err);
    refused(&ns, &["get", "--as", "nobody"], "cannot list resource").await?;
    let typo = call(&ns, &["aprove", "x"]).await?;
    assert_eq!(typo.code, Some(2));
    assert!(typo.err.contains("'approve'"), "{}", typo.err);
    Ok(())
}
