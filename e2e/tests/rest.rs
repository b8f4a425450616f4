//! At rest the controller asks nothing: canaries that are over and canaries that are judged cost no request.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kanary_e2e::audit::Call;
use kanary_e2e::{Error, Scene, Setup, cases, harness};
use serde_json::json;
use support::*;

/// Canaries of either kind.
const EACH: usize = 50;
const AT_ONCE: usize = 10;
/// How long nothing must be asked. It is the subject of the test, not a wait for something.
const REST: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(400);

fn main() -> ExitCode {
    harness::main(Setup::controller(&[]), cases![a_hundred_canaries_at_rest_cost_no_request: lab_only])
}

async fn a_hundred_canaries_at_rest_cost_no_request(scene: Scene) -> Result<(), Error> {
    let scene = scene.patience(PATIENCE);
    production(&scene).await?;
    let over = (0..EACH).map(|nth| bring(&scene, format!("over-{nth}"), "invalid", "Failed"));
    let judged = (0..EACH).map(|nth| bring(&scene, format!("judged-{nth}"), "", "Validating"));
    stream::iter(over).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    stream::iter(judged).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    quiet(&scene).await?;
    let audit = scene.lab()?.audit();
    let mark = audit.mark();
    tokio::time::sleep(REST).await;
    let calls = audit.since(mark, ":kanary")?;
    assert!(calls.iter().any(Call::is_lease), "it is alive: it renews its lease");
    let asked: Vec<&Call> = calls.iter().filter(|call| !call.is_watch() && !call.is_lease()).collect();
    assert_eq!(asked, Vec::<&Call>::new());
    Ok(())
}

/// One canary in that phase, alone in its traffic, so that they do not disturb each other.
async fn bring(scene: &Scene, name: String, word: &str, phase: &str) -> Result<(), Error> {
    let manual = if word.is_empty() { json!({}) } else { json!({"validation": {"manual": {"status": word}}}) };
    scene.apply(trial_of(&name, merged(traffic("kanary-service"), manual))).await?;
    scene.kd_phase(&name, phase).await.map(drop)
}

/// The last status is followed by its events: waits until each canary has told all that it has to tell.
async fn quiet(scene: &Scene) -> Result<(), Error> {
    for nth in 0..EACH {
        let told = |name: String, reason: &'static str| async move {
            let of_it = |event: &k8s_openapi::api::core::v1::Event| {
                event.involved_object.name.as_deref() == Some(&name) && event.reason.as_deref() == Some(reason)
            };
            let met = |events: &kanary_e2e::wait::Seen<k8s_openapi::api::core::v1::Event>| events.values().any(of_it);
            scene.until_all("", "its last event is there", met).await.map(drop)
        };
        told(format!("over-{nth}"), "Failed").await?;
        told(format!("judged-{nth}"), "Validating").await?;
    }
    Ok(())
}
