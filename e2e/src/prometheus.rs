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

/// Two scrapes make a rate; a machine that is busy scrapes late.
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
    /// Starts one more and waits until it answers. It has no memory of what was before.
    pub async fn start(artifacts: &Artifacts) -> Result<Self, Error> {
        let mut prometheus = Self::spawn(artifacts, "127.0.0.1".into(), None)?;
        let ready = format!("{}/-/ready", prometheus.url);
        prometheus.client.until_ok(&mut prometheus.process, &ready).await?;
        Ok(prometheus)
    }

    /// Starts one that speaks https only, with the certificate of the lab's API server, and that wants the password
    /// `sesame` of the user `kanary`. It may not answer yet, and [`Self::query`] and its like cannot ask it.
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

    /// Where it answers, inside the lab.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What an instant query finds now. A scalar is one sample without labels.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>, Error> {
        let (status, body) = self.client.post(&format!("{}/api/v1/query", self.url), "query", query).await?;
        if status != 200 {
            return Err(Error::wrong(format!("Prometheus answers {status} to {query}: {body}")));
        }
        let answer: Value = serde_json::from_str(&body)?;
        samples(&answer["data"]).ok_or_else(|| Error::wrong(format!("{query} has the answer {body}")))
    }

    /// Its own metrics, as text.
    pub async fn page(&self) -> Result<String, Error> {
        match self.client.get(&format!("{}/metrics", self.url)).await? {
            (200, page) => Ok(page),
            (status, body) => Err(Error::wrong(format!("Prometheus answers {status} to /metrics: {body}"))),
        }
    }

    /// Asks again until `met` holds for the answer.
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
                return Err(Error::wrong(format!("{awaited}: in vain; {query} is {found:?}")));
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// SIGSTOP: it hangs, and connections to it stay open.
    pub fn freeze(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// SIGCONT: it goes on; what it did not scrape meanwhile is missing.
    pub fn thaw(&self) -> Result<(), Error> {
        self.process.signal(Signal::SIGCONT)
    }

    /// SIGKILL: nobody listens there any more.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.process.kill().await.map(drop)
    }
}

/// One endpoint has the metrics of all pods; their labels are those that a scrape of each pod would give. The rules are the
/// shipped ones, which are about the controller's metrics too; there may be no controller.
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

/// The rules that the repository ships; Prometheus does not start on one that it cannot read.
pub fn rules() -> PathBuf {
    manifests::repository().join("prometheus/rules.yaml")
}

/// One value of an answer.
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
