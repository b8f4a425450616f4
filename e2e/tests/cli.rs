//! `kubectl kanary` on a real control plane: each verb as a person calls it.

mod support;
mod transcript;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, iter};

use k8s_openapi::api::apps::v1::Deployment;
use kanary_e2e::terminal::Terminal;
use kanary_e2e::tools::Tool;
use kanary_e2e::{Context, Error, Scene, Setup, cases, harness};
use serde_json::{Value, json};
use support::plugin::{call, command, good, program, refused};
use support::{
    TRIAL, assert_nothing_is_left, base_image, image, json_of, merged, production, text, traffic, trial, validating,
    watching,
};
use tokio::process::Command;
use transcript::the_docs_show_what_is_printed;

fn main() -> ExitCode {
    let cases = cases![
        generated_for_nobody_is_promoted: lab_only,
        generated_for_the_service_is_promoted: lab_only,
        generated_for_its_own_service_is_promoted: lab_only,
        generated_for_both_is_promoted: lab_only,
        generated_with_an_autoscaler_and_labels_is_taken: lab_only,
        people_say_what_they_think: lab_only,
        a_run_is_tried_again: lab_only,
        runs_are_listed_in_every_form: lab_only,
        a_list_follows_what_happens: lab_only,
        a_page_tells_why_a_pod_is_not_ready: lab_only,
        a_watch_moves_on_a_terminal: lab_only,
        a_watch_without_a_terminal_ends_with_the_run: lab_only,
        names_are_completed: lab_only,
        kubectl_finds_it: lab_only,
        a_credential_plugin_is_asked: lab_only,
        colours_are_for_terminals: lab_only,
        what_is_ignored_is_what_is_written: lab_only,
        what_goes_wrong_is_said: lab_only,
        the_docs_show_what_is_printed: lab_only,
    ];
    harness::main(Setup::controller(&[]).with_kubectl(), cases)
}

/// `generate | sed s/web:1/web:2/ | kubectl apply`, approve, and the base has the new image.
async fn generate_and_promote(scene: &Scene, arguments: &[&str]) -> Result<(), Error> {
    production(scene).await?;
    let words = [&["generate", "web", "--name", TRIAL], arguments].concat();
    let yaml = good(scene, &words).await?;
    assert!(yaml.contains("image: web:1"), "{yaml}");
    scene.apply(yaml.replace("image: web:1", "image: web:2")).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    good(scene, &["approve", TRIAL, "--reason", "looks good"]).await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_eq!(base_image(scene).await?, "web:2");
    assert_nothing_is_left(scene).await
}

async fn generated_for_nobody_is_promoted(scene: Scene) -> Result<(), Error> {
    generate_and_promote(&scene, &[]).await
}

async fn generated_for_the_service_is_promoted(scene: Scene) -> Result<(), Error> {
    generate_and_promote(&scene, &["--service", "web", "--traffic", "service"]).await
}

async fn generated_for_its_own_service_is_promoted(scene: Scene) -> Result<(), Error> {
    generate_and_promote(&scene, &["--service", "web", "--traffic", "kanary-service", "--replicas", "2"]).await
}

async fn generated_for_both_is_promoted(scene: Scene) -> Result<(), Error> {
    generate_and_promote(&scene, &["--service", "web", "--traffic", "both"]).await
}

async fn generated_with_an_autoscaler_and_labels_is_taken(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
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
    let kanary: Value = serde_json::from_str(&good(&scene, &words).await?)?;
    scene.apply(kanary.clone()).await?;
    let kept = scene.kd_phase(TRIAL, "Succeeded").await?;
    support::assert_contains(&kept["spec"], &kanary["spec"]);
    assert_eq!(support::condition(&kept, "DeploymentUpdated")["reason"], "NoUpdate");
    Ok(())
}

async fn people_say_what_they_think(scene: Scene) -> Result<(), Error> {
    validating(&scene, merged(traffic("service"), image("web:2"))).await?;
    assert!(good(&scene, &["reject", TRIAL, "--reason", "it is too slow"]).await?.contains("trial rejected"));
    let failed = scene.kd_phase(TRIAL, "Failed").await?;
    assert!(text(&failed, "/status/message").contains("it is too slow"), "{failed}");
    refused(&scene, &["approve", TRIAL], "is over: Failed; try the same template again with: kubectl kanary retry")
        .await?;
    refused(&scene, &["reject", TRIAL], "is over: Failed").await?;
    assert_eq!(base_image(&scene).await?, "web:1");
    Ok(())
}

/// The word on the last run is no word on the next.
async fn a_run_is_tried_again(scene: Scene) -> Result<(), Error> {
    validating(&scene, json!({})).await?;
    refused(&scene, &["retry", TRIAL], "is not over: it is Validating").await?;
    good(&scene, &["reject", TRIAL]).await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    good(&scene, &["retry", TRIAL]).await?;
    let again = scene.kd_phase(TRIAL, "Validating").await?;
    assert_eq!(again["status"]["run"], 2);
    assert_eq!(again["spec"]["validation"]["manual"], json!({}));
    good(&scene, &["approve", &format!("kd/{TRIAL}")]).await?;
    scene.kd_phase(TRIAL, "Succeeded").await.map(drop)
}

async fn runs_are_listed_in_every_form(scene: Scene) -> Result<(), Error> {
    validating(&scene, watching("1h")).await?;
    let table = good(&scene, &["get"]).await?;
    let (head, row) = table.split_once('\n').unwrap_or_default();
    assert!(head.starts_with("NAMESPACE") && head.trim_end().ends_with("DURATION"), "{head}");
    for cell in [scene.namespace(), TRIAL, "Validating", "web", "static 1", "none", "labelWatch", "/1h"] {
        assert!(row.contains(cell), "{cell} in {row}");
    }
    assert!(good(&scene, &["get", TRIAL, "-o", "wide"]).await?.contains("the canary is judged until"));
    assert_eq!(good(&scene, &["get", "-o", "name"]).await?, format!("kanarydeployment.kanary.k8s.io/{TRIAL}\n"));
    let one: Value = serde_json::from_str(&good(&scene, &["get", TRIAL, "-o", "json"]).await?)?;
    assert_eq!(one["metadata"]["name"], TRIAL);
    assert!(one["metadata"].get("managedFields").is_none());
    assert!(good(&scene, &["get", TRIAL, "-o", "yaml"]).await?.contains("kind: KanaryDeployment"));
    assert!(good(&scene, &["get", "-A"]).await?.contains(scene.namespace()));
    scene.patch_kd(TRIAL, json!({"metadata": {"labels": {"team": "shop"}}})).await?;
    assert!(good(&scene, &["get", "-l", "team=shop"]).await?.contains(TRIAL));
    assert_eq!(good(&scene, &["get", "-l", "team=other"]).await?, "");
    Ok(())
}

async fn a_list_follows_what_happens(scene: Scene) -> Result<(), Error> {
    use tokio::io::{AsyncBufReadExt, BufReader};

    validating(&scene, json!({})).await?;
    let mut child =
        command(&scene, &["get", "-w"])?.stdout(std::process::Stdio::piped()).spawn().context(|| "get -w".into())?;
    let out = child.stdout.take().ok_or_else(|| Error::wrong("no pipe"))?;
    let mut lines = BufReader::new(out).lines();
    let mut next = async || lines.next_line().await.ok().flatten().unwrap_or_default();
    assert!(next().await.starts_with("NAMESPACE"));
    assert!(next().await.contains("Validating"));
    good(&scene, &["approve", TRIAL]).await?;
    while !next().await.contains("Succeeded") {}
    child.kill().await.context(|| "end get -w".into())
}

async fn a_page_tells_why_a_pod_is_not_ready(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    scene.apply(trial(support::playing("image-pull"))).await?;
    support::until_reason(&scene, "CanaryReady", "ImagePullBackOff").await?;
    support::until_event(&scene, "Started").await?;
    let page = good(&scene, &["describe", TRIAL]).await?;
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

async fn a_watch_moves_on_a_terminal(scene: Scene) -> Result<(), Error> {
    validating(&scene, merged(traffic("service"), json!({"validation": {"validationPeriod": "1h"}}))).await?;
    let kubeconfig = scene.lab()?.kubeconfig();
    let arguments = ["watch", TRIAL, "-n", scene.namespace()];
    let start = || Terminal::start(&program(&scene)?, &arguments, &[("KUBECONFIG", &kubeconfig)], (24, 80));
    let mut terminal = start()?;
    let screen = terminal.until("pods", |screen| screen.contains("ready, in production")).await?;
    for words in [
        "q: quit",
        "waiting for approval: kubectl kanary approve trial",
        "manual-0",
        "Starting › Validating › Promoting › Succeeded",
    ] {
        assert!(screen.contains(words), "{words:?} is not in\n{screen}");
    }
    assert!(terminal.is_taken());
    terminal.until("an event", |screen| screen.contains("Validating the canary is available")).await?;
    good(&scene, &["reject", TRIAL, "--reason", "we saw enough"]).await?;
    terminal
        .until("the verdict", |screen| screen.contains("Failing › Failed") && screen.contains("we saw enough"))
        .await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    terminal.press("q")?;
    assert_eq!(terminal.ends().await?, Some(0), "{}", terminal.screen());
    assert!(!terminal.is_taken(), "the screen is given back");
    // The last that it saw, which may be a moment old.
    assert!(terminal.screen().contains("trial: Fail"), "{}", terminal.screen());
    // In raw mode Ctrl-C is a key like any other.
    let mut terminal = start()?;
    terminal.until("a view", |screen| screen.contains("q: quit")).await?;
    terminal.press("\u{3}")?;
    assert_eq!(terminal.ends().await?, Some(0));
    assert!(!terminal.is_taken());
    Ok(())
}

async fn a_watch_without_a_terminal_ends_with_the_run(scene: Scene) -> Result<(), Error> {
    validating(&scene, json!({})).await?;
    let watch = async || call(&scene, &["watch", TRIAL]).await;
    let (said, told) = tokio::join!(watch(), call(&scene, &["approve", TRIAL]));
    let (said, _) = (said?, told?);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.contains("  Succeeded: Deployment web "), "{}", said.out);
    good(&scene, &["retry", TRIAL]).await?;
    let reject = async || {
        scene.until_kd(TRIAL, "run 2", |kd| kd["status"]["run"] == 2).await?;
        call(&scene, &["reject", TRIAL]).await
    };
    let (said, told) = tokio::join!(watch(), reject());
    let (said, _) = (said?, told?);
    assert_eq!(said.code, Some(1), "a run that failed fails the script: {}{}", said.out, said.err);
    assert!(said.out.contains("  Failed: a person said invalid"), "{}", said.out);
    Ok(())
}

async fn names_are_completed(scene: Scene) -> Result<(), Error> {
    validating(&scene, json!({})).await?;
    let complete = async |words: &[&str]| {
        let mut command = Command::new(program(&scene)?);
        command.arg("__complete").args(words).env("KUBECONFIG", scene.lab()?.kubeconfig());
        let output = command.output().await.context(|| format!("complete {words:?}"))?;
        Ok::<_, Error>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let verbs = complete(&["ap"]).await?;
    assert!(verbs.starts_with("approve") && verbs.ends_with(":4\n"), "{verbs}");
    for verb in ["approve", "reject", "retry", "describe", "watch", "get", "gitops-ignore"] {
        let names = complete(&["-n", scene.namespace(), verb, "tr"]).await?;
        assert!(names.lines().any(|line| line == TRIAL), "{verb}: {names}");
    }
    Ok(())
}

/// kubectl itself calls it, and has it complete.
async fn kubectl_finds_it(scene: Scene) -> Result<(), Error> {
    use std::os::unix::fs::{PermissionsExt, symlink};

    validating(&scene, json!({})).await?;
    let lab = scene.lab()?;
    let bin = lab.dir().join("kubectl-finds-it");
    let told = || format!("fill {}", bin.display());
    fs::create_dir_all(&bin).context(told)?;
    symlink(lab.kit().tools.path(Tool::Kubectl)?, bin.join("kubectl")).context(told)?;
    symlink(program(&scene)?, bin.join("kubectl-kanary")).context(told)?;
    let script = bin.join("kubectl_complete-kanary");
    fs::write(&script, good(&scene, &["completion", "kubectl"]).await?).context(told)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).context(told)?;
    let kubectl = async |arguments: &[&str]| {
        let path =
            env::join_paths(iter::once(bin.clone()).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())));
        let mut command = Command::new(bin.join("kubectl"));
        command.args(arguments).env("KUBECONFIG", lab.kubeconfig()).env("PATH", path.context(told)?);
        let output = command.output().await.context(|| format!("kubectl {arguments:?}"))?;
        Ok::<_, Error>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let table = kubectl(&["kanary", "get", "-n", scene.namespace()]).await?;
    assert!(table.contains(TRIAL), "{table}");
    let names = kubectl(&["__complete", "kanary", "approve", "-n", scene.namespace(), "tr"]).await?;
    assert!(names.lines().any(|line| line == TRIAL), "{names}");
    Ok(())
}

/// As the clouds' kubeconfigs have it: a program gives the token.
async fn a_credential_plugin_is_asked(scene: Scene) -> Result<(), Error> {
    validating(&scene, json!({})).await?;
    let lab = scene.lab()?;
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
    let said = call(&scene, &["get", "--kubeconfig", &file.display().to_string()]).await?;
    assert!(said.out.contains(TRIAL), "{}{}", said.out, said.err);
    Ok(())
}

async fn colours_are_for_terminals(scene: Scene) -> Result<(), Error> {
    validating(&scene, json!({})).await?;
    good(&scene, &["reject", TRIAL]).await?;
    scene.kd_phase(TRIAL, "Failed").await?;
    assert!(!good(&scene, &["get"]).await?.contains('\u{1b}'), "a pipe gets none");
    let kubeconfig = scene.lab()?.kubeconfig();
    for (no_color, coloured) in [(None, true), (Some(("NO_COLOR", Path::new("1"))), false)] {
        let variables: Vec<_> = iter::once(("KUBECONFIG", kubeconfig.as_path())).chain(no_color).collect();
        for verb in ["get", "watch"] {
            let arguments = [verb, TRIAL, "-n", scene.namespace()];
            let mut terminal = Terminal::start(&program(&scene)?, &arguments, &variables, (24, 160))?;
            terminal.until("the run", |screen| screen.contains("Failed")).await?;
            assert_eq!(terminal.is_coloured(), coloured, "{verb} with {no_color:?}");
            terminal.press("q")?;
            terminal.ends().await?;
        }
    }
    Ok(())
}

/// What the promotion wrote of the base, by the API server's own books, is what `gitops-ignore` names, and no more.
async fn what_is_ignored_is_what_is_written(scene: Scene) -> Result<(), Error> {
    let template = json!({"template": {
        "metadata": {"labels": {"example.org/team": "shop"}, "annotations": {"note": "hello"}},
        "spec": {"replicas": 3, "minReadySeconds": 1},
    }});
    production(&scene).await?;
    scene.apply(trial(template)).await?;
    scene.kd_phase(TRIAL, "Validating").await?;
    let rules = good(&scene, &["gitops-ignore", TRIAL, "--for", "argocd"]).await?;
    let rules: Value = scene_yaml(&rules)?;
    good(&scene, &["approve", TRIAL]).await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    let web = json_of::<Deployment>(&scene, "web").await?;
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
        // The API server's books leave out what was so before.
        let is_so = web.pointer(pointer).is_some();
        assert!(is_so, "{pointer} is ignored, but not there");
    }
    assert_eq!(rules["ignoreDifferences"][0]["name"], "web");
    assert_eq!(rules["syncPolicy"]["syncOptions"], json!(["RespectIgnoreDifferences=true"]));
    Ok(())
}

fn scene_yaml(text: &str) -> Result<Value, Error> {
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

async fn what_goes_wrong_is_said(scene: Scene) -> Result<(), Error> {
    refused(&scene, &["get", "nobody"], "\"nobody\" not found").await?;
    refused(&scene, &["describe", "nobody"], "not found").await?;
    refused(&scene, &["watch", "nobody"], "not found").await?;
    refused(&scene, &["generate", "nobody"], "deployments.apps \"nobody\" not found").await?;
    refused(&scene, &["get", "--context", "nowhere"], "nowhere").await?;
    refused(&scene, &["get", "--kubeconfig", "/no/such/file"], "/no/such/file").await?;
    let empty = call(&scene, &["get"]).await?;
    assert_eq!((empty.code, empty.out.as_str()), (Some(0), ""));
    assert!(empty.err.contains("No KanaryDeployments found in namespace"), "{}", empty.err);
    let typo = call(&scene, &["aprove", "x"]).await?;
    assert_eq!(typo.code, Some(2));
    assert!(typo.err.contains("'approve'"), "{}", typo.err);
    Ok(())
}
