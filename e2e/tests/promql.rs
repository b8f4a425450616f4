//! Evidence from Prometheus: a fake server with a chosen response, and what happens to the canary.
//!
//! `promql_real` is about what a real Prometheus returns for such queries, and what happens to a canary then.

mod support;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{Role, RoleBinding},
};
use kanary_e2e::{Context, Error, Setup, TestNamespace, cases, harness};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::{evidence::*, *};
use tokio::sync::OnceCell;

fn main() -> ExitCode {
    let cases = cases![
        good_answers_promote: lab_only,
        a_bad_result_fails_with_all_details: lab_only,
        a_bad_pod_is_named: lab_only,
        missing_evidence_pauses_and_is_reported: lab_only,
        a_server_that_is_gone_and_back_costs_time_and_nothing_else: lab_only,
        a_label_fails_the_run_while_prometheus_hangs: lab_only,
        forgiven_answers_are_counted: lab_only,
        a_wrong_query_creates_nothing_until_it_is_corrected: lab_only,
        a_query_that_is_not_known_is_sent: lab_only,
        what_must_not_be_reached_is_not_reached: lab_only,
        a_token_is_read_from_a_secret_that_the_role_names: lab_only,
        what_was_forgiven_is_not_forgotten: lab_only,
    ];
    harness::main(Setup::controller(&[]), cases)
}

/// Every address of this network is the lab's own; nothing else uses this one.
const ADDRESS: &str = "10.77.0.1";

static SERVER: OnceCell<u16> = OnceCell::const_new();
/// For each namespace: what its server plays now, and the last Authorization header that it received.
static PLAYS: Mutex<BTreeMap<String, (String, String)>> = Mutex::new(BTreeMap::new());

fn plays() -> std::sync::MutexGuard<'static, BTreeMap<String, (String, String)>> {
    PLAYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets what the server of this namespace plays.
fn play(ns: &TestNamespace, play: &str) {
    plays().entry(ns.name().to_owned()).or_default().0 = play.to_owned();
}

/// The URL of this namespace's server.
async fn url(ns: &TestNamespace) -> Result<String, Error> {
    let port = SERVER.get_or_try_init(serve).await?;
    Ok(format!("http://{ADDRESS}:{port}/{}", ns.name()))
}

async fn serve() -> Result<u16, Error> {
    let router = Router::new().route("/{namespace}/api/v1/query", post(answer));
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.context(|| "listen".into())?;
    let port = listener.local_addr().context(|| "listen".into())?.port();
    // The runtime of the whole binary outlives the first test.
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

async fn answer(Path(ns): Path<String>, headers: HeaderMap) -> Response {
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let play = {
        let mut plays = plays();
        let entry = plays.entry(ns).or_default();
        entry.1 = text;
        entry.0.clone()
    };
    let data = |data: Value| json!({"status": "success", "data": data}).to_string().into_response();
    let scalar = |value: &str| data(json!({"resultType": "scalar", "result": [1, value]}));
    match play.as_str() {
        "true" => scalar("1"),
        "false" => scalar("0"),
        "NaN" | "+Inf" | "-Inf" | "0.5" => scalar(&play),
        "string" => data(json!({"resultType": "string", "result": [1, "fine"]})),
        "matrix" => data(json!({"resultType": "matrix", "result": []})),
        "empty" => data(json!({"resultType": "vector", "result": []})),
        "hangs" => std::future::pending().await,
        "redirects" => (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "http://10.77.0.1/")]).into_response(),
        "truncated" => "{\"status\":\"success\",\"data\":{\"resultType\":\"sca".into_response(),
        "html" => "<html>welcome</html>".into_response(),
        "oversized" => Body::from(Bytes::from(vec![b' '; 2 << 20])).into_response(),
        code => match code.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
            Some(status) => status.into_response(),
            // `pod=value`
            None => data(samples(code)),
        },
    }
}

fn samples(play: &str) -> Value {
    let sample = |(pod, value): (&str, &str)| json!({"metric": {"pod": pod}, "value": [1, value]});
    let all: Vec<_> = play.split(',').filter_map(|one| one.split_once('=')).map(sample).collect();
    json!({"resultType": "vector", "result": all})
}

/// An item that queries this namespace's server about twice a second, with this validation period.
async fn asking(ns: &TestNamespace, period: &str, item: Value) -> Result<Value, Error> {
    let query =
        merged(json!({"query": "up{n=\"{{namespace}}\"} == bool 1", "prometheus": {"url": url(ns).await?}}), item);
    let items = json!([{"name": "errors", "promQL": query}]);
    Ok(json!({"validation": {"validationPeriod": period, "maxIntervalPeriod": "1s", "items": items}}))
}

fn item(kanary: &Value) -> &Value {
    &kanary["status"]["items"][0]
}

async fn good_answers_promote(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "true");
    let asking = asking(&ns, "3s", json!({})).await?;
    validating(&ns, asking).await?;
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(item(&kanary)["verdict"], "Valid");
    assert_eq!(item(&kanary)["value"], "1");
    let query = format!("up{{n=\"{}\"}} == bool 1", ns.name());
    assert_eq!(item(&kanary)["query"], query.as_str());
    assert!(time(&kanary, "verdictAt") >= time(&kanary, "deadline"), "{kanary}");
    assert_eq!(base_image(&ns).await?, "web:2");
    Ok(())
}

async fn a_bad_result_fails_with_all_details(ns: TestNamespace) -> Result<(), Error> {
    let analyser = json!({"valueInRange": {"min": 0, "max": 0.3}, "allPodsQuery": true, "query": "latency"});
    play(&ns, "x=0.7");
    let asking = asking(&ns, "1h", analyser).await?;
    validating(&ns, asking).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    let message = text(&kanary, "/status/message");
    for told in ["errors", "0.7 > 0.3 (max)", "query: latency"] {
        assert!(message.contains(told), "{told:?} is not in {message}");
    }
    assert_eq!((&item(&kanary)["value"], &item(&kanary)["bound"]), (&json!("0.7"), &json!("0 to 0.3")));
    let event = until_event(&ns, "Invalid").await?.message.unwrap_or_default();
    assert!(event.contains("0.7 > 0.3 (max)"), "{event}");
    assert_eq!(base_image(&ns).await?, "web:1");
    assert_nothing_is_left(&ns).await
}

async fn a_bad_pod_is_named(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "empty");
    let analyser = json!({"valueInRange": {"min": 0, "max": 1}, "query": "load{pod=~\"{{canary.pods}}\"}"});
    let asking = asking(&ns, "1h", analyser).await?;
    validating(&ns, merged(asking, json!({"scale": {"static": {"replicas": 2}}}))).await?;
    let mut pods: Vec<_> = until_canary_pods(&ns, 2).await?.iter().map(ResourceExt::name_any).collect();
    pods.sort();
    // What the base's pods do does not concern the canary.
    play(&ns, &format!("web-1=99,{}=0.5,{}=7", pods[0], pods[1]));
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    let message = text(&kanary, "/status/message");
    assert!(message.contains(&pods[1]) && message.contains(&pods.join("|")), "{message}");
    Ok(())
}

/// Any response that is not a result: validation is paused and says so, and the canary is neither promoted nor failed.
async fn missing_evidence_pauses_and_is_reported(ns: TestNamespace) -> Result<(), Error> {
    let troubles = [
        ("401", "401"),
        ("403", "403"),
        ("422", "422"),
        ("429", "429"),
        ("500", "500"),
        ("503", "503"),
        ("hangs", "no answer within 5s"),
        ("redirects", "redirects are not followed"),
        ("truncated", "not from a Prometheus"),
        ("html", "not from a Prometheus"),
        ("oversized", "larger than 1 MiB"),
        ("NaN", "NaN or infinite"),
        ("+Inf", "NaN or infinite"),
        ("-Inf", "NaN or infinite"),
        ("0.5", "other than 0 and 1"),
        ("string", "neither \"true\" nor \"false\""),
        ("matrix", "range vector"),
        ("empty", "the result is empty"),
    ];
    play(&ns, "empty");
    let asking = asking(&ns, "2s", json!({})).await?;
    validating(&ns, asking).await?;
    for (trouble, told) in troubles {
        play(&ns, trouble);
        let kanary = until_held(&ns, told).await?;
        assert_eq!((phase(&kanary), &item(&kanary)["verdict"]), ("Validating", &json!("Unknown")), "{trouble}");
    }
    assert_eq!(base_image(&ns).await?, "web:1");
    until_event(&ns, "Paused").await?;
    play(&ns, "true");
    ns.until_phase(TRIAL, "Succeeded").await.map(drop)
}

async fn a_server_that_is_gone_and_back_costs_time_and_nothing_else(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "true");
    let asking = asking(&ns, "8s", json!({})).await?;
    validating(&ns, asking).await?;
    let kanary = ns.until_kanary(TRIAL, "is valid so far", |kanary| item(kanary)["verdict"] == "Valid").await?;
    let deadline = time(&kanary, "deadline");
    play(&ns, "503");
    let held = until_held(&ns, "503").await?;
    play(&ns, "true");
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(time(&kanary, "deadline") > deadline, "the time without evidence did not count: {kanary} {held}");
    assert_eq!(base_image(&ns).await?, "web:2");
    Ok(())
}

/// In the original, a Prometheus that was down kept an invalidation label from being seen.
async fn a_label_fails_the_run_while_prometheus_hangs(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "hangs");
    let mut asking = asking(&ns, "1h", json!({})).await?;
    let watch = json!({"name": "watch", "labelWatch": {"podInvalidationLabels": {"bad": "yes"}}});
    if let Some(items) = asking["validation"]["items"].as_array_mut() {
        items.push(watch);
    }
    validating(&ns, asking).await?;
    let pod = canary_pod(&ns).await?;
    ns.patch::<k8s_openapi::api::core::v1::Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert!(text(&kanary, "/status/message").contains(&pod), "{kanary}");
    Ok(())
}

async fn forgiven_answers_are_counted(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "false");
    let asking = asking(&ns, "1h", json!({"failureLimit": 2})).await?;
    validating(&ns, asking).await?;
    let kanary = ns.until_phase(TRIAL, "Failed").await?;
    assert_eq!(item(&kanary)["failures"], 3, "{kanary}");
    Ok(())
}

async fn a_wrong_query_creates_nothing_until_it_is_corrected(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "true");
    production(&ns).await?;
    let good = asking(&ns, "1s", json!({})).await?;
    let with = |item: Value| {
        let mut spec = good.clone();
        let query = spec["validation"]["items"][0]["promQL"].take();
        spec["validation"]["items"][0]["promQL"] = merged(query, item);
        spec
    };
    let wrongs = [
        (json!({"query": "up{n=\"{{namespce}}\"} == bool 1"}), "BadQuery", "unknown variable namespce"),
        (json!({"query": "sum(up == bool 1"}), "BadQuery", "line 1"),
        (json!({"query": "up{n=\"{{namespace}}\"} == 1"}), "BadQuery", "up{n=\"{{namespace}}\"} == bool 1"),
        (json!({"query": "a < bool 1 and b < bool 2"}), "BadQuery", "(a < bool 1) * (b < bool 2)"),
        (json!({"query": "errors_total / requests_total"}), "BadQuery", "valueInRange"),
        (json!({"prometheus": null}), "BadPrometheus", "--prometheus-url"),
        (json!({"prometheus": {"headers": {"Host": "elsewhere"}}}), "BadPrometheus", "Host"),
    ];
    for (n, (item, reason, told)) in wrongs.into_iter().enumerate() {
        let name = format!("wrong-{n}");
        ns.apply(trial_of(&name, with(item))).await?;
        let met = |kanary: &Value| text(condition(kanary, "Stalled"), "/message").contains(told);
        let kanary = ns.until_kanary(&name, told, met).await?;
        assert_eq!((phase(&kanary), &condition(&kanary, "Stalled")["reason"]), ("Starting", &json!(reason)));
    }
    assert_nothing_is_left(&ns).await?;
    ns.patch_kanary("wrong-0", json!({"spec": good})).await?;
    ns.until_phase("wrong-0", "Succeeded").await.map(drop)
}

async fn a_query_that_is_not_known_is_sent(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "true");
    let query = "up{n=~`{{namespace}}\\d*`} == bool 1 limit 5";
    let asking = asking(&ns, "1s", json!({"query": query})).await?;
    validating(&ns, asking).await?;
    let event = until_event(&ns, "QueryNotChecked").await?.message.unwrap_or_default();
    assert!(event.contains("limit 5"), "{event}");
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert_eq!(item(&kanary)["query"], query.replace("{{namespace}}", ns.name()).as_str());
    Ok(())
}

async fn what_must_not_be_reached_is_not_reached(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    for (name, url, told) in [
        ("metadata", "http://169.254.169.254/latest", "metadata"),
        ("itself", "http://127.0.0.1:18080", "own host"),
        ("decimal", "http://2130706433:18080", "own host"),
        ("compatible", "http://[::7f00:1]:18080", "own host"),
    ] {
        let mut spec = asking(&ns, "1s", json!({})).await?;
        spec["validation"]["items"][0]["promQL"]["prometheus"]["url"] = json!(url);
        ns.apply(trial_of(name, spec)).await?;
        let met = |kanary: &Value| text(condition(kanary, "Stalled"), "/message").contains(told);
        let kanary = ns.until_kanary(name, told, met).await?;
        assert_eq!(condition(&kanary, "Stalled")["reason"], "BadPrometheus");
    }
    // A name resolves to what its owner chooses, which shows when it is queried.
    let mut spec = asking(&ns, "1s", json!({})).await?;
    spec["validation"]["items"][0]["promQL"]["prometheus"]["url"] = json!("http://localhost:18080");
    ns.apply(trial(spec)).await?;
    until_held(&ns, "own host").await.map(drop)
}

async fn a_token_is_read_from_a_secret_that_the_role_names(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "true");
    let token = json!({"prometheus": {"bearerTokenSecretRef": {"name": "metrics", "key": "token"}}});
    let asking = asking(&ns, "2s", token).await?;
    validating(&ns, asking).await?;
    until_held(&ns, "not allowed to read Secret metrics").await?;
    may_read_secret(&ns, "metrics").await?;
    until_held(&ns, "Secret metrics does not exist").await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "metrics"}, "stringData": {"token": "sesame"}});
    ns.apply(secret).await?;
    until_held(&ns, "does not have the label").await?;
    let label = json!({"metadata": {"labels": {"kanary.k8s.io/prometheus": "true"}}});
    ns.patch::<Secret>("metrics", label).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    let seen = plays().get(ns.name()).map(|(_, seen)| seen.clone());
    assert_eq!(seen.as_deref(), Some("Bearer sesame"));
    ns.get::<Role>("metrics").await?;
    ns.get::<RoleBinding>("metrics").await.map(drop)
}

async fn what_was_forgiven_is_not_forgotten(ns: TestNamespace) -> Result<(), Error> {
    play(&ns, "true");
    let asking = asking(&ns, "6s", json!({"failureLimit": 100})).await?;
    validating(&ns, asking).await?;
    ns.until_kanary(TRIAL, "is valid so far", |kanary| item(kanary)["verdict"] == "Valid").await?;
    play(&ns, "false");
    ns.until_kanary(TRIAL, "a false answer is counted", |kanary| item(kanary)["failures"].as_i64() > Some(0)).await?;
    play(&ns, "true");
    let kanary = ns.until_phase(TRIAL, "Succeeded").await?;
    assert!(item(&kanary)["failures"].as_i64() > Some(0), "{kanary}");
    Ok(())
}
