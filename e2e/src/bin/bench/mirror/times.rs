//! How soon a mirror starts and how soon it stops, measured at the canary's pod under a constant load on production.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kanary_e2e::{Error, TestNamespace, wait::Objects};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::fixture::{COPIED, PER_SECOND, WEB, deploy_with_routes, is_of, mirrored};
use crate::{
    fleet::label_watch,
    meter::{millis, percentile},
};

/// More requests than a run takes.
const UNLIMITED: usize = 1_000_000;

/// What one run took.
struct Took {
    /// From the KanaryDeployment's creation to the first copy.
    apply_to_first: Duration,
    /// From the readiness of its pod to the first copy.
    ready_to_first: Duration,
    /// From the invalidation label to the last copy.
    cause_to_last: Duration,
    copies: usize,
}

/// `runs` runs, one after the other.
pub async fn measure(ns: &TestNamespace, runs: usize) -> Result<Value, Error> {
    eprintln!("how soon a mirror starts and stops, {runs} times");
    deploy_with_routes(ns).await?;
    let mut took = Vec::new();
    for nth in 0..runs {
        took.push(run(ns, &format!("trial-{nth}")).await?);
    }
    let spread = |of: fn(&Took) -> Duration| {
        let mut all: Vec<Duration> = took.iter().map(of).collect();
        all.sort_unstable();
        json!({"millisP50": millis(percentile(&all, 0.5)), "millisMax": millis(percentile(&all, 1.0))})
    };
    Ok(json!({
        "runs": runs,
        "requestsPerSecondWanted": PER_SECOND,
        "copies": took.iter().map(|took| took.copies).sum::<usize>(),
        "applyToFirstCopy": spread(|took| took.apply_to_first),
        "readyToFirstCopy": spread(|took| took.ready_to_first),
        "causeToLastCopy": spread(|took| took.cause_to_last),
    }))
}

async fn run(ns: &TestNamespace, name: &str) -> Result<Took, Error> {
    let load = ns.calls(WEB)?.of(http::Method::GET, COPIED).count(UNLIMITED).per_second(PER_SECOND).start();
    let applied = Instant::now();
    ns.apply(mirrored(name, WEB, &label_watch("1h"))).await?;
    let first = ns.until_arrival("a copy", |arrival| is_of(name, &arrival.pod));
    let ((pod, ready), first) = tokio::try_join!(until_ready(ns, name), first)?;
    ns.until_phase(name, "Validating").await?;
    let cause = Instant::now();
    ns.patch::<Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    ns.until_phase(name, "Failed").await?;
    let host = ns.host(&format!("{name}-kanary"));
    ns.until_route(WEB, "mirrors nothing", |route| route.copies_to(&host) == 0.0).await?;
    let copies = ns.copies(&load.stop().await?).await?;
    let instants = copies.iter().filter(|copy| is_of(name, &copy.pod)).map(|copy| copy.at);
    let last = instants.clone().max().ok_or_else(|| Error::wrong(format!("no copy arrived at {name}")))?;
    Ok(Took {
        apply_to_first: first.at.duration_since(applied),
        ready_to_first: first.at.saturating_duration_since(ready),
        cause_to_last: last.saturating_duration_since(cause),
        copies: instants.count(),
    })
}

/// The canary's pod, and when it was ready.
async fn until_ready(ns: &TestNamespace, name: &str) -> Result<(String, Instant), Error> {
    let ready = |pods: &Objects<Pod>| pods.values().any(is_ready);
    let pods = ns.until_all(&format!("kanary.k8s.io/canary={name}"), "the canary is ready", ready).await?;
    let at = Instant::now();
    let pod = pods.values().next().map(Pod::name_any).ok_or_else(|| Error::wrong("the canary has no pod"))?;
    Ok((pod, at))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
