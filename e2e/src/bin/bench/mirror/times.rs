//! How soon a mirror copies and how soon it stops, measured at the canary's pod while production is called all the time.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kanary_e2e::{Error, TestNamespace, wait::Objects};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::fixture::{COPIED, PER_SECOND, WEB, is_of, mirrored, stand};
use crate::{
    fleet::watching,
    meter::{millis, percentile},
};

/// More than a run takes.
const FOREVER: usize = 1_000_000;

/// What one run took.
struct Took {
    /// From the KanaryDeployment's creation to the first copy.
    from_apply: Duration,
    /// From when its pod was ready.
    from_ready: Duration,
    /// From the label of invalidation to the last copy.
    to_last: Duration,
    copies: usize,
}

/// So many runs, one after the other.
pub async fn measure(ns: &TestNamespace, runs: usize) -> Result<Value, Error> {
    eprintln!("how soon a mirror copies and stops, {runs} times");
    stand(ns).await?;
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
        "applyToFirstCopy": spread(|took| took.from_apply),
        "readyToFirstCopy": spread(|took| took.from_ready),
        "causeToLastCopy": spread(|took| took.to_last),
    }))
}

async fn run(ns: &TestNamespace, name: &str) -> Result<Took, Error> {
    let load = ns.calls(WEB)?.of(http::Method::GET, COPIED).count(FOREVER).per_second(PER_SECOND).start();
    let applied = Instant::now();
    ns.apply(mirrored(name, WEB, &watching("1h"))).await?;
    let first = ns.until_arrival("a copy", |arrival| is_of(name, &arrival.pod));
    let ((pod, ready), first) = tokio::try_join!(until_ready(ns, name), first)?;
    ns.until_phase(name, "Validating").await?;
    let cause = Instant::now();
    ns.patch::<Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    ns.until_phase(name, "Failed").await?;
    let host = ns.host(&format!("{name}-kanary"));
    ns.until_route(WEB, "copies nothing", |route| route.copies_to(&host) == 0.0).await?;
    let copies = ns.copies(&load.stop().await?).await?;
    let instants = copies.iter().filter(|copy| is_of(name, &copy.pod)).map(|copy| copy.at);
    let last = instants.clone().max().ok_or_else(|| Error::wrong(format!("{name} got no copy")))?;
    Ok(Took {
        from_apply: first.at.duration_since(applied),
        from_ready: first.at.saturating_duration_since(ready),
        to_last: last.saturating_duration_since(cause),
        copies: instants.count(),
    })
}

/// The canary's pod, and when it was ready.
async fn until_ready(ns: &TestNamespace, name: &str) -> Result<(String, Instant), Error> {
    let ready = |pods: &Objects<Pod>| pods.values().any(is_ready);
    let pods = ns.until_all(&format!("kanary.k8s.io/canary={name}"), "the canary is ready", ready).await?;
    let at = Instant::now();
    let pod = pods.values().next().map(Pod::name_any).ok_or_else(|| Error::wrong("a canary without a pod"))?;
    Ok((pod, at))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
