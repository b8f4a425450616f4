//! How the controller starts, and who of several leads: what is missing is said once, in words that help, and waited for.

mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kanary_e2e::controller::Controller;
use kanary_e2e::{Context, Error, Scene, Setup, cases, harness, manifests};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_deleted};
use kube::{Api, ResourceExt};
use support::*;
use tokio::process::Command;

/// For a line in a log, which nothing can watch.
const PATIENCE: Duration = Duration::from_secs(60);
const CRD: &str = "kanarydeployments.kanary.k8s.io";

fn main() -> ExitCode {
    let cases = cases![
        without_a_cluster_it_says_so_and_ends: lab_only,
        an_api_server_that_cannot_be_reached_is_said_once_and_waited_for: lab_only,
        what_is_not_installed_is_said_once_and_waited_for: lab_only,
        only_one_leads_and_another_takes_over: lab_only,
        its_account_may_not_read_secrets: lab_only,
    ];
    harness::main(Setup::installed(), cases)
}

async fn without_a_cluster_it_says_so_and_ends(scene: Scene) -> Result<(), Error> {
    let kanary = scene.lab()?.kit().kanary.clone().ok_or_else(|| Error::wrong("no controller was built"))?;
    let done =
        Command::new(kanary).args(["run", "--address=127.0.0.1:0"]).env_clear().env("HOME", "/nonexistent").output();
    let done = done.await.context(|| "run kanary".into())?;
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    let words: Vec<&str> = said.lines().filter(|line| line.starts_with("kanary: ")).collect();
    assert!(matches!(words[..], [line] if line.contains("no cluster") && line.contains("KUBECONFIG")), "{said}");
    Ok(())
}

async fn an_api_server_that_cannot_be_reached_is_said_once_and_waited_for(scene: Scene) -> Result<(), Error> {
    let mut controller = scene.lab()?.controller_at("http://127.0.0.1:1", &alone(&scene, "lost")).await?;
    until_said_once(&mut controller, "cannot reach the API server").await?;
    assert_eq!(controller.get("/healthz").await?.0, 200, "it lives");
    assert_eq!(controller.get("/readyz").await?.0, 503, "and is not ready");
    controller.stop().await
}

/// One after the other, for they change what all controllers see.
async fn what_is_not_installed_is_said_once_and_waited_for(scene: Scene) -> Result<(), Error> {
    may_lead(&scene).await?;
    without_a_permission(&scene).await?;
    without_the_crd(&scene).await
}

async fn without_a_permission(scene: &Scene) -> Result<(), Error> {
    let roles: Api<ClusterRole> = Api::all(scene.client());
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
    let mut controller = scene.lab()?.start_controller(&alone(scene, "poor")).await?;
    until_said_once(&mut controller, "may not access services; compare its roles with deploy/rbac.yaml").await?;
    let mut restored = roles.get("kanary").await.context(|| "get the role".into())?;
    restored.rules = shipped.rules;
    replace(&roles, &restored).await?;
    controller.ready().await?;
    controller.stop().await
}

async fn replace(roles: &Api<ClusterRole>, role: &ClusterRole) -> Result<(), Error> {
    roles.replace(&role.name_any(), &PostParams::default(), role).await.context(|| "replace the role".into()).map(drop)
}

async fn without_the_crd(scene: &Scene) -> Result<(), Error> {
    let crds: Api<CustomResourceDefinition> = Api::all(scene.client());
    let crd = crds.delete(CRD, &DeleteParams::default()).await.context(|| "delete the CRD".into())?;
    if let Some(uid) = crd.left().and_then(|crd| crd.metadata.uid) {
        await_condition(crds, CRD, is_deleted(&uid)).await.context(|| "wait for the CRD to go".into())?;
    }
    let mut controller = scene.lab()?.start_controller(&alone(scene, "early")).await?;
    until_said_once(&mut controller, "is not installed; run kubectl apply -k deploy").await?;
    scene.lab()?.apply_file(&manifests::repository().join("crds/kanarydeployments.yaml")).await?;
    controller.ready().await?;
    controller.stop().await
}

async fn only_one_leads_and_another_takes_over(scene: Scene) -> Result<(), Error> {
    may_lead(&scene).await?;
    let lab = scene.lab()?;
    let first = lab.controller(&alone(&scene, "first")).await?;
    until_leads(&scene, "first").await?;
    let second = lab.controller(&alone(&scene, "second")).await?;
    let third = lab.controller(&alone(&scene, "third")).await?;
    // Told to stop, a leader hands over; dead, it is missed once its lease is out.
    first.stop().await?;
    let heir = until_any_leads(&scene, &["second", "third"]).await?;
    let (leader, follower) = if heir == "second" { (second, ("third", third)) } else { (third, ("second", second)) };
    leader.kill().await?;
    until_leads(&scene, follower.0).await?;
    follower.1.stop().await
}

async fn its_account_may_not_read_secrets(scene: Scene) -> Result<(), Error> {
    let secrets: Api<Secret> = Api::all(scene.lab()?.client_of("kanary").await?);
    let answer = secrets.list(&ListParams::default()).await;
    assert!(matches!(&answer, Err(kube::Error::Api(status)) if status.code == 403), "{answer:?}");
    let roles: Api<ClusterRole> = Api::all(scene.client());
    let role = roles.get("kanary").await.context(|| "get the shipped role".into())?;
    let words = role.rules.into_iter().flatten().flat_map(|rule| {
        [rule.verbs, rule.resources.unwrap_or_default(), rule.api_groups.unwrap_or_default()].concat()
    });
    assert!(!words.into_iter().any(|word| word == "*" || word == "secrets"));
    Ok(())
}

async fn until_leads(scene: &Scene, name: &str) -> Result<(), Error> {
    until_any_leads(scene, &[name]).await.map(drop)
}

async fn until_any_leads(scene: &Scene, names: &[&str]) -> Result<String, Error> {
    let holder = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
    let lease = scene.until::<Lease>("kanary", "it leads", |lease| names.contains(&holder(lease).as_str())).await?;
    Ok(holder(&lease))
}

/// Waits for a line of the log, and sees that the trouble is not said again by each of the watches that meet it.
async fn until_said_once(controller: &mut Controller, words: &str) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        if let Some(error) = controller.ended() {
            return Err(error);
        }
        let log = std::fs::read_to_string(controller.log()).context(|| "read the log".into())?;
        let lines = log.lines().filter(|line| line.contains(words)).count();
        assert!(lines <= 1, "said {lines} times:\n{log}");
        // Every watch has met it by the time the first has come round again.
        if lines == 1 && begun.elapsed() > Duration::from_secs(3) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::wrong(format!("it does not say {words:?}; its log:\n{log}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
