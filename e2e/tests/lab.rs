//! The lab itself: what the tests of Kanary rely on.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod},
    discovery::v1::EndpointSlice,
};
use kanary_e2e::{Error, Setup, TestNamespace, cases, harness, test_namespace::PLAY, wait::Objects};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let cases = cases![
        deployment_becomes_available: lab_only,
        plays_show: lab_only,
        a_pod_can_become_unready_and_recover: lab_only,
        audit_counts_the_requests_of_a_service_account: lab_only,
        an_unmet_expectation_is_reported,
        nothing_survives_a_kill: lab_only,
    ];
    harness::main(Setup::bare(), cases)
}

fn deployment(name: &str, play: Option<&str>) -> Value {
    let annotations = play.map(|play| json!({PLAY: play}));
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}, "annotations": annotations},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        }},
    })
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    })
}

fn available(deployment: &Deployment) -> bool {
    deployment.status.as_ref().and_then(|status| status.available_replicas) == Some(2)
}

fn ready_addresses(slices: &Objects<EndpointSlice>) -> BTreeSet<String> {
    let endpoints = slices.values().flat_map(|slice| &slice.endpoints);
    let ready = endpoints.filter(|endpoint| endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(true));
    ready.flat_map(|endpoint| endpoint.addresses.clone()).collect()
}

async fn until_endpoints(ns: &TestNamespace, service: &str, count: usize) -> Result<BTreeSet<String>, Error> {
    let labels = format!("kubernetes.io/service-name={service}");
    let awaited = format!("{count} ready endpoints");
    let slices = ns.until_all(&labels, &awaited, |slices| ready_addresses(slices).len() == count).await?;
    Ok(ready_addresses(&slices))
}

fn waiting(pod: &Pod) -> Option<&str> {
    let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    container.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

fn ready(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    Some(&conditions.iter().find(|condition| condition.type_ == "Ready")?.status)
}

async fn deployment_becomes_available(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(deployment("web", None)).await?;
    ns.apply(service("web")).await?;
    ns.until("web", "2 replicas are available", available).await?;
    let endpoints = until_endpoints(&ns, "web", 2).await?;
    let pods: Vec<Pod> = ns.list("app=web").await?;
    let addresses: BTreeSet<String> = pods.into_iter().filter_map(|pod| pod.status?.pod_ip).collect();
    assert_eq!(endpoints, addresses);
    assert!(addresses.iter().all(|address| address.starts_with("10.244.")), "{addresses:?}");

    ns.delete::<Deployment>("web").await?;
    ns.until_all::<Pod>("app=web", "no pod is left", Objects::is_empty).await?;
    Ok(())
}

async fn plays_show(ns: TestNamespace) -> Result<(), Error> {
    for play in ["never-ready", "crash-loop", "image-pull", "slow"] {
        ns.apply(deployment(play, Some(play))).await?;
    }
    let both = |pods: &Objects<Pod>, met: fn(&Pod) -> bool| pods.len() == 2 && pods.values().all(met);
    let until = async |play: &str, awaited: &str, met: fn(&Pod) -> bool| {
        ns.until_all(&format!("app={play}"), awaited, |pods| both(pods, met)).await
    };
    let broken = until("crash-loop", "CrashLoopBackOff", |pod| waiting(pod) == Some("CrashLoopBackOff")).await?;
    until("image-pull", "ImagePullBackOff", |pod| waiting(pod) == Some("ImagePullBackOff")).await?;
    until("never-ready", "runs unready", |pod| ready(pod) == Some("False") && waiting(pod).is_none()).await?;
    until("slow", "is ready at last", |pod| ready(pod) == Some("True")).await?;

    let well = broken.keys().next().cloned().unwrap_or_default();
    ns.play(&well, None).await?;
    ns.until::<Pod>(&well, "recovers", |pod| ready(pod) == Some("True")).await.map(drop)
}

async fn a_pod_can_become_unready_and_recover(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(deployment("web", None)).await?;
    ns.apply(service("web")).await?;
    let before = until_endpoints(&ns, "web", 2).await?;
    let pods: Vec<Pod> = ns.list("app=web").await?;
    let pod = pods[0].name_any();
    ns.play(&pod, Some("never-ready")).await?;
    let fewer = until_endpoints(&ns, "web", 1).await?;
    ns.play(&pod, None).await?;
    assert_eq!(until_endpoints(&ns, "web", 2).await?, before);
    assert!(fewer.is_subset(&before));
    Ok(())
}

async fn audit_counts_the_requests_of_a_service_account(ns: TestNamespace) -> Result<(), Error> {
    let account = json!([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kanary-system"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "curious", "namespace": "kanary-system"}},
    ]);
    for object in account.as_array().into_iter().flatten() {
        ns.apply(object.clone()).await?;
    }
    let lab = ns.lab()?;
    let curious = lab.client_of("curious").await?;
    let mark = lab.audit().mark();
    let theirs: Api<ConfigMap> = Api::namespaced(curious, ns.name());
    let refused = theirs.get("secretive").await;
    assert!(refused.is_err(), "RBAC is on: a ServiceAccount without a role has no permission");

    let calls = lab.audit().since(mark, ":curious")?;
    let [call] = calls.as_slice() else { return Err(Error::wrong(format!("expected one call, got {calls:?}"))) };
    assert_eq!((call.verb.as_str(), call.resource.as_str(), call.code), ("get", "configmaps", 403));
    assert_eq!((call.namespace.as_str(), call.name.as_str()), (ns.name(), "secretive"));
    assert!(lab.audit().since(lab.audit().mark(), "")?.is_empty());
    Ok(())
}

async fn an_unmet_expectation_is_reported(ns: TestNamespace) -> Result<(), Error> {
    ns.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}}").await?;
    let patient = ns.patience(Duration::from_millis(300));
    let unmet = patient.until::<ConfigMap>("one", "a is c", |one| one.data.iter().flatten().any(|(_, v)| v == "c"));
    let message = unmet.await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(message.contains("ConfigMap") && message.contains("a is c") && message.contains("a: b"), "{message}");
    Ok(())
}

/// A second lab, inside the first: its only parent is the process that is killed.
async fn nothing_survives_a_kill(_: TestNamespace) -> Result<(), Error> {
    tokio::task::spawn_blocking(kill_a_lab).await.map_err(|error| Error::wrong(error.to_string()))?
}

fn kill_a_lab() -> Result<(), Error> {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    let mut lab = lab.args(["up", "--bare"]).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(lab.stdout.take().ok_or_else(|| Error::wrong("no output"))?).lines();
    let up = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("Logs are in")));
    let descendants = descendants(lab.id());
    lab.kill()?;
    lab.wait()?;
    assert!(up.is_some(), "the lab came up");
    assert!(descendants.len() >= 7, "unshare, the inner process and five programs: {descendants:?}");
    let begun = Instant::now();
    while descendants.iter().any(|pid| lives(*pid)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "processes survive");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The children of a process, their children, and so on.
fn descendants(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    let below = children.iter().flat_map(|child| descendants(*child));
    below.chain(children.clone()).collect()
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name: Z is a process that has exited and was not yet waited for.
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with('Z'))
}
