//! Mistakes are rejected: at admission if they show without cluster state, otherwise in a condition. Either way the
//! message names the field and the fix, and no canary pod is created.

mod refused;

use std::process::ExitCode;

use http::Request;
use k8s_openapi::api::core::v1::ResourceQuota;
use kanary::api::KanaryDeployment;
use kanary_e2e::{Error, Setup, TestNamespace, cases, harness, harness::Case, manifests};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    core::params::ValidationDirective,
};
use refused::{CLUSTER, Cure, ODD, SCHEMA, Trouble, Wrong};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let troubles = CLUSTER.iter().map(|trouble| Case::new(trouble.name, move |ns| meets(ns, trouble)).lab_only());
    let rest = cases![
        the_schema_refuses_what_is_wrong,
        what_is_accepted_can_be_read,
        the_original_basic_example_is_refused_as_written,
        base_and_selector_are_immutable_while_the_canary_runs,
    ];
    harness::main(Setup::controller(&[]), rest.into_iter().chain(troubles).collect())
}

/// A KanaryDeployment without a mistake.
fn good() -> Value {
    json!({
        "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": {"name": "try"},
        "spec": {
            "deploymentName": "web",
            "template": {"spec": {"template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:2"}]},
            }}},
        },
    })
}

const BASE: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1'}]}
";

/// RFC 7386, as far as it applies to YAML: `null` removes a field.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return into.clone_from(patch) };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        match (value, into.as_object_mut()) {
            (Value::Null, Some(into)) => drop(into.remove(key)),
            _ => merge(&mut into[key], value),
        }
    }
}

fn with(patch: &str) -> Result<Value, Error> {
    let mut kanary = good();
    for patch in manifests::parse(&expanded(patch))? {
        merge(&mut kanary, &patch);
    }
    Ok(kanary)
}

/// `x*57` stands for that many letters, for readability.
fn expanded(text: &str) -> String {
    let count = |word: &str| word.strip_prefix("x*")?.parse::<usize>().ok();
    text.split(' ')
        .map(|word| count(word).map_or(word.to_owned(), |count| "x".repeat(count)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Sends it as kubectl does, in a dry run. `None`: it is accepted.
async fn refusal(ns: &TestNamespace, kanary: &Value) -> Result<Option<String>, Error> {
    refused_with(send(ns, kanary).await?)
}

async fn send(ns: &TestNamespace, kanary: &Value) -> Result<Result<Value, kube::Error>, Error> {
    let uri = format!(
        "/apis/kanary.k8s.io/v1alpha1/namespaces/{}/kanarydeployments?dryRun=All&fieldValidation=Strict",
        ns.name()
    );
    let request = Request::post(uri).header("Content-Type", "application/json").body(serde_json::to_vec(kanary)?);
    let request = request.map_err(|error| Error::wrong(error.to_string()))?;
    Ok(ns.client().request(request).await)
}

fn refused_with<T>(answer: Result<T, kube::Error>) -> Result<Option<String>, Error> {
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Ok(Some(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// All mistakes are tried, so that one run reports all.
async fn the_schema_refuses_what_is_wrong(ns: TestNamespace) -> Result<(), Error> {
    let mut findings = Vec::new();
    for Wrong { name, wrong, says, right } in SCHEMA {
        match refusal(&ns, &with(wrong)?).await? {
            None => findings.push(format!("{name}: is accepted")),
            Some(error) if !says.iter().all(|words| error.contains(words)) => {
                findings.push(format!("{name}: is rejected, but not with {says:?}: {error}"));
            }
            Some(_) => {}
        }
        if let Some(error) = refusal(&ns, &with(right)?).await? {
            findings.push(format!("{name}: its valid neighbour is rejected: {error}"));
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(Error::wrong(findings.join("\n"))) }
}

/// A resource that the controller cannot decode is not reconciled, and its owner would not learn of it.
async fn what_is_accepted_can_be_read(ns: TestNamespace) -> Result<(), Error> {
    let mut findings = Vec::new();
    for patch in SCHEMA.iter().map(|wrong| wrong.right).chain(ODD.iter().copied()) {
        let Ok(kanary) = send(&ns, &with(patch)?).await? else { continue };
        if let Err(error) = serde_json::from_value::<KanaryDeployment>(kanary) {
            findings.push(format!("{patch}: {error}"));
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(Error::wrong(findings.join("\n"))) }
}

/// Its `items` are beside `validation`, not in it: pruned silently, they would leave a canary that nothing evaluates.
async fn the_original_basic_example_is_refused_as_written(ns: TestNamespace) -> Result<(), Error> {
    let mut original = with(
        "metadata: {name: nginx, labels: {app: nginx}}
spec:
  serviceName: nginx
  deploymentName: nginx
  scale: {static: {replicas: 1}}
  traffic: {source: both}",
    )?;
    let items = json!([{"manual": {"statusAfterDeadline": "none"}}]);
    original["spec"]["validation"] = Value::Null;
    original["spec"]["items"] = items.clone();
    let error = refusal(&ns, &original).await?.unwrap_or_default();
    assert!(error.contains(r#"unknown field "spec.items""#), "{error}");

    merge(&mut original, &json!({"spec": {"items": null, "validation": {"items": items}}}));
    assert_eq!(refusal(&ns, &original).await?, None);
    Ok(())
}

async fn base_and_selector_are_immutable_while_the_canary_runs(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(BASE).await?;
    ns.apply(with("spec: {template: {spec: {selector: {matchLabels: {app: web}}}}}")?).await?;
    ns.until_phase("try", "Validating").await?;
    let edits = [
        ("spec.deploymentName: the base cannot change during a run", json!({"deploymentName": "other"})),
        ("spec.deploymentName: the base cannot change during a run", json!({"deploymentName": null})),
        (
            "spec.deploymentName: the base cannot change during a run",
            json!({"deploymentName": null, "template": {"metadata": {"name": "other"}}}),
        ),
        (
            "spec.template.spec.selector: cannot change during a run",
            json!({"template": {"spec": {"selector": {"matchLabels": {"app": "other"}}}}}),
        ),
        ("spec.template.spec.selector: cannot change during a run", json!({"template": {"spec": {"selector": null}}})),
    ];
    for (words, edit) in &edits {
        let error = edited(&ns, edit).await?.unwrap_or_default();
        assert!(error.contains(words) && error.contains("wait until the run has ended, or delete"), "{edit}: {error}");
    }
    // Naming the same base in another way, and another template with the same selector, are allowed.
    for edit in [
        json!({"deploymentName": null, "template": {"metadata": {"name": "web"}}}),
        json!({"template": {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:3"}]}}}}}),
    ] {
        assert_eq!(edited(&ns, &edit).await?, None, "{edit}");
    }

    ns.patch_kanary("try", json!({"spec": {"validation": {"manual": {"status": "invalid"}}}})).await?;
    ns.until_phase("try", "Failed").await?;
    for (_, edit) in &edits {
        assert_eq!(edited(&ns, edit).await?, None, "after the end: {edit}");
    }
    Ok(())
}

/// The API server's response to a change of the spec, in a dry run.
async fn edited(ns: &TestNamespace, spec: &Value) -> Result<Option<String>, Error> {
    let strictly =
        PatchParams { dry_run: true, field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    refused_with(ns.kanaries().patch("try", &strictly, &Patch::Merge(json!({"spec": spec}))).await)
}

/// The condition reports what is wrong, nothing runs, and the fix that it names works.
async fn meets(ns: TestNamespace, trouble: &'static Trouble) -> Result<(), Error> {
    let mark = ns.lab()?.audit().mark();
    if !trouble.setting.contains("kind: Deployment\nmetadata: {name: web}") {
        ns.apply(BASE).await?;
    }
    ns.apply(trouble.setting).await?;
    // Until it is counted, a quota may let a pod pass.
    for quota in ns.list::<ResourceQuota>("").await? {
        let counted = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.hard.is_some());
        ns.until(&quota.name_any(), "is counted", counted).await?;
    }
    ns.apply(with(trouble.kanary)?).await?;
    let awaited = format!("{} is {}, with {:?}", trouble.condition, trouble.reason, trouble.says);
    let reported = |kanary: &Value| {
        let mut conditions = kanary["status"]["conditions"].as_array().into_iter().flatten();
        let condition = conditions.find(|c| c["type"] == trouble.condition && c["reason"] == trouble.reason);
        let message = condition.map(|c| c["message"].as_str().unwrap_or_default().to_owned());
        message.is_some_and(|message| trouble.says.iter().all(|words| message.contains(words)))
    };
    let kanary = ns.until_kanary("try", &awaited, reported).await?;
    assert_eq!(kanary["status"]["phase"], "Starting", "nothing is evaluated");
    let message = kanary["status"]["message"].as_str().unwrap_or_default();
    assert!(trouble.says.iter().all(|words| message.contains(words)), "kubectl get -o wide shows {message}");
    assert!(message.len() < 400, "too long for a message: {message}");
    nothing_was_made(&ns, mark, trouble).await?;
    match &trouble.cure {
        Cure::None => return Ok(()),
        Cure::Kanary(patch) => {
            let patch = manifests::parse(patch)?.into_iter().next().unwrap_or_default();
            ns.patch_kanary("try", patch).await?;
        }
        Cure::Object(patch) => {
            for object in manifests::parse(&patch.replace("NAMESPACE", ns.name()))? {
                let (api, name) = manifests::locate(&ns.client(), &object, ns.name()).await?;
                api.patch(&name, &PatchParams::default(), &Patch::Merge(&object)).await?;
            }
        }
        Cure::Create(object) => drop(ns.apply(*object).await?),
        Cure::Delete(object) => {
            for object in manifests::parse(object)? {
                let (api, name) = manifests::locate(&ns.client(), &object, ns.name()).await?;
                api.delete(&name, &Default::default()).await?;
            }
        }
    }
    let kanary = ns.until_phase("try", "Validating").await?;
    let mut conditions = kanary["status"]["conditions"].as_array().into_iter().flatten();
    assert!(!conditions.any(|c| c["type"] == "Stalled" && c["status"] == "True"), "the trouble is over: {kanary}");
    Ok(())
}

async fn nothing_was_made(ns: &TestNamespace, mark: kanary_e2e::audit::Mark, trouble: &Trouble) -> Result<(), Error> {
    use k8s_openapi::api::core::v1::Pod;
    let pods: Vec<Pod> = ns.list("kanary.k8s.io/canary=try").await?;
    assert!(pods.is_empty(), "no canary pod: {pods:?}");
    let calls = ns.lab()?.audit().since(mark, ":kanary")?;
    let made = calls.iter().filter(|call| {
        call.namespace == ns.name() && call.verb == "create" && call.code == 201 && call.resource != "events"
    });
    let made: Vec<&str> = made.map(|call| call.resource.as_str()).collect();
    assert_eq!(made, trouble.makes, "what was made before the refusal");
    Ok(())
}
