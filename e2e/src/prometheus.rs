//! A real Prometheus that scrapes the lab's pods each second.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    Context, Error,
    artifacts::Artifacts,
    backend::METRICS_PORT,
    http_client::HttpClient,
    manifests,
    network::{FIRST_CONTROLLER_PORT, FIRST_PROMETHEUS_PORT, NODE_IP},
    pki::Pki,
    process::Process,
    tool::Tool,
};

/// A rate needs two scrapes, which are late on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_millis(100);

/// The bcrypt hash of `sesame`, of the lowest cost.
const SESAME: &str = "$2b$04$k7lBktPaRK3GBgKwfXbfh.ex1kFlIs1CZxsyutZKIpRs1gWjPLiOm";

static COUNT: AtomicU16 = AtomicU16::new(0);

/// A running Prometheus; dropped, it stays until the lab ends.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    url: String,
    client: HttpClient,
}

impl Prometheus {
    /// Starts one more and waits until it is ready. It has no data from before.
    pub async fn start(artifacts: &Artifacts) -> Result<Self, Error> {
        let mut prometheus = Self::spawn(artifacts, "127.0.0.1".into(), None)?;
        let ready = format!("{}/-/ready", prometheus.url);
        prometheus.client.until_ok(&mut prometheus.process, &ready).await?;
        Ok(prometheus)
    }

    /// Starts one that serves https only, with the certificate of the lab's API server, and that requires the user
    /// `kanary` with the password `sesame`. It may not be ready yet, and [`Self::query`] and the like cannot query
    /// it.
    pub fn start_guarded(artifacts: &Artifacts, pki: &Pki) -> Result<Self, Error> {
        let web = json!({
            "tls_server_config": {"cert_file": pki.cert, "key_file": pki.key},
            "basic_auth_users": {"kanary": SESAME},
        });
        Self::spawn(artifacts, NODE_IP.to_string(), Some(&web))
    }

    fn spawn(artifacts: &Artifacts, host: String, web: Option<&Value>) -> Result<Self, Error> {
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let (name, address) = (format!("prometheus-{nth}"), format!("{host}:{}", FIRST_PROMETHEUS_PORT + nth));
        // JSON is YAML.
        let write = |name: String, config: &Value| {
            let path = artifacts.dir.join(name);
            fs::write(&path, config.to_string()).context(|| format!("write {}", path.display()))?;
            Ok::<_, Error>(path)
        };
        let mut command = Command::new(artifacts.tools.path(Tool::Prometheus)?);
        command.arg(format!("--config.file={}", write(format!("{name}.json"), &scraping())?.display()));
        command.arg(format!("--storage.tsdb.path={}", artifacts.dir.join(&name).display()));
        command.arg(format!("--web.listen-address={address}")).current_dir(&artifacts.dir);
        if let Some(web) = web {
            command.arg(format!("--web.config.file={}", write(format!("{name}-web.json"), web)?.display()));
        }
        let process = Process::spawn(&name, command, artifacts.dir.join("logs").join(format!("{name}.log")))?;
        let scheme = if web.is_some() { "https" } else { "http" };
        Ok(Self { process, url: format!("{scheme}://{address}"), client: HttpClient::default() })
    }

    /// The flag with which controllers query the one that a lab's [`Setup`](crate::Setup) adds.
    pub fn flag() -> String {
        format!("--prometheus-url=http://127.0.0.1:{FIRST_PROMETHEUS_PORT}")
    }

    /// Its URL, inside the lab.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The result of an instant query now. A scalar is one sample without labels.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>, Error> {
        let (status, body) = self.client.post(&format!("{}/api/v1/query", self.url), "query", query).await?;
        if status != 200 {
            return Err(Error::wrong(format!("Prometheus returned status {status} for {query}: {body}")));
        }
        let answer: Value = serde_json::from_str(&body)?;
        samples(&answer["data"])
            .ok_or_else(|| Error::wrong(format!("the result of {query} is neither a scalar nor a vector: {body}")))
    }

    /// Its own metrics, as text.
    pub async fn page(&self) -> Result<String, Error> {
        match self.client.get(&format!("{}/metrics", self.url)).await? {
            (200, page) => Ok(page),
            (status, body) => Err(Error::wrong(format!("Prometheus returned status {status} for /metrics: {body}"))),
        }
    }

    /// Repeats a query until `met` holds for its result.
    pub async fn until(
        &self,
        query: &str,
        awaited: &str,
        met: impl Fn(&[Sample]) -> bool,
    ) -> Result<Vec<Sample>, Error> {
        let begun = Instant::now();
        loop {
            let found = self.query(query).await?;
            if met(&found) {
                return Ok(found);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Error::wrong(format!("waited {} s: {awaited}; {query} is {found:?}", PATIENCE.as_secs())));
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// SIGSTOP: it hangs, and connections to it stay open.
    pub fn freeze(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// SIGCONT: it continues; the scrapes in between are missing.
    pub fn thaw(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGCONT)
    }

    /// SIGKILL: nothing listens on its port any more.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.process.kill().await.map(drop)
    }
}

/// One endpoint has the metrics of all pods, with the labels that a scrape of each pod would add. The rules are the
/// shipped ones, which also cover the controller's metrics; there may be no controller.
fn scraping() -> Value {
    let at = |port: u16| json!([{"targets": [format!("127.0.0.1:{port}")]}]);
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules()],
        "scrape_configs": [
            {"job_name": "pods", "honor_labels": true, "static_configs": at(METRICS_PORT)},
            {"job_name": "kanary", "static_configs": at(FIRST_CONTROLLER_PORT)},
        ],
    })
}

/// The shipped rules; Prometheus does not start if it cannot read them.
pub fn rules() -> PathBuf {
    manifests::repository().join("prometheus/rules.yaml")
}

/// One value of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// May be NaN or infinite.
    pub value: f64,
}

fn samples(data: &Value) -> Option<Vec<Sample>> {
    match data["resultType"].as_str()? {
        "scalar" => Some(vec![Sample { labels: BTreeMap::new(), value: value(&data["result"])? }]),
        "vector" => data["result"].as_array()?.iter().map(sample).collect(),
        _ => None,
    }
}

fn sample(of: &Value) -> Option<Sample> {
    let labels = serde_json::from_value(of["metric"].clone()).ok()?;
    Some(Sample { labels, value: value(&of["value"])? })
}

/// `[time, "value"]`; Rust reads NaN and +Inf as Prometheus writes them.
fn value(of: &Value) -> Option<f64> {
    of[1].as_str()?.parse().ok()
}
