//! Queries to a server that behaves as a Prometheus, a proxy, or neither.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
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
    let service = tower::service_fn(move |request: ::http::Request<kube::client::Body>| {
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
            ::http::Response::builder().status(status).body(kube::client::Body::from(body.to_string().into_bytes()));
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(response.expect("a response"))
        }
    });
    kube::Client::new(service, "shop")
}

fn client_with(egress: EgressPolicy, secrets: Value) -> PrometheusClient {
    PrometheusClient::new(egress, cluster(secrets), Arc::new(Metrics::new()))
}

fn client_of(egress: EgressPolicy, secrets: Value) -> Arc<PrometheusClient> {
    Arc::new(client_with(egress, secrets))
}

fn client() -> Arc<PrometheusClient> {
    client_of(EgressPolicy::default(), json!({}))
}

fn query(url: &str, prometheus: Value) -> Query {
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

async fn evaluated(client: &Arc<PrometheusClient>, url: &str, prometheus: Value) -> String {
    match client.query("shop", &query(url, prometheus)).await.1 {
        Outcome::Unknown(why) => why,
        conclusive @ (Outcome::True(_) | Outcome::False(_)) => conclusive.as_str().into(),
    }
}

#[tokio::test]
async fn each_failure_is_reported_by_its_name() {
    let (server, client) = (served().await, client());
    let plays = [
        ("true", "true"),
        ("401", "401 (credentials"),
        ("403", "403 (credentials"),
        ("404", "404 (prometheus.url must"),
        ("422", "422"),
        ("429", "429"),
        ("500", "500"),
        ("503", "503"),
        ("redirects", "302 (redirects are not followed"),
        ("breaks-off", "broke before the response"),
        ("floods", "larger than 1 MiB"),
    ];
    for (play, expected) in plays {
        let outcome = evaluated(&client, &format!("{server}/{play}"), json!(null)).await;
        assert!(outcome.contains(expected), "{play}: {outcome}");
    }
    // Nobody listens there any more.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let outcome = evaluated(&client, &format!("http://{closed}"), json!(null)).await;
    assert!(
        outcome.contains(&format!("cannot connect to http://{closed}: ")) && outcome.contains("refused"),
        "{outcome}"
    );
    let outcome = evaluated(&client, "http://prometheus.invalid:9090/path", json!(null)).await;
    assert!(outcome.starts_with("cannot connect to http://prometheus.invalid:9090: "), "{outcome}");
}

/// In the original, a Prometheus that hung stopped every canary.
#[tokio::test]
async fn a_server_that_hangs_delays_only_its_own_queries() {
    let server = served().await;
    let client = Arc::new(PrometheusClient {
        timeout: Duration::from_secs(1),
        ..client_with(EgressPolicy::default(), json!({}))
    });
    let hung: Vec<_> = (0..MAX_TO_ONE_SERVER * 2)
        .map(|n| {
            let mut query = query(&format!("{server}/hangs"), json!(null));
            query.query = format!("vector({n})");
            let client = client.clone();
            tokio::spawn(async move { client.query("shop", &query).await.1 })
        })
        .collect();
    let other = served().await;
    assert_eq!(evaluated(&client, &format!("{other}/true"), json!(null)).await, "true");
    assert!(hung.iter().all(|one| !one.is_finished()), "the other server did not wait for this one");
    for one in hung {
        assert_eq!(one.await.expect("no panic"), Outcome::Unknown("no answer within 1s".into()));
    }
    assert_eq!(evaluated(&client, &format!("{server}/drips"), json!(null)).await, "no answer within 1s");
}

#[tokio::test]
async fn the_same_query_at_the_same_time_is_sent_once() {
    let (server, client) = (served().await, client());
    let url = format!("{server}/counts");
    let all = futures::future::join_all((0..20).map(|_| evaluated(&client, &url, json!(null)))).await;
    assert!(all.iter().all(|outcome| outcome == "true"), "{all:?}");
    assert_eq!(COUNT.load(Ordering::SeqCst), 1);
    assert!(client.running.lock().is_empty(), "nothing is kept");
}

#[tokio::test]
async fn what_is_sent_is_what_the_user_wrote() {
    let secrets = json!({
        "token": secret(json!({"token": "c2VjcmV0Cg=="}), true),
        "login": secret(json!({"username": "YW5u", "password": "cHc="}), true),
    });
    let (server, client) = (served().await, client_of(EgressPolicy::default(), secrets));
    let cases = [
        (json!({}), ["", ""]),
        (
            json!({"bearerTokenSecretRef": {"name": "token"}, "headers": {"X-Scope-OrgID": "team-a"}}),
            ["Bearer secret", "team-a"],
        ),
        (json!({"basicAuthSecretRef": {"name": "login"}}), ["Basic YW5uOnB3", ""]),
    ];
    for (prometheus, [authorization, tenant]) in cases {
        let outcome = evaluated(&client, &format!("{server}/echoes"), prometheus).await;
        let seen: Value = serde_json::from_str(&outcome[outcome.find('[').expect("a list")..]).expect("JSON");
        let form = json!({"query": "up{a=\"ä&b\"} == bool 1", "timeout": "5000ms"});
        assert_eq!(seen, json!([authorization, concat!("kanary/", env!("CARGO_PKG_VERSION")), tenant, form]));
    }
}

fn secret(data: Value, labelled: bool) -> Value {
    let labels = if labelled { json!({"kanary.k8s.io/prometheus": "true"}) } else { json!({}) };
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop", "labels": labels}, "data": data})
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_named() {
    let secrets = json!({
        "unlabelled": secret(json!({"token": "c2VjcmV0"}), false),
        "empty": secret(json!({}), true),
        "hidden": "403",
    });
    let (server, client) = (served().await, client_of(EgressPolicy::default(), secrets));
    let cases = [
        ("unlabelled", "does not have the label"),
        ("empty", "has no key token"),
        ("hidden", "not allowed to read Secret hidden"),
        ("missing", "Secret missing does not exist"),
    ];
    for (name, expected) in cases {
        let outcome =
            evaluated(&client, &format!("{server}/true"), json!({"bearerTokenSecretRef": {"name": name}})).await;
        assert!(outcome.contains(expected), "{outcome}");
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_a_forbidden_address_is_refused() {
    let server = served().await.replace("127.0.0.1", "localhost");
    let outcome = evaluated(&client(), &format!("{server}/true"), json!(null)).await;
    assert!(outcome.contains("the controller's own host"), "{outcome}");
    let trusted = EgressPolicy { url: Some(format!("{server}/true")), ..EgressPolicy::default() };
    assert_eq!(evaluated(&client_of(trusted, json!({})), &format!("{server}/true"), json!(null)).await, "true");
}

/// The operator's own may be on the controller's host, and is known by its whole URL.
#[tokio::test]
async fn what_the_operator_trusts_is_trusted_in_no_other_spelling() {
    let server = served().await.replace("127.0.0.1", "localhost");
    let (own, other) = (format!("{server}/true"), format!("{server}/true/"));
    for order in [[&own, &other, &own], [&other, &own, &other]] {
        let client = client_of(EgressPolicy { url: Some(own.clone()), ..EgressPolicy::default() }, json!({}));
        for url in order {
            let outcome = evaluated(&client, url, json!(null)).await;
            assert_eq!(outcome == "true", url == &own, "{url}: {outcome}");
            assert!(url == &own || outcome.contains("the controller's own host"), "{url}: {outcome}");
        }
    }
}

/// A Prometheus that answers is queried while the API server does not.
#[tokio::test]
async fn secrets_that_hang_delay_only_their_own_queries_and_for_a_limited_time() {
    let server = served().await;
    let client_for =
        |timeout| PrometheusClient { timeout, ..client_with(EgressPolicy::default(), json!({"slow": null})) };
    let client = Arc::new(client_for(Duration::from_secs(600)));
    let slow = json!({"basicAuthSecretRef": {"name": "slow"}, "caSecretRef": {"name": "slow"}});
    let hung: Vec<_> = (0..MAX_TO_ONE_SERVER)
        .map(|n| {
            let mut query = query(&format!("{server}/true"), slow.clone());
            query.query = format!("vector({n})");
            let client = client.clone();
            tokio::spawn(async move { client.query("shop", &query).await.1 })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(evaluated(&client, &format!("{server}/true"), json!(null)).await, "true");
    assert!(hung.iter().all(|one| !one.is_finished()), "that query did not wait for these");
    hung.iter().for_each(tokio::task::JoinHandle::abort);
    let query = query(&format!("{server}/true"), slow);
    let outcome = Arc::new(client_for(Duration::from_millis(5))).query("shop", &query).await.1;
    assert_eq!(outcome, Outcome::Unknown("cannot read its Secrets: no answer within 5ms".into()));
}

#[tokio::test]
async fn a_broken_certificate_authority_is_no_panic() {
    let secrets = json!({"ca": secret(json!({"ca.crt": "bm8gUEVN"}), true)});
    let client = client_of(EgressPolicy::default(), secrets);
    let outcome = evaluated(&client, "https://127.0.0.1:1", json!({"caSecretRef": {"name": "ca"}})).await;
    assert!(outcome.contains("TLS") || outcome.contains("connect"), "{outcome}");
}
