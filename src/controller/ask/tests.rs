//! The asking, against a server that behaves as a Prometheus, a proxy, or neither.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use super::*;
use crate::api::PromQl;

const TRUE: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;

/// Requests that came, to the plays that count them.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Each play is a path before `/api/v1/query`.
async fn play(Path(play): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let text =
        |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    match play.as_str() {
        "true" => TRUE.into_response(),
        "counts" => {
            COUNT.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            TRUE.into_response()
        }
        "hangs" => std::future::pending().await,
        "drips" => Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()).into_response(),
        "redirects" => (StatusCode::FOUND, [(header::LOCATION, "/true/api/v1/query")]).into_response(),
        "breaks-off" => {
            let broken: Vec<Result<Bytes, std::io::Error>> =
                vec![Ok(Bytes::from_static(b"{\"status\":")), Err(std::io::Error::other("gone"))];
            Body::from_stream(futures::stream::iter(broken)).into_response()
        }
        "floods" => {
            Body::from_stream(futures::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b' '; 65536]))))
                .into_response()
        }
        "echoes" => {
            let form: BTreeMap<String, String> = form_of(&body);
            let seen = json!([
                text(header::AUTHORIZATION),
                text(header::USER_AGENT),
                text("x-scope-orgid".parse().expect("name")),
                form
            ]);
            json!({"status": "error", "error": seen.to_string()}).to_string().into_response()
        }
        code => StatusCode::from_u16(code.parse().expect("a status")).expect("a status").into_response(),
    }
}

fn form_of(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// Where the server listens.
async fn served() -> String {
    let router = Router::new().route("/{play}/api/v1/query", post(play));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A cluster that has these Secrets, and no other. For one that is null it does not answer.
fn cluster(secrets: Value) -> kube::Client {
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let hangs = secrets.get(&name).is_some_and(Value::is_null);
        let (status, body) = match secrets.get(&name) {
            Some(Value::String(_)) => {
                (403, json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden"}))
            }
            Some(secret) => (200, secret.clone()),
            None => (404, json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"})),
        };
        let response =
            http::Response::builder().status(status).body(kube::client::Body::from(body.to_string().into_bytes()));
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(response.expect("a response"))
        }
    });
    kube::Client::new(service, "shop")
}

fn asker_with(access: Access, secrets: Value) -> Asker {
    Asker::new(access, cluster(secrets), Arc::new(Metrics::new()))
}

fn asker_of(access: Access, secrets: Value) -> Arc<Asker> {
    Arc::new(asker_with(access, secrets))
}

fn asker() -> Arc<Asker> {
    asker_of(Access::default(), json!({}))
}

fn question(url: &str, prometheus: Value) -> Query {
    let prom_ql: PromQl = serde_json::from_value(json!({"query": "up", "prometheus": prometheus})).expect("an item");
    Query {
        item: "errors".into(),
        hash: "hash".into(),
        query: "up{a=\"ä&b\"} == bool 1".into(),
        url: url.into(),
        prom_ql,
        pods: ["pod".to_owned()].into(),
        held: jiff::SignedDuration::ZERO,
        due: jiff::Timestamp::UNIX_EPOCH,
    }
}

async fn asked(asker: &Arc<Asker>, url: &str, prometheus: Value) -> String {
    match asker.ask("shop", &question(url, prometheus)).await.1 {
        Outcome::Unknown(why) => why,
        conclusive => conclusive.word().into(),
    }
}

#[tokio::test]
async fn each_trouble_is_told_by_its_name() {
    let (server, asker) = (served().await, asker());
    let plays = [
        ("true", "true"),
        ("401", "401 (credentials"),
        ("403", "403 (credentials"),
        ("404", "404 (is the URL"),
        ("422", "422"),
        ("429", "429"),
        ("500", "500"),
        ("503", "503"),
        ("redirects", "302 (redirects are not followed"),
        ("breaks-off", "broke off"),
        ("floods", "longer than 1048576 bytes"),
    ];
    for (play, told) in plays {
        let answer = asked(&asker, &format!("{server}/{play}"), json!(null)).await;
        assert!(answer.contains(told), "{play}: {answer}");
    }
    // Nobody listens there any more.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let answer = asked(&asker, &format!("http://{closed}"), json!(null)).await;
    assert!(answer.contains("cannot connect") && answer.contains("refused"), "{answer}");
}

/// In the original, a Prometheus that hung stopped every canary.
#[tokio::test]
async fn a_server_that_hangs_delays_its_own_only() {
    let server = served().await;
    let asker = Arc::new(Asker { patience: Duration::from_secs(1), ..asker_with(Access::default(), json!({})) });
    let hung: Vec<_> = (0..MOST_TO_ONE * 2)
        .map(|n| {
            let mut question = question(&format!("{server}/hangs"), json!(null));
            question.query = format!("vector({n})");
            let asker = asker.clone();
            tokio::spawn(async move { asker.ask("shop", &question).await.1 })
        })
        .collect();
    let other = served().await;
    assert_eq!(asked(&asker, &format!("{other}/true"), json!(null)).await, "true");
    assert!(hung.iter().all(|one| !one.is_finished()), "the other server did not wait for this one");
    for one in hung {
        assert_eq!(one.await.expect("no panic"), Outcome::Unknown("no answer within 1s".into()));
    }
    assert_eq!(asked(&asker, &format!("{server}/drips"), json!(null)).await, "no answer within 1s");
}

#[tokio::test]
async fn the_same_question_at_the_same_time_is_sent_once() {
    let (server, asker) = (served().await, asker());
    let url = format!("{server}/counts");
    let all = futures::future::join_all((0..20).map(|_| asked(&asker, &url, json!(null)))).await;
    assert!(all.iter().all(|answer| answer == "true"), "{all:?}");
    assert_eq!(COUNT.load(Ordering::SeqCst), 1);
    assert!(lock(&asker.flights).is_empty(), "nothing is kept");
}

#[tokio::test]
async fn what_is_sent_is_what_the_user_asked_for() {
    let secrets = json!({
        "token": secret(json!({"token": "c2VjcmV0Cg=="}), true),
        "login": secret(json!({"username": "YW5u", "password": "cHc="}), true),
    });
    let (server, asker) = (served().await, asker_of(Access::default(), secrets));
    let cases = [
        (json!({}), ["", ""]),
        (
            json!({"bearerTokenSecretRef": {"name": "token"}, "headers": {"X-Scope-OrgID": "team-a"}}),
            ["Bearer secret", "team-a"],
        ),
        (json!({"basicAuthSecretRef": {"name": "login"}}), ["Basic YW5uOnB3", ""]),
    ];
    for (prometheus, [authorization, tenant]) in cases {
        let answer = asked(&asker, &format!("{server}/echoes"), prometheus).await;
        let seen: Value = serde_json::from_str(&answer[answer.find('[').expect("a list")..]).expect("JSON");
        let form = json!({"query": "up{a=\"ä&b\"} == bool 1", "timeout": "5000ms"});
        assert_eq!(seen, json!([authorization, concat!("kanary/", env!("CARGO_PKG_VERSION")), tenant, form]));
    }
}

fn secret(data: Value, labelled: bool) -> Value {
    let labels = if labelled { json!({"kanary.k8s.io/prometheus": "true"}) } else { json!({}) };
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop", "labels": labels}, "data": data})
}

#[tokio::test]
async fn a_secret_that_does_not_serve_is_named() {
    let secrets = json!({
        "unlabelled": secret(json!({"token": "c2VjcmV0"}), false),
        "empty": secret(json!({}), true),
        "hidden": "403",
    });
    let (server, asker) = (served().await, asker_of(Access::default(), secrets));
    let cases = [
        ("unlabelled", "does not carry the label"),
        ("empty", "has no key token"),
        ("hidden", "may not read Secret hidden"),
        ("missing", "no Secret missing"),
    ];
    for (name, told) in cases {
        let answer = asked(&asker, &format!("{server}/true"), json!({"bearerTokenSecretRef": {"name": name}})).await;
        assert!(answer.contains(told), "{answer}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_leads_nowhere() {
    let server = served().await.replace("127.0.0.1", "localhost");
    let answer = asked(&asker(), &format!("{server}/true"), json!(null)).await;
    assert!(answer.contains("the controller's own host"), "{answer}");
    let trusted = Access { url: Some(format!("{server}/true")), ..Access::default() };
    assert_eq!(asked(&asker_of(trusted, json!({})), &format!("{server}/true"), json!(null)).await, "true");
}

/// The operator's own may be on the controller's host, and is known by its whole URL.
#[tokio::test]
async fn what_the_operator_trusts_is_trusted_in_no_other_words() {
    let server = served().await.replace("127.0.0.1", "localhost");
    let (own, other) = (format!("{server}/true"), format!("{server}/true/"));
    for order in [[&own, &other, &own], [&other, &own, &other]] {
        let asker = asker_of(Access { url: Some(own.clone()), ..Access::default() }, json!({}));
        for url in order {
            let answer = asked(&asker, url, json!(null)).await;
            assert_eq!(answer == "true", url == &own, "{url}: {answer}");
            assert!(url == &own || answer.contains("the controller's own host"), "{url}: {answer}");
        }
    }
}

/// A Prometheus that answers is asked while the API server does not.
#[tokio::test]
async fn secrets_that_hang_delay_their_own_questions_only_and_not_for_ever() {
    let server = served().await;
    let asker_for = |patience| Asker { patience, ..asker_with(Access::default(), json!({"slow": null})) };
    let asker = Arc::new(asker_for(Duration::from_secs(600)));
    let slow = json!({"basicAuthSecretRef": {"name": "slow"}, "caSecretRef": {"name": "slow"}});
    let hung: Vec<_> = (0..MOST_TO_ONE)
        .map(|n| {
            let mut question = question(&format!("{server}/true"), slow.clone());
            question.query = format!("vector({n})");
            let asker = asker.clone();
            tokio::spawn(async move { asker.ask("shop", &question).await.1 })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(asked(&asker, &format!("{server}/true"), json!(null)).await, "true");
    assert!(hung.iter().all(|one| !one.is_finished()), "that question did not wait for these");
    hung.iter().for_each(tokio::task::JoinHandle::abort);
    let question = question(&format!("{server}/true"), slow);
    let told = Arc::new(asker_for(Duration::from_millis(5))).ask("shop", &question).await.1;
    assert_eq!(told, Outcome::Unknown("cannot read its Secrets: no answer within 5ms".into()));
}

#[tokio::test]
async fn a_broken_certificate_authority_is_no_panic() {
    let secrets = json!({"ca": secret(json!({"ca.crt": "bm8gUEVN"}), true)});
    let asker = asker_of(Access::default(), secrets);
    let answer = asked(&asker, "https://127.0.0.1:1", json!({"caSecretRef": {"name": "ca"}})).await;
    assert!(answer.contains("TLS") || answer.contains("connect"), "{answer}");
}
