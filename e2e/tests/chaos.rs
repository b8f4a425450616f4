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
use kanary_e2e::{Error, Scene, Setup, any, cases, cut_proxy::CutProxy, harness};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::*;
use tokio::sync::Mutex;

/// So many lives at least the controller that dies at random has to bring to an end.
const LIVES: usize = 50;
/// So many at once.
const AT_ONCE: usize = 10;
/// It dies so often, then it is let live: a fast machine gets more lives meanwhile, and a slow one gets to the end too.
const DEATHS: usize = 25;
/// A canary that dies and comes back waits for its own return.
const PATIENCE: Duration = Duration::from_secs(400);

fn main() -> ExitCode {
    let cases = cases![
        fifty_lives_of_a_controller_that_dies_at_random: lab_only,
        a_promotion_that_is_cut_after_each_write: lab_only,
        a_failure_that_is_cut_after_each_write: lab_only,
        a_mirror_that_is_cut_after_each_write: lab_only,
        a_judge_that_dies_makes_up_for_the_time: lab_only,
    ];
    harness::main(Setup::installed().with_mesh().with_prometheus(), cases)
}

/// How a life goes, for whatever the controller does.
#[derive(Clone, Copy, Debug)]
enum Story {
    /// Nothing speaks against the canary.
    Promoted(&'static str),
    /// A canary pod gets a label of invalidation.
    Invalid,
    /// Somebody ships a hotfix to the base meanwhile.
    Hotfix,
    /// The KanaryDeployment is deleted meanwhile.
    Deleted,
    /// Copies reach it through a route of the user's; then it is deleted.
    Mirrored,
}

const STORIES: [Story; 6] = [
    Story::Promoted("kanary-service"),
    Story::Promoted("both"),
    Story::Invalid,
    Story::Hotfix,
    Story::Deleted,
    Story::Mirrored,
];

async fn fifty_lives_of_a_controller_that_dies_at_random(scene: Scene) -> Result<(), Error> {
    let scene = scene.patience(PATIENCE);
    let seed =
        std::env::var("KANARY_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("replay the deaths with KANARY_E2E_SEED={seed}");
    may_lead(&scene).await?;
    let deaths = AtomicUsize::new(0);
    let lives = async {
        let goes_on = |nth: &usize| *nth < LIVES || deaths.load(Ordering::Relaxed) < DEATHS;
        let lives = (0..).take_while(goes_on).map(|nth| live(&scene, format!("{nth}"), STORIES[nth % STORIES.len()]));
        stream::iter(lives).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await
    };
    tokio::try_join!(lives, die_at_random(&scene, seed, &deaths))?;
    assert_nothing_is_left(&scene).await
}

/// Starts the controller again and again, and lets it live for a moment of random length; the last one lives on.
async fn die_at_random(scene: &Scene, seed: u64, deaths: &AtomicUsize) -> Result<(), Error> {
    let mut random = fastrand::Rng::with_seed(seed);
    while deaths.load(Ordering::Relaxed) < DEATHS {
        let controller = scene.lab()?.start_controller(&alone(scene, "phoenix")).await?;
        tokio::time::sleep(Duration::from_millis(random.u64(100..4000))).await;
        controller.kill().await?;
        deaths.fetch_add(1, Ordering::Relaxed);
    }
    scene.lab()?.start_controller(&alone(scene, "phoenix")).await.map(drop)
}

async fn a_promotion_that_is_cut_after_each_write(scene: Scene) -> Result<(), Error> {
    cut_after_each_write(scene, Story::Promoted("both")).await
}

async fn a_failure_that_is_cut_after_each_write(scene: Scene) -> Result<(), Error> {
    cut_after_each_write(scene, Story::Invalid).await
}

async fn a_mirror_that_is_cut_after_each_write(scene: Scene) -> Result<(), Error> {
    cut_after_each_write(scene, Story::Mirrored).await
}

/// One life a write: its effect is there, its reply is not, the controller is dead, and another takes over.
async fn cut_after_each_write(scene: Scene, story: Story) -> Result<(), Error> {
    let scene = scene.patience(PATIENCE);
    may_lead(&scene).await?;
    let client = scene.lab()?.client_of("kanary").await?;
    for nth in 1.. {
        let proxy = CutProxy::start(client.clone(), nth).await?;
        let controller = scene.lab()?.controller_at(proxy.url(), &alone(&scene, "phoenix")).await?;
        let successor = Mutex::new(None);
        let rescue = async {
            proxy.until_cut().await;
            controller.kill().await?;
            *successor.lock().await = Some(scene.lab()?.start_controller(&alone(&scene, "phoenix")).await?);
            std::future::pending::<Result<(), Error>>().await
        };
        tokio::select! {
            end = live(&scene, format!("cut-{nth}"), story) => end?,
            error = rescue => error?,
        }
        if let Some(successor) = successor.into_inner() {
            successor.kill().await?;
        }
        if !proxy.is_cut() {
            assert!(nth > 6, "a life has more writes than {nth}");
            return assert_nothing_is_left(&scene).await;
        }
    }
    Ok(())
}

/// One KanaryDeployment with a base and a Service of its own, from birth to end.
async fn live(scene: &Scene, id: String, story: Story) -> Result<(), Error> {
    let (web, trial) = (format!("web-{id}"), format!("trial-{id}"));
    scene.apply(service(json!({"metadata": {"name": web}, "spec": {"selector": {"app": web}}}))).await?;
    scene.apply(base(&web)).await?;
    scene.until::<Deployment>(&web, "production is available", |web| has_available(web, 1)).await?;
    let route = any::virtual_service(&web);
    scene.put(user_route(&web)).await?;
    let before = scene.read(route).await?["spec"].clone();
    scene.apply(trial_of(&trial, merged(template(&web), spec(story)))).await?;
    match story {
        Story::Promoted(_) => drop(scene.kd_phase(&trial, "Succeeded").await?),
        Story::Invalid => {
            scene.kd_phase(&trial, "Validating").await?;
            invalidate(scene, &trial).await?;
            scene.kd_phase(&trial, "Failed").await?;
        }
        Story::Hotfix => {
            scene.kd_phase(&trial, "Validating").await?;
            scene.patch::<Deployment>(&web, image_change("web:hotfix")).await?;
            let kd = scene.kd_phase(&trial, "Failed").await?;
            assert_eq!(condition(&kd, "Failed")["reason"], "BaseChanged");
        }
        Story::Deleted => {
            scene.kd_phase(&trial, "Validating").await?;
            scene.delete_kd(&trial).await?;
            scene.until_kd_gone(&trial).await?;
        }
        Story::Mirrored => {
            scene.kd_phase(&trial, "Validating").await?;
            assert_ne!(scene.read(route).await?["spec"], before, "it carries the mirror");
            scene.delete_kd(&trial).await?;
            scene.until_kd_gone(&trial).await?;
        }
    }
    assert_eq!(scene.read(route).await?["spec"], before, "{story:?}");
    until_all_is_gone(scene, &trial).await?;
    until_serves(scene, &web, 1, 0).await?;
    assert_base(scene, &web, story).await
}

/// The base has what the story says, and got it in one write: each template leaves a ReplicaSet and a revision.
async fn assert_base(scene: &Scene, web: &str, story: Story) -> Result<(), Error> {
    let (image, templates) = match story {
        Story::Promoted(_) => ("web:2", 2),
        Story::Hotfix => ("web:hotfix", 2),
        Story::Invalid | Story::Deleted | Story::Mirrored => ("web:1", 1),
    };
    let rolled_out = |base: &Deployment| {
        let status = base.status.clone().unwrap_or_default();
        status.observed_generation == base.metadata.generation && status.updated_replicas == Some(1)
    };
    let base: Deployment = scene.until(web, "its rollout is observed", rolled_out).await?;
    assert_eq!((image_of(&base), base.metadata.generation), (image, Some(templates)), "{story:?}");
    let owned =
        |set: &ReplicaSet| set.owner_references().iter().any(|owner| Some(&owner.uid) == base.metadata.uid.as_ref());
    let sets = scene.list::<ReplicaSet>("").await?.into_iter().filter(owned).count();
    assert_eq!(i64::try_from(sets).ok(), Some(templates), "{story:?}");
    Ok(())
}

async fn invalidate(scene: &Scene, trial: &str) -> Result<(), Error> {
    let met = |pods: &kanary_e2e::wait::Seen<Pod>| pods.values().any(|pod| pod.metadata.deletion_timestamp.is_none());
    let pods = scene.until_all::<Pod>(&canary_labels(trial), "there is a canary pod", met).await?;
    for pod in pods.keys() {
        scene.patch::<Pod>(pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
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

fn spec(story: Story) -> Value {
    match story {
        Story::Promoted(source) => merged(traffic(source), watching("1s")),
        Story::Invalid => merged(traffic("service"), watching("1h")),
        Story::Hotfix | Story::Deleted => merged(traffic("both"), watching("1h")),
        Story::Mirrored => merged(traffic("mirror"), watching("1h")),
    }
}

fn image_change(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
}

/// Prometheus would have answered meanwhile, but nobody asked it.
async fn a_judge_that_dies_makes_up_for_the_time(scene: Scene) -> Result<(), Error> {
    may_lead(&scene).await?;
    let url = format!("--prometheus-url={}", scene.lab()?.prometheus()?.url());
    let arguments = [&alone(&scene, "judge")[..], &[url]].concat();
    let judge = scene.lab()?.start_controller(&arguments).await?;
    let items = json!([{"name": "metrics", "promQL": {"query": "vector(1)"}}]);
    let validation = json!({"validationPeriod": "6s", "maxIntervalPeriod": "1s", "items": items});
    validating(&scene, json!({"validation": validation})).await?;
    let kd = scene.until_kd(TRIAL, "is valid so far", |kd| kd["status"]["items"][0]["verdict"] == "Valid").await?;
    judge.kill().await?;
    scene.lab()?.start_controller(&arguments).await?;
    let judged = scene.kd_phase(TRIAL, "Succeeded").await?;
    assert!(time(&judged, "deadline") > time(&kd, "deadline"), "{judged}");
    assert!(time(&judged, "verdictAt") >= time(&judged, "deadline"), "{judged}");
    assert_eq!(base_image(&scene).await?, "web:2");
    assert_nothing_is_left(&scene).await
}
