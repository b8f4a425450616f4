//! What the controller does not see: it leads and may write, but one of its watches is broken.

mod support;

use std::process::ExitCode;

use k8s_openapi::api::core::v1::Pod;
use kanary_e2e::veil::Veil;
use kanary_e2e::{Error, Scene, Setup, cases, harness};
use serde_json::json;
use support::*;

fn main() -> ExitCode {
    harness::main(Setup::installed(), cases![what_it_cannot_see_it_does_not_judge: lab_only])
}

/// Who counts the time only promotes what nobody looked at: the label is there, and no watch tells of it.
async fn what_it_cannot_see_it_does_not_judge(scene: Scene) -> Result<(), Error> {
    may_lead(&scene).await?;
    let veil = Veil::before(scene.lab()?.client_of("kanary").await?, "pods").await?;
    let controller = scene.lab()?.controller_at(veil.url(), &alone(&scene, "dim")).await?;
    validating(&scene, watching("1h")).await?;
    let pod = canary_pod(&scene).await?;
    veil.draw();
    let held = until_reason(&scene, "Running", "Held").await?;
    assert!(text(&held, "/status/message").contains("lost its view"), "{held}");
    scene.patch::<Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    // Its period is over long ago.
    let hasty = change(&scene, watching("1s")).await?;
    assert_eq!(phase(&until_answered(&scene, &hasty).await?), "Validating");
    veil.lift();
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    assert!(text(&kd, "/status/message").contains(&pod), "{kd}");
    assert_eq!(base_image(&scene).await?, "web:1");
    controller.stop().await
}
