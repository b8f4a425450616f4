//! The controller dies, at random moments and right after each of its writes, and comes back under the same name.
//!
//! Whatever happens: the base is written once and only with a proven template, nothing is left behind, and what the
//! user made is as the user left it.

mod support;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use kanary_e2e::{Error, Setup, TestNamespace, cases, cut_proxy::CutProxy, dynamic, harness};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::*;
use tokio::sync::Mutex;

/// The minimum number of canaries that the controller that dies at random must bring to an end.
const LIVES: usize = 50;
/// How many at the same time.
const AT_ONCE: usize = 10;
/// How often it dies before it is left alone: a fast machine runs more canaries in that time, and a slow one ends too.
const DEATHS: usize = 25;
/// Generous, because a canary has to wait until its controller is back.
const PATIENCE: Duration = Duration::from_secs(400);

fn main() -> ExitCode {
    let cases = cases![
        fifty_lives_of_a_controller_that_dies_at_random: lab_only,
        a_promotion_that_is_cut_after_each_write: lab_only,
        a_failure_that_is_cut_after_each_write: lab_only,
        a_mirror_that_is_cut_after_each_write: lab_only,
        a_controller_that_dies_makes_up_for_the_time: lab_only,
    ];
    harness::main(Setup::installed().with_mesh().with_prometheus(), cases)
}

/// How a canary's life goes, whatever happens to the controller.
#[derive(Clone, Copy, Debug)]
enum Scenario {
    /// Nothing is wrong with the canary.
    Promoted(&'static str),
    /// A canary pod gets an invalidation label.
    Invalid,
    /// A user deploys a hotfix to the base.
    Hotfix,
    /// The KanaryDeployment is deleted before its end.
    Deleted,
    /// Copies reach it through a user's route; then it is deleted.
    Mirrored,
}

const STORIES: [Scenario; 6] = [
    Scenario::Promoted("kanary-service"),
    Scenario::Promoted("both"),
    Scenario::Invalid,
    Scenario::Hotfix,
    Scenario::Deleted,
    Scenario::Mirrored,
];

async fn fifty_lives_of_a_controller_that_dies_at_random(ns: TestNamespace) -> Result<(), Error> {
    let ns = ns.patience(PATIENCE);
    let seed =
        std::env::var("KANARY_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("replay the deaths with KANARY_E2E_SEED={seed}");
    may_lead(&ns).await?;
    let deaths = AtomicUsize::new(0);
    let lives = async {
        let goes_on = |nth: &usize| *nth < LIVES || deaths.load(Ordering::Relaxed) < DEATHS;
        let lives = (0..).take_while(goes_on).map(|nth| live(&ns, format!("{nth}"), STORIES[nth % STORIES.len()]));
        stream::iter(lives).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await
    };
    tokio::try_join!(lives, die_at_random(&ns, seed, &deaths))?;
    assert_nothing_is_left(&ns).await
}

/// Starts the controller again and again, and lets it run for a random time; the last one keeps running.
async fn die_at_random(ns: &TestNamespace, seed: u64, deaths: &AtomicUsize) -> Result<(), Error> {
    let mut random = fastrand::Rng::with_seed(seed);
    while deaths.load(Ordering::Relaxed) < DEATHS {
        let controller = ns.lab()?.start_controller(&alone(ns, "phoenix")).await?;
        tokio::time::sleep(Duration::from_millis(random.u64(100..4000))).await;
        controller.kill().await?;
        deaths.fetch_add(1, Ordering::Relaxed);
    }
    ns.lab()?.start_controller(&alone(ns, "phoenix")).await.map(drop)
}

async fn a_promotion_that_is_cut_after_each_write(ns: TestNamespace) -> Result<(), Error> {
    cut_after_each_write(ns, Scenario::Promoted("both")).await
}

async fn a_failure_that_is_cut_after_each_write(ns: TestNamespace) -> Result<(), Error> {
    cut_after_each_write(ns, Scenario::Invalid).await
}

async fn a_mirror_that_is_cut_after_each_write(ns: TestNamespace) -> Result<(), Error> {
    cut_after_each_write(ns, Scenario::Mirrored).await
}

/// One canary for each write: the write takes effect, its response is lost, the controller is killed, and another takes
/// over.
async fn cut_after_each_write(ns: TestNamespace, scenario: Scenario) -> Result<(), Error> {
    let ns = ns.patience(PATIENCE);
    may_lead(&ns).await?;
    let client = ns.lab()?.client_of("kanary").await?;
    for nth in 1.. {
        let proxy = CutProxy::start(client.clone(), nth).await?;
        let controller = ns.lab()?.controller_at(proxy.url(), &alone(&ns, "phoenix")).await?;
        let successor = Mutex::new(None);
        let rescue = async {
            proxy.until_cut().await;
            controller.kill().await?;
            *successor.lock().await = Some(ns.lab()?.start_controller(&alone(&ns, "phoenix")).await?);
            std::future::pending::<Result<(), Error>>().await
        };
        tokio::select! {
            end = live(&ns, format!("cut-{nth}"), scenario) => end?,
            error = rescue => error?,
        }
        if let Some(successor) = successor.into_inner() {
            successor.kill().await?;
        }
        if !proxy.is_cut() {
            assert!(nth > 6, "a canary takes more writes than {nth}");
            return assert_nothing_is_left(&ns).await;
        }
    }
    Ok(())
}

/// One KanaryDeployment with a base and a Service of its own, from birth to end.
async fn live(ns: &TestNamespace, id: String, scenario: Scenario) -> Result<(), Error> {
    let (web, trial) = (format!("web-{id}"), format!("trial-{id}"));
    ns.apply(service(json!({"metadata": {"name": web}, "spec": {"selector": {"app": web}}}))).await?;
    ns.apply(base(&web)).await?;
    ns.until::<Deployment>(&web, "production is available", |web| has_available(web, 1)).await?;
    let route = dynamic::virtual_service(&web);
    ns.put(user_route(&web)).await?;
    let before = ns.read(route).await?["spec"].clone();
    ns.apply(trial_of(&trial, merged(template(&web), spec(scenario)))).await?;
    match scenario {
        Scenario::Promoted(_) => drop(ns.until_phase(&trial, "Succeeded").await?),
        Scenario::Invalid => {
            ns.until_phase(&trial, "Validating").await?;
            invalidate(ns, &trial).await?;
            ns.until_phase(&trial, "Failed").await?;
        }
        Scenario::Hotfix => {
            ns.until_phase(&trial, "Validating").await?;
            ns.patch::<Deployment>(&web, image_change("web:hotfix")).await?;
            let kanary = ns.until_phase(&trial, "Failed").await?;
            assert_eq!(condition(&kanary, "Failed")["reason"], "BaseChanged");
        }
        Scenario::Deleted => {
            ns.until_phase(&trial, "Validating").await?;
            ns.delete_kanary(&trial).await?;
            ns.until_kanary_gone(&trial).await?;
        }
        Scenario::Mirrored => {
            ns.until_phase(&trial, "Validating").await?;
            assert_ne!(ns.read(route).await?["spec"], before, "it has the mirror");
            ns.delete_kanary(&trial).await?;
            ns.until_kanary_gone(&trial).await?;
        }
    }
    assert_eq!(ns.read(route).await?["spec"], before, "{scenario:?}");
    until_all_is_gone(ns, &trial).await?;
    until_serves(ns, &web, 1, 0).await?;
    assert_base(ns, &web, scenario).await
}

/// The base has the expected image, and got it in one write: each template leaves a ReplicaSet and a revision.
async fn assert_base(ns: &TestNamespace, web: &str, scenario: Scenario) -> Result<(), Error> {
    let (image, templates) = match scenario {
        Scenario::Promoted(_) => ("web:2", 2),
        Scenario::Hotfix => ("web:hotfix", 2),
        Scenario::Invalid | Scenario::Deleted | Scenario::Mirrored => ("web:1", 1),
    };
    let rolled_out = |base: &Deployment| {
        let status = base.status.clone().unwrap_or_default();
        status.observed_generation == base.metadata.generation && status.updated_replicas == Some(1)
    };
    let base: Deployment = ns.until(web, "its rollout is observed", rolled_out).await?;
    assert_eq!((image_of(&base), base.metadata.generation), (image, Some(templates)), "{scenario:?}");
    let owned =
        |set: &ReplicaSet| set.owner_references().iter().any(|owner| Some(&owner.uid) == base.metadata.uid.as_ref());
    let sets = ns.list::<ReplicaSet>("").await?.into_iter().filter(owned).count();
    assert_eq!(i64::try_from(sets).ok(), Some(templates), "{scenario:?}");
    Ok(())
}

async fn invalidate(ns: &TestNamespace, trial: &str) -> Result<(), Error> {
    let met =
        |pods: &kanary_e2e::wait::Objects<Pod>| pods.values().any(|pod| pod.metadata.deletion_timestamp.is_none());
    let pods = ns.until_all::<Pod>(&canary_labels(trial), "there is a canary pod", met).await?;
    for pod in pods.keys() {
        ns.patch::<Pod>(pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    }
    Ok(())
}

fn base(web: &str) -> Value {
    let labels = json!({"app": web});
    support::web(json!({
        "metadata": {"name": web, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
    }))
}

fn user_route(web: &str) -> Value {
    let http = json!([{"name": "all", "route": [{"destination": {"host": web}}], "mirrors": [{"destination": {"host": "audit"}}]}]);
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": web},
        "spec": {"hosts": [web], "http": http},
    })
}

fn template(web: &str) -> Value {
    json!({"deploymentName": web, "serviceName": web, "template": {"spec": {"template": {"metadata": {"labels": {"app": web}}}}}})
}

fn spec(scenario: Scenario) -> Value {
    match scenario {
        Scenario::Promoted(source) => merged(traffic(source), watching("1s")),
        Scenario::Invalid => merged(traffic("service"), watching("1h")),
        Scenario::Hotfix | Scenario::Deleted => merged(traffic("both"), watching("1h")),
        Scenario::Mirrored => merged(traffic("mirror"), watching("1h")),
    }
}

fn image_change(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
}

/// Prometheus would have answered in the meantime, but no controller queried it.
async fn a_controller_that_dies_makes_up_for_the_time(ns: TestNamespace) -> Result<(), Error> {
    may_lead(&ns).await?;
    let url = format!("--prometheus-url={}", ns.lab()?.prometheus()?.url());
    let arguments = [&alone(&ns, "judge")[..], &[url]].concat();
    let judge = ns.lab()?.start_controller(&arguments).await?;
    let items = json!([{"name": "metrics", "promQL": {"query": "vector(1)"}}]);
    let validation = json!({"validationPeriod": "6s", "maxIntervalPeriod": "1s", "items": items});
    validating(&ns, json!({"validation": validation})).await?;
    let kanary =
        ns.until_kanary(TRIAL, "is valid so far", |kanary| kanary["status"]["items"][0]["verdict"] == "Valid").await?;
    judge.kill().await?;
    ns.lab()?.start_controller(&arguments).await?;
    let promoted = ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(time(&promoted, "deadline") > time(&kanary, "deadline"), "{promoted}");
    assert!(time(&promoted, "verdictAt") >= time(&promoted, "deadline"), "{promoted}");
    assert_eq!(base_image(&ns).await?, "web:2");
    assert_nothing_is_left(&ns).await
}
