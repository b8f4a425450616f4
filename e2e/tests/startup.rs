//! How the controller starts, and which of several leads: what is missing is reported once, with the fix, and waited
//! for.

mod support;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Secret, rbac::v1::ClusterRole},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kanary_e2e::{Context, Error, Setup, TestNamespace, cases, controller::Controller, harness, manifests};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::wait::{await_condition, conditions::is_deleted},
};
use support::*;
use tokio::process::Command;

/// For a line in a log, which has to be polled.
const PATIENCE: Duration = Duration::from_secs(60);
const CRD: &str = "kanarydeployments.kanary.k8s.io";

fn main() -> ExitCode {
    let cases = cases![
        without_a_cluster_it_reports_that_and_exits: lab_only,
        an_unreachable_api_server_is_reported_once_and_waited_for: lab_only,
        what_is_not_installed_is_reported_once_and_waited_for: lab_only,
        only_one_leads_and_another_takes_over: lab_only,
        its_account_may_not_read_secrets: lab_only,
    ];
    harness::main(Setup::installed(), cases)
}

async fn without_a_cluster_it_reports_that_and_exits(ns: TestNamespace) -> Result<(), Error> {
    let kanary = ns.lab()?.artifacts().kanary.clone().ok_or_else(|| Error::wrong("no controller was built"))?;
    let done =
        Command::new(kanary).args(["run", "--address=127.0.0.1:0"]).env_clear().env("HOME", "/nonexistent").output();
    let done = done.await.context(|| "run kanary".into())?;
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    let words: Vec<&str> = stderr.lines().filter(|line| line.starts_with("kanary: ")).collect();
    assert!(matches!(words[..], [line] if line.contains("no cluster") && line.contains("KUBECONFIG")), "{stderr}");
    Ok(())
}

async fn an_unreachable_api_server_is_reported_once_and_waited_for(ns: TestNamespace) -> Result<(), Error> {
    let mut controller = ns.lab()?.controller_at("http://127.0.0.1:1", &alone(&ns, "lost")).await?;
    until_logged_once(&mut controller, "cannot reach the API server").await?;
    assert_eq!(controller.get("/healthz").await?.0, 200, "it is alive");
    assert_eq!(controller.get("/readyz").await?.0, 503, "but not ready");
    controller.stop().await
}

/// One after the other, because they affect all controllers.
async fn what_is_not_installed_is_reported_once_and_waited_for(ns: TestNamespace) -> Result<(), Error> {
    may_lead(&ns).await?;
    without_a_permission(&ns).await?;
    without_the_crd(&ns).await
}

async fn without_a_permission(ns: &TestNamespace) -> Result<(), Error> {
    let roles: Api<ClusterRole> = Api::all(ns.client());
    let shipped = roles.get("kanary").await.context(|| "get the shipped role".into())?;
    let mut poorer = shipped.clone();
    for rule in poorer.rules.iter_mut().flatten() {
        rule.resources.iter_mut().flatten().for_each(|resource| {
            if resource == "services" {
                *resource = "none".into();
            }
        });
    }
    replace(&roles, &poorer).await?;
    let mut controller = ns.lab()?.start_controller(&alone(ns, "poor")).await?;
    until_logged_once(&mut controller, "may not access services; compare its roles with deploy/rbac.yaml").await?;
    let mut restored = roles.get("kanary").await.context(|| "get the role".into())?;
    restored.rules = shipped.rules;
    replace(&roles, &restored).await?;
    controller.ready().await?;
    controller.stop().await
}

async fn replace(roles: &Api<ClusterRole>, role: &ClusterRole) -> Result<(), Error> {
    roles.replace(&role.name_any(), &PostParams::default(), role).await.context(|| "replace the role".into()).map(drop)
}

async fn without_the_crd(ns: &TestNamespace) -> Result<(), Error> {
    let crds: Api<CustomResourceDefinition> = Api::all(ns.client());
    let crd = crds.delete(CRD, &DeleteParams::default()).await.context(|| "delete the CRD".into())?;
    if let Some(uid) = crd.left().and_then(|crd| crd.metadata.uid) {
        await_condition(crds, CRD, is_deleted(&uid)).await.context(|| "wait for the CRD to go".into())?;
    }
    let mut controller = ns.lab()?.start_controller(&alone(ns, "early")).await?;
    until_logged_once(&mut controller, "is not installed; run kubectl apply -k deploy").await?;
    ns.lab()?.apply_file(&manifests::repository().join("crds/kanarydeployments.yaml")).await?;
    controller.ready().await?;
    controller.stop().await
}

async fn only_one_leads_and_another_takes_over(ns: TestNamespace) -> Result<(), Error> {
    may_lead(&ns).await?;
    let lab = ns.lab()?;
    let first = lab.controller(&alone(&ns, "first")).await?;
    until_leads(&ns, "first").await?;
    let second = lab.controller(&alone(&ns, "second")).await?;
    let third = lab.controller(&alone(&ns, "third")).await?;
    // A leader that is stopped releases its Lease; one that is killed is replaced when its Lease expires.
    first.stop().await?;
    let heir = until_any_leads(&ns, &["second", "third"]).await?;
    let (leader, follower) = if heir == "second" { (second, ("third", third)) } else { (third, ("second", second)) };
    leader.kill().await?;
    until_leads(&ns, follower.0).await?;
    follower.1.stop().await
}

async fn its_account_may_not_read_secrets(ns: TestNamespace) -> Result<(), Error> {
    let secrets: Api<Secret> = Api::all(ns.lab()?.client_of("kanary").await?);
    let answer = secrets.list(&ListParams::default()).await;
    assert!(matches!(&answer, Err(kube::Error::Api(status)) if status.code == 403), "{answer:?}");
    let roles: Api<ClusterRole> = Api::all(ns.client());
    let role = roles.get("kanary").await.context(|| "get the shipped role".into())?;
    let words = role.rules.into_iter().flatten().flat_map(|rule| {
        [rule.verbs, rule.resources.unwrap_or_default(), rule.api_groups.unwrap_or_default()].concat()
    });
    assert!(!words.into_iter().any(|word| word == "*" || word == "secrets"));
    Ok(())
}

async fn until_leads(ns: &TestNamespace, name: &str) -> Result<(), Error> {
    until_any_leads(ns, &[name]).await.map(drop)
}

async fn until_any_leads(ns: &TestNamespace, names: &[&str]) -> Result<String, Error> {
    let holder = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
    let lease = ns.until::<Lease>("kanary", "it leads", |lease| names.contains(&holder(lease).as_str())).await?;
    Ok(holder(&lease))
}

/// Waits for a line of the log, and checks that not every watch that has the problem logs it again.
async fn until_logged_once(controller: &mut Controller, words: &str) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        if let Some(error) = controller.ended() {
            return Err(error);
        }
        let log = std::fs::read_to_string(controller.log()).context(|| "read the log".into())?;
        let lines = log.lines().filter(|line| line.contains(words)).count();
        assert!(lines <= 1, "logged {lines} times:\n{log}");
        // By the time the first watch retries, every watch has had the problem.
        if lines == 1 && begun.elapsed() > Duration::from_secs(3) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::wrong(format!("waited {} s for {words:?} in the log:\n{log}", PATIENCE.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
