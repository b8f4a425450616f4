//! Production's latency with and without a mirror, as its clients see it through one Envoy.
//!
//! In one run, with one Service, in many short alternating rounds: other load on the machine affects both alike.

use std::time::Duration;

use kanary_e2e::{Error, TestNamespace};
use serde_json::{Value, json};

use super::fixture::{COPIED, PER_SECOND, PLAIN, WEB, deploy_with_routes, is_of, mirrored};
use crate::meter::{millis, per, percentile, rounded};

/// Requests in a round.
const REQUESTS: usize = 200;
/// Rounds with a mirror, and as many without, for each run.
const ROUNDS: usize = 2;
const TRIAL: &str = "trial";

/// What clients saw, on one of the two routes.
#[derive(Default)]
struct Side {
    latencies: Vec<Duration>,
    /// The median of each round.
    medians: Vec<Duration>,
    copies: usize,
    /// In all rounds.
    elapsed: Duration,
    /// Answers that were not 200.
    bad: usize,
}

/// Measures `runs` runs of both.
pub async fn measure(ns: &TestNamespace, runs: usize) -> Result<Value, Error> {
    let rounds = runs * ROUNDS;
    eprintln!("production's latency, {rounds} rounds with a mirror and {rounds} without");
    deploy_with_routes(ns).await?;
    ns.apply(mirrored(TRIAL, WEB, &json!({"items": [{"manual": {}}]}))).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    let host = ns.host(&format!("{TRIAL}-kanary"));
    ns.until_known(&format!("{TRIAL}-kanary"), 80, 1).await?;
    ns.until_route(WEB, "mirrors every request", |route| route.copies_to(&host) == 100.0).await?;
    let (mut off, mut on) = (Side::default(), Side::default());
    // Connections are opened in the first round, which does not count.
    for nth in 0..=rounds {
        if nth == 1 {
            (off, on) = (Side::default(), Side::default());
        }
        // The side that goes first has the quieter machine.
        for with in [nth % 2 == 0, nth % 2 != 0] {
            if with { round(ns, COPIED, &mut on).await? } else { round(ns, PLAIN, &mut off).await? }
        }
    }
    Ok(report(off, on, rounds))
}

async fn round(ns: &TestNamespace, path: &str, side: &mut Side) -> Result<(), Error> {
    let load = ns.calls(WEB)?.of(http::Method::GET, path).count(REQUESTS).per_second(PER_SECOND);
    let report = load.run().await;
    // Also waits for the last of them, so that they do not affect the next round.
    side.copies += ns.copies(&report).await?.iter().filter(|copy| is_of(TRIAL, &copy.pod)).count();
    side.bad += report.answers.iter().filter(|answer| answer.status != 200).count();
    side.elapsed += report.elapsed;
    side.medians.push(report.percentile(0.5));
    side.latencies.extend(report.answers.iter().map(|answer| answer.latency));
    Ok(())
}

fn report(mut off: Side, mut on: Side, rounds: usize) -> Value {
    let (off_figures, on_figures) = (figures(&mut off), figures(&mut on));
    let mut added: Vec<f64> = off.medians.iter().zip(&on.medians).map(|(off, on)| millis(*on) - millis(*off)).collect();
    added.sort_by(f64::total_cmp);
    json!({
        "rounds": rounds,
        "requestsPerRound": REQUESTS,
        "requestsPerSecondWanted": PER_SECOND,
        "off": off_figures,
        "on": on_figures,
        "addedMillisMedianOfRounds": rounded(added.get(added.len() / 2).copied().unwrap_or_default()),
    })
}

fn figures(side: &mut Side) -> Value {
    side.latencies.sort_unstable();
    json!({
        "requests": side.latencies.len(),
        "requestsPerSecond": rounded(side.latencies.len() as f64 / side.elapsed.as_secs_f64()),
        "copiesPerRequest": per(side.copies as f64, side.latencies.len().max(1)),
        "notOk": side.bad,
        "millisP50": millis(percentile(&side.latencies, 0.5)),
        "millisP99": millis(percentile(&side.latencies, 0.99)),
    })
}
