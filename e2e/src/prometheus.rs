//! A real Prometheus that scrapes the lab's pods each second.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::backend::METRICS_PORT;
use crate::call::Caller;
use crate::kit::Kit;
use crate::process::Process;
use crate::tools::Tool;
use crate::{Context, Error};

/// Where the one listens that all tests share; others follow.
pub const PORT: u16 = 19090;

/// Two scrapes make a rate; a machine that is busy scrapes late.
const PATIENCE: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_millis(100);

static COUNT: AtomicU16 = AtomicU16::new(0);

/// A running Prometheus; dropped, it stays until the lab ends.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    url: String,
    caller: Caller,
}

impl Prometheus {
    /// Starts one more and waits until it answers. It has no memory of what was before.
    pub async fn start(kit: &Kit) -> Result<Self, Error> {
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let (name, address) = (format!("prometheus-{nth}"), format!("127.0.0.1:{}", PORT + nth));
        let config = kit.dir.join(format!("{name}.json"));
        // JSON is YAML.
        fs::write(&config, scraping().to_string()).context(|| format!("write {}", config.display()))?;
        let mut command = Command::new(kit.tools.path(Tool::Prometheus)?);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", kit.dir.join(&name).display()));
        command.arg(format!("--web.listen-address={address}")).current_dir(&kit.dir);
        let process = Process::spawn(&name, command, kit.dir.join("logs").join(format!("{name}.log")))?;
        let mut prometheus = Self { process, url: format!("http://{address}"), caller: Caller::default() };
        let ready = format!("{}/-/ready", prometheus.url);
        prometheus.caller.until_ok(&mut prometheus.process, &ready).await?;
        Ok(prometheus)
    }

    /// Where it answers, inside the lab.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What an instant query finds now. A scalar is one sample without labels.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>, Error> {
        let (status, body) = self.caller.post(&format!("{}/api/v1/query", self.url), "query", query).await?;
        if status != 200 {
            return Err(Error::wrong(format!("Prometheus answers {status} to {query}: {body}")));
        }
        let answer: Value = serde_json::from_str(&body)?;
        samples(&answer["data"]).ok_or_else(|| Error::wrong(format!("{query} has the answer {body}")))
    }

    /// Its own metrics, as text.
    pub async fn page(&self) -> Result<String, Error> {
        match self.caller.get(&format!("{}/metrics", self.url)).await? {
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

/// One endpoint has the metrics of all pods; their labels are those that a scrape of each pod would give.
fn scraping() -> Value {
    let target = format!("127.0.0.1:{METRICS_PORT}");
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{
            "job_name": "pods", "honor_labels": true, "static_configs": [{"targets": [target]}],
        }],
    })
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
