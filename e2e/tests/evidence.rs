//! What a real Prometheus returns for the queries that canaries are evaluated with. Kanary is not involved: these are
//! the facts that its promQL items rely on, and in each of them a naive query misleads.

mod support;

use std::{process::ExitCode, time::Duration};

use kanary_e2e::{
    Error, Setup, TestNamespace, backend::behaviour::Behaviour, cases, harness, load::Running, prometheus::Sample,
};
use serde_json::json;
use support::*;

fn main() -> ExitCode {
    let cases = cases![
        the_error_query_is_1_when_healthy_0_when_bad_empty_when_idle: lab_only,
        without_bool_the_best_canary_reads_as_false_and_a_bad_one_as_nothing: lab_only,
        without_or_vector_0_a_canary_without_errors_reads_as_nothing: lab_only,
        without_a_filter_bool_turns_idleness_into_failure: lab_only,
        a_quantile_is_in_the_bucket_and_nan_when_idle: lab_only,
        every_number_is_of_an_answer_that_was_given: lab_only,
        a_gauge_of_each_pod_has_its_name: lab_only,
        a_frozen_prometheus_answers_no_query_and_recovers: lab_only,
    ];
    harness::main(Setup::bare().with_prometheus(), cases)
}

/// The window of all rates here: a few scrapes, so that idleness shows soon.
const WINDOW: &str = "5s";

/// The result of a query: one sample, or none.
const TRUE: &[f64] = &[1.0];
const FALSE: &[f64] = &[0.0];
const NOTHING: &[f64] = &[];

/// Rates of the requests that the base, or its only pod, answered.
fn rate(ns: &TestNamespace, which: &str) -> String {
    let namespace = ns.name();
    let of =
        format!(r#"reporter="destination",destination_workload_namespace="{namespace}",destination_workload="web""#);
    format!("sum(rate(istio_requests_total{{{of}{which}}}[{WINDOW}]))")
}

fn errors(ns: &TestNamespace) -> String {
    rate(ns, r#",response_code=~"5..""#)
}

/// The query of the documentation.
fn good_query(ns: &TestNamespace) -> String {
    format!("({} or vector(0)) / ({} > 0) < bool 0.01", errors(ns), rate(ns, ""))
}

/// One pod that behaves like this and gets 20 requests a second until the load is stopped.
async fn called(ns: &TestNamespace, behaviour: Behaviour) -> Result<Running, Error> {
    ns.apply(web(json!({"spec": {"replicas": 1}}))).await?;
    ns.until(WEB, "a pod answers", |web| has_available(web, 1)).await?;
    ns.set_behaviour("app=web", behaviour)?;
    let load = ns.calls_pods("app=web").await?.count(10_000).per_second(20.0).start();
    // A rate needs two scrapes that saw the pod answer.
    until(ns, &rate(ns, ""), "requests show", |found| matches!(found, [all] if all.value > 0.0)).await?;
    Ok(load)
}

async fn until(ns: &TestNamespace, query: &str, awaited: &str, met: impl Fn(&[Sample]) -> bool) -> Result<(), Error> {
    ns.lab()?.prometheus()?.until(query, awaited, met).await.map(drop)
}

/// No response within the window: the rate is 0, because there is a series but nothing new in it.
async fn until_idle(ns: &TestNamespace) -> Result<(), Error> {
    until(ns, &rate(ns, ""), "no requests show", |found| matches!(found, [all] if all.value == 0.0)).await
}

/// Waits, because a busy machine scrapes late, and until then there is no rate at all.
async fn until_is(ns: &TestNamespace, query: &str, values: &[f64]) -> Result<(), Error> {
    let met = |found: &[Sample]| found.iter().map(|sample| sample.value).eq(values.iter().copied());
    until(ns, query, &format!("it is {values:?}"), met).await
}

fn is_nan(found: &[Sample]) -> bool {
    matches!(found, [nan] if nan.value.is_nan())
}

async fn the_error_query_is_1_when_healthy_0_when_bad_empty_when_idle(ns: TestNamespace) -> Result<(), Error> {
    let good = good_query(&ns);
    until_is(&ns, &good, NOTHING).await?;
    let load = called(&ns, Behaviour::default()).await?;
    until_is(&ns, &good, TRUE).await?;
    ns.set_behaviour("app=web", Behaviour::failing(0.2))?;
    until_is(&ns, &good, FALSE).await?;
    load.stop().await?;
    until_idle(&ns).await?;
    until_is(&ns, &good, NOTHING).await
}

/// A comparison without `bool` filters: it returns the left side where it holds.
async fn without_bool_the_best_canary_reads_as_false_and_a_bad_one_as_nothing(ns: TestNamespace) -> Result<(), Error> {
    let (good, naive) = (good_query(&ns), good_query(&ns).replace("< bool", "<"));
    let load = called(&ns, Behaviour::default()).await?;
    until_is(&ns, &good, TRUE).await?;
    until_is(&ns, &naive, FALSE).await?;
    ns.set_behaviour("app=web", Behaviour::failing(0.5))?;
    until_is(&ns, &good, FALSE).await?;
    until_is(&ns, &naive, NOTHING).await?;
    load.stop().await.map(drop)
}

async fn without_or_vector_0_a_canary_without_errors_reads_as_nothing(ns: TestNamespace) -> Result<(), Error> {
    let naive = format!("{} / ({} > 0) < bool 0.01", errors(&ns), rate(&ns, ""));
    let load = called(&ns, Behaviour::default()).await?;
    until_is(&ns, &good_query(&ns), TRUE).await?;
    until_is(&ns, &naive, NOTHING).await?;
    load.stop().await.map(drop)
}

/// 0/0 is NaN, which is not less than anything; `bool` turns that into 0, and a canary without requests reads as bad.
async fn without_a_filter_bool_turns_idleness_into_failure(ns: TestNamespace) -> Result<(), Error> {
    let ratio = format!("({} or vector(0)) / {}", errors(&ns), rate(&ns, ""));
    let naive = format!("{ratio} < bool 0.01");
    let load = called(&ns, Behaviour::default()).await?;
    until_is(&ns, &naive, TRUE).await?;
    load.stop().await?;
    until_idle(&ns).await?;
    until(&ns, &ratio, "NaN", is_nan).await?;
    until_is(&ns, &naive, FALSE).await?;
    until_is(&ns, &good_query(&ns), NOTHING).await
}

/// A comparison would hide the NaN; the value itself shows it.
async fn a_quantile_is_in_the_bucket_and_nan_when_idle(ns: TestNamespace) -> Result<(), Error> {
    let namespace = ns.name();
    let buckets = format!(r#"istio_request_duration_milliseconds_bucket{{namespace="{namespace}"}}"#);
    let query = format!("histogram_quantile(0.99, sum by (le) (rate({buckets}[{WINDOW}])))");
    let load = called(&ns, Behaviour::slow(Duration::from_millis(120))).await?;
    // Istio's buckets end at 100 and 250 there. A busy machine answers later, never sooner.
    until(&ns, &query, "the quantile shows", |found| matches!(found, [p99] if p99.value > 100.0)).await?;
    load.stop().await?;
    until(&ns, &query, "NaN when idle", is_nan).await?;
    until_is(&ns, &format!("{query} < bool 310"), FALSE).await
}

async fn every_number_is_of_an_answer_that_was_given(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(web(json!({"spec": {"replicas": 3}}))).await?;
    ns.until(WEB, "pods answer", |web| has_available(web, 3)).await?;
    ns.set_behaviour("app=web", Behaviour::failing(0.1))?;
    let report = ns.calls_pods("app=web").await?.count(600).run().await;
    assert_eq!(report.statuses(), [(200, 540), (500, 60)].into());
    assert_eq!(report.pods().into_values().collect::<Vec<_>>(), [200, 200, 200]);
    assert_eq!(ns.arrivals()?.len(), 600);
    let counted = format!(r#"sum by (response_code) (istio_requests_total{{namespace="{}"}})"#, ns.name());
    let all = |found: &[Sample]| found.iter().map(|sample| sample.value).sum::<f64>() == 600.0;
    let found = ns.lab()?.prometheus()?.until(&counted, "600 are counted", all).await?;
    let failed = found.iter().find(|sample| sample.labels["response_code"] == "500").map(|sample| sample.value);
    assert_eq!(failed, Some(60.0));
    Ok(())
}

async fn a_gauge_of_each_pod_has_its_name(ns: TestNamespace) -> Result<(), Error> {
    ns.apply(web(json!({}))).await?;
    ns.until(WEB, "pods answer", |web| has_available(web, 2)).await?;
    ns.set_behaviour("", Behaviour::default().showing("queue_length", 7.5))?;
    let query = format!(r#"queue_length{{namespace="{}"}}"#, ns.name());
    let found = ns.lab()?.prometheus()?.until(&query, "both pods show it", |found| found.len() == 2).await?;
    assert!(found.iter().all(|sample| sample.value == 7.5 && sample.labels["pod"].starts_with("web-")), "{found:?}");
    ns.set_behaviour("", Behaviour::default().showing("queue_length", f64::NAN))?;
    let nan = |found: &[Sample]| found.len() == 2 && found.iter().all(|sample| sample.value.is_nan());
    until(&ns, &query, "NaN arrives as NaN", nan).await
}

async fn a_frozen_prometheus_answers_no_query_and_recovers(ns: TestNamespace) -> Result<(), Error> {
    let own = ns.lab()?.start_prometheus().await?;
    own.until("up{job=\"pods\"}", "it scrapes", |found| matches!(found, [up] if up.value == 1.0)).await?;
    own.freeze()?;
    let answer = tokio::time::timeout(Duration::from_secs(1), own.query("vector(1)")).await;
    assert!(answer.is_err(), "it hangs: {answer:?}");
    own.thaw()?;
    assert_eq!(own.query("vector(1)").await?.len(), 1);
    let url = own.url().to_owned();
    own.kill().await?;
    let shared = ns.lab()?.prometheus()?;
    assert_ne!(shared.url(), url);
    assert_eq!(shared.query("1 + 1").await?[0].value, 2.0, "a scalar is a sample, and the shared one lives");
    Ok(())
}
