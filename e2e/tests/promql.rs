//! Evidence from Prometheus: a server that behaves as told, and what becomes of the canary.
//!
//! What a real Prometheus answers to such questions, and what becomes of a canary then, is for `promql_real`.

mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kanary_e2e::{Context, Error, Scene, Setup, cases, harness};
use kube::ResourceExt;
use serde_json::{Value, json};
use support::evidence::*;
use support::*;
use tokio::sync::OnceCell;

fn main() -> ExitCode {
    let cases = cases![
        good_answers_promote: lab_only,
        a_bad_answer_fails_and_says_all: lab_only,
        a_bad_pod_is_named: lab_only,
        no_evidence_holds_and_is_told: lab_only,
        a_server_that_is_gone_and_back_costs_time_and_nothing_else: lab_only,
        a_label_fails_the_run_while_prometheus_hangs: lab_only,
        forgiven_answers_are_counted: lab_only,
        a_wrong_question_makes_nothing_until_it_is_mended: lab_only,
        what_must_not_be_reached_is_not_reached: lab_only,
        a_token_is_read_from_a_secret_that_the_role_names: lab_only,
        what_was_forgiven_is_not_forgotten: lab_only,
    ];
    harness::main(Setup::controller(&[]), cases)
}

/// Every address of this network is the lab's own; this one is nobody else's.
const ADDRESS: &str = "10.77.0.1";

static SERVER: OnceCell<u16> = OnceCell::const_new();
/// What each scene's server plays now, and what Authorization it saw last.
static PLAYS: Mutex<BTreeMap<String, (String, String)>> = Mutex::new(BTreeMap::new());

fn plays() -> std::sync::MutexGuard<'static, BTreeMap<String, (String, String)>> {
    PLAYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on the server of this scene behaves so.
fn play(scene: &Scene, play: &str) {
    plays().entry(scene.namespace().to_owned()).or_default().0 = play.to_owned();
}

/// Where the server of this scene is.
async fn url(scene: &Scene) -> Result<String, Error> {
    let port = SERVER.get_or_try_init(serve).await?;
    Ok(format!("http://{ADDRESS}:{port}/{}", scene.namespace()))
}

async fn serve() -> Result<u16, Error> {
    let router = Router::new().route("/{scene}/api/v1/query", post(answer));
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.context(|| "listen".into())?;
    let port = listener.local_addr().context(|| "listen".into())?.port();
    // The runtime of the whole binary outlives the test that comes first.
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

async fn answer(Path(scene): Path<String>, headers: HeaderMap) -> Response {
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let play = {
        let mut plays = plays();
        let entry = plays.entry(scene).or_default();
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

/// An item that asks this scene's server, twice a second or so, judged for so long.
async fn asking(scene: &Scene, period: &str, item: Value) -> Result<Value, Error> {
    let query =
        merged(json!({"query": "up{n=\"{{namespace}}\"} == bool 1", "prometheus": {"url": url(scene).await?}}), item);
    let items = json!([{"name": "errors", "promQL": query}]);
    Ok(json!({"validation": {"validationPeriod": period, "maxIntervalPeriod": "1s", "items": items}}))
}

fn item(kd: &Value) -> &Value {
    &kd["status"]["items"][0]
}

async fn good_answers_promote(scene: Scene) -> Result<(), Error> {
    play(&scene, "true");
    let asking = asking(&scene, "3s", json!({})).await?;
    validating(&scene, asking).await?;
    let kd = scene.kd_phase(TRIAL, "Succeeded").await?;
    assert_eq!(item(&kd)["verdict"], "Valid");
    assert_eq!(item(&kd)["value"], "1");
    let query = format!("up{{n=\"{}\"}} == bool 1", scene.namespace());
    assert_eq!(item(&kd)["query"], query.as_str());
    assert!(time(&kd, "verdictAt") >= time(&kd, "deadline"), "{kd}");
    assert_eq!(base_image(&scene).await?, "web:2");
    Ok(())
}

async fn a_bad_answer_fails_and_says_all(scene: Scene) -> Result<(), Error> {
    let analyser = json!({"valueInRange": {"min": 0, "max": 0.3}, "allPodsQuery": true, "query": "latency"});
    play(&scene, "x=0.7");
    let asking = asking(&scene, "1h", analyser).await?;
    validating(&scene, asking).await?;
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    let message = text(&kd, "/status/message");
    for told in ["errors", "0.7 > 0.3 (max)", "query: latency"] {
        assert!(message.contains(told), "{message} tells {told}");
    }
    assert_eq!((&item(&kd)["value"], &item(&kd)["bound"]), (&json!("0.7"), &json!("0 to 0.3")));
    let event = until_event(&scene, "Invalid").await?.message.unwrap_or_default();
    assert!(event.contains("0.7 > 0.3 (max)"), "{event}");
    assert_eq!(base_image(&scene).await?, "web:1");
    assert_nothing_is_left(&scene).await
}

async fn a_bad_pod_is_named(scene: Scene) -> Result<(), Error> {
    play(&scene, "empty");
    let analyser = json!({"valueInRange": {"min": 0, "max": 1}, "query": "load{pod=~\"{{canary.pods}}\"}"});
    let asking = asking(&scene, "1h", analyser).await?;
    validating(&scene, merged(asking, json!({"scale": {"static": {"replicas": 2}}}))).await?;
    let mut pods: Vec<_> = until_canary_pods(&scene, 2).await?.iter().map(ResourceExt::name_any).collect();
    pods.sort();
    // What the base's pods do is no business of the canary.
    play(&scene, &format!("web-1=99,{}=0.5,{}=7", pods[0], pods[1]));
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    let message = text(&kd, "/status/message");
    assert!(message.contains(&pods[1]) && message.contains(&pods.join("|")), "{message}");
    Ok(())
}

/// Whatever a server does that is no answer: it holds the clock, is visible, and neither promotes nor fails.
async fn no_evidence_holds_and_is_told(scene: Scene) -> Result<(), Error> {
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
    play(&scene, "empty");
    let asking = asking(&scene, "2s", json!({})).await?;
    validating(&scene, asking).await?;
    for (trouble, told) in troubles {
        play(&scene, trouble);
        let kd = until_held(&scene, told).await?;
        assert_eq!((phase(&kd), &item(&kd)["verdict"]), ("Validating", &json!("Unknown")), "{trouble}");
    }
    assert_eq!(base_image(&scene).await?, "web:1");
    until_event(&scene, "Held").await?;
    play(&scene, "true");
    scene.kd_phase(TRIAL, "Succeeded").await.map(drop)
}

async fn a_server_that_is_gone_and_back_costs_time_and_nothing_else(scene: Scene) -> Result<(), Error> {
    play(&scene, "true");
    let asking = asking(&scene, "8s", json!({})).await?;
    validating(&scene, asking).await?;
    let kd = scene.until_kd(TRIAL, "is valid so far", |kd| item(kd)["verdict"] == "Valid").await?;
    let deadline = time(&kd, "deadline");
    play(&scene, "503");
    let held = until_held(&scene, "503").await?;
    play(&scene, "true");
    let kd = scene.kd_phase(TRIAL, "Succeeded").await?;
    assert!(time(&kd, "deadline") > deadline, "the time without evidence did not count: {kd} {held}");
    assert_eq!(base_image(&scene).await?, "web:2");
    Ok(())
}

/// In the original, a Prometheus that was down kept a label from being seen.
async fn a_label_fails_the_run_while_prometheus_hangs(scene: Scene) -> Result<(), Error> {
    play(&scene, "hangs");
    let mut asking = asking(&scene, "1h", json!({})).await?;
    let watch = json!({"name": "watch", "labelWatch": {"podInvalidationLabels": {"bad": "yes"}}});
    if let Some(items) = asking["validation"]["items"].as_array_mut() {
        items.push(watch);
    }
    validating(&scene, asking).await?;
    let pod = canary_pod(&scene).await?;
    scene.patch::<k8s_openapi::api::core::v1::Pod>(&pod, json!({"metadata": {"labels": {"bad": "yes"}}})).await?;
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    assert!(text(&kd, "/status/message").contains(&pod), "{kd}");
    Ok(())
}

async fn forgiven_answers_are_counted(scene: Scene) -> Result<(), Error> {
    play(&scene, "false");
    let asking = asking(&scene, "1h", json!({"failureLimit": 2})).await?;
    validating(&scene, asking).await?;
    let kd = scene.kd_phase(TRIAL, "Failed").await?;
    assert_eq!(item(&kd)["failures"], 3, "{kd}");
    Ok(())
}

async fn a_wrong_question_makes_nothing_until_it_is_mended(scene: Scene) -> Result<(), Error> {
    play(&scene, "true");
    production(&scene).await?;
    let good = asking(&scene, "1s", json!({})).await?;
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
        (json!({"prometheus": null}), "BadPrometheus", "--prometheus-url"),
        (json!({"prometheus": {"headers": {"Host": "elsewhere"}}}), "BadPrometheus", "Host"),
    ];
    for (n, (item, reason, told)) in wrongs.into_iter().enumerate() {
        let name = format!("wrong-{n}");
        scene.apply(trial_of(&name, with(item))).await?;
        let met = |kd: &Value| text(condition(kd, "Errored"), "/message").contains(told);
        let kd = scene.until_kd(&name, told, met).await?;
        assert_eq!((phase(&kd), &condition(&kd, "Errored")["reason"]), ("Starting", &json!(reason)));
    }
    assert_nothing_is_left(&scene).await?;
    scene.patch_kd("wrong-0", json!({"spec": good})).await?;
    scene.kd_phase("wrong-0", "Succeeded").await.map(drop)
}

async fn what_must_not_be_reached_is_not_reached(scene: Scene) -> Result<(), Error> {
    production(&scene).await?;
    for (name, url, told) in [
        ("metadata", "http://169.254.169.254/latest", "metadata"),
        ("itself", "http://127.0.0.1:18080", "own host"),
        ("decimal", "http://2130706433:18080", "own host"),
    ] {
        let mut spec = asking(&scene, "1s", json!({})).await?;
        spec["validation"]["items"][0]["promQL"]["prometheus"]["url"] = json!(url);
        scene.apply(trial_of(name, spec)).await?;
        let met = |kd: &Value| text(condition(kd, "Errored"), "/message").contains(told);
        let kd = scene.until_kd(name, told, met).await?;
        assert_eq!(condition(&kd, "Errored")["reason"], "BadPrometheus");
    }
    // A name leads where its owner wants; it is seen when it is asked.
    let mut spec = asking(&scene, "1s", json!({})).await?;
    spec["validation"]["items"][0]["promQL"]["prometheus"]["url"] = json!("http://localhost:18080");
    scene.apply(trial(spec)).await?;
    until_held(&scene, "own host").await.map(drop)
}

async fn a_token_is_read_from_a_secret_that_the_role_names(scene: Scene) -> Result<(), Error> {
    play(&scene, "true");
    let token = json!({"prometheus": {"bearerTokenSecretRef": {"name": "metrics", "key": "token"}}});
    let asking = asking(&scene, "2s", token).await?;
    validating(&scene, asking).await?;
    until_held(&scene, "not allowed to read Secret metrics").await?;
    may_read_secret(&scene, "metrics").await?;
    until_held(&scene, "Secret metrics does not exist").await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "metrics"}, "stringData": {"token": "sesame"}});
    scene.apply(secret).await?;
    until_held(&scene, "does not have the label").await?;
    let label = json!({"metadata": {"labels": {"kanary.k8s.io/prometheus": "true"}}});
    scene.patch::<Secret>("metrics", label).await?;
    scene.kd_phase(TRIAL, "Succeeded").await?;
    let seen = plays().get(scene.namespace()).map(|(_, seen)| seen.clone());
    assert_eq!(seen.as_deref(), Some("Bearer sesame"));
    scene.get::<Role>("metrics").await?;
    scene.get::<RoleBinding>("metrics").await.map(drop)
}

async fn what_was_forgiven_is_not_forgotten(scene: Scene) -> Result<(), Error> {
    play(&scene, "true");
    let asking = asking(&scene, "6s", json!({"failureLimit": 100})).await?;
    validating(&scene, asking).await?;
    scene.until_kd(TRIAL, "is valid so far", |kd| item(kd)["verdict"] == "Valid").await?;
    play(&scene, "false");
    scene.until_kd(TRIAL, "a false answer is counted", |kd| item(kd)["failures"].as_i64() > Some(0)).await?;
    play(&scene, "true");
    let kd = scene.kd_phase(TRIAL, "Succeeded").await?;
    assert!(item(&kd)["failures"].as_i64() > Some(0), "{kd}");
    Ok(())
}
