//! What the controller does not see: it leads and may write, but one of its watches is broken; or it hangs, and resumes
//! with stale caches.

mod support;

use std::process::ExitCode;

use k8s_openapi::{
    api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod},
    jiff::SignedDuration,
};
use kanary_e2e::{Error, Setup, TestNamespace, audit::Call, cases, harness, watch_proxy::WatchProxy};
use serde_json::{Value, json};
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        what_it_cannot_see_it_does_not_evaluate: lab_only,
        a_watch_that_fell_silent_is_not_taken_for_consent: lab_only,
        a_watch_that_is_refused_after_each_list_is_one_loss: lab_only,
        a_controller_that_hung_has_missed_its_time_and_its_turn: lab_only,
    ];
    harness::main(Setup::installed(), cases)
}

/// Counting the time only would promote a canary that was not observed: the label is set, and no watch reports it.
async fn what_it_cannot_see_it_does_not_evaluate(ns: TestNamespace) -> Result<(), Error> {
    may_lead(&ns).await?;
    let proxy = WatchProxy::start(ns.lab()?.client_of("kanary").await?, "pods").await?;
    let controller = ns.lab()?.controller_at(proxy.url(), &alone(&ns, "dim")).await?;
    validating(&ns, watching("1h")).await?;
    let pod = canary_pod(&ns).await?;
    proxy.block();
    let held = until_reason(&ns, "Running", "Paused").await?;
    assert!(text(&held, "/status/message").contains("a watch is broken"), "{held}");
    ns.patch::<Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    // Its period ended long ago.
    let hasty = change(&ns, watching("1s")).await?;
    assert_eq!(phase(&until_answered(&ns, &hasty).await?), "Validating");
    proxy.restore();
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(text(&kanary, "/status/message").contains(&pod), "{kanary}");
    assert_eq!(base_image(&ns).await?, "web:1");
    controller.stop().await
}

/// The connection is dead without an error: the cache shows an old state. A success is checked against the cluster.
async fn a_watch_that_fell_silent_is_not_taken_for_consent(ns: TestNamespace) -> Result<(), Error> {
    may_lead(&ns).await?;
    let proxy = WatchProxy::start(ns.lab()?.client_of("kanary").await?, "pods").await?;
    let controller = ns.lab()?.controller_at(proxy.url(), &alone(&ns, "deaf")).await?;
    validating(&ns, watching("15s")).await?;
    proxy.stall();
    let pod = canary_pod(&ns).await?;
    ns.patch::<Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    let verdict = |kanary: &Value| ["Failing", "Failed", "Promoting", "Succeeded"].contains(&phase(kanary));
    let kanary = ns.until_kanary(TRIAL, "there is a verdict", verdict).await?;
    assert!(text(&kanary, "/status/message").contains(&pod), "{kanary}");
    assert_eq!(base_image(&ns).await?, "web:1");
    proxy.restore();
    ns.until_phase(TRIAL, "Failed").await?;
    controller.stop().await
}

/// A role permits `list` alone: each list would seem to repair the watch, and each repair would be reported.
async fn a_watch_that_is_refused_after_each_list_is_one_loss(ns: TestNamespace) -> Result<(), Error> {
    may_lead(&ns).await?;
    let proxy = WatchProxy::start(ns.lab()?.client_of("kanary").await?, "services").await?;
    let controller = ns.lab()?.controller_at(proxy.url(), &alone(&ns, "squinting")).await?;
    validating(&ns, watching("1h")).await?;
    let audit = ns.lab()?.audit();
    let mark = audit.mark();
    proxy.forbid_watch();
    until_reason(&ns, "Running", "Paused").await?;
    proxy.until_refused(5).await;
    let is_status = |call: &Call| call.namespace == ns.name() && call.resource == "kanarydeployments/status";
    let written = audit.since(mark, ":kanary")?.into_iter().filter(is_status).count();
    assert_eq!(written, 1, "the loss");
    proxy.restore();
    let kanary = until_reason(&ns, "Running", "Evaluating").await?;
    assert_eq!(phase(&kanary), "Validating");
    controller.stop().await
}

/// The time in which it hung does not count: another controller evaluates the whole period. And the first one's caches
/// are stale.
async fn a_controller_that_hung_has_missed_its_time_and_its_turn(ns: TestNamespace) -> Result<(), Error> {
    may_lead(&ns).await?;
    let first = ns.lab()?.controller(&alone(&ns, "first")).await?;
    validating(&ns, watching("1h")).await?;
    first.freeze()?;
    let second = ns.lab()?.controller(&alone(&ns, "second")).await?;
    change(&ns, watching("3s")).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    let missed = time(&kanary, "deadline")
        .zip(time(&kanary, "validationStartedAt"))
        .map(|(end, start)| start.duration_until(end));
    // A Lease expires 15 s after its renewal, which was at most 5 s before the first controller hung.
    assert!(missed >= Some(SignedDuration::from_secs(3 + 9)), "no controller watched in the meantime: {kanary}");
    assert!(time(&kanary, "verdictAt") >= time(&kanary, "deadline"), "{kanary}");
    assert_eq!(base_image(&ns).await?, "web:2");
    let hotfix = json!([{"name": "web", "image": "web:hotfix"}]);
    ns.patch::<Deployment>(WEB, json!({"spec": {"template": {"spec": {"containers": hotfix}}}})).await?;
    first.thaw()?;
    second.stop().await?;
    let leads =
        |lease: &Lease| lease.spec.as_ref().is_some_and(|spec| spec.holder_identity.as_deref() == Some("first"));
    ns.until::<Lease>("kanary", "the first leads again", leads).await?;
    let provoked = change(&ns, json!({"validation": {"cleanup": "rolloutComplete"}})).await?;
    assert_eq!(phase(&until_answered(&ns, &provoked).await?), "Succeeded");
    assert_eq!(base_image(&ns).await?, "web:hotfix");
    assert_nothing_is_left(&ns).await?;
    first.stop().await
}
