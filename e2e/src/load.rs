//! A given number of requests, through a proxy of the lab or directly to its pods.
//!
//! Each can be identified: its response has the number that the pod gave its arrival, so an arrival without a response
//! was a copy, or a retry of a proxy.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use futures::future::join_all;
use http::{HeaderMap, Request, Response, header};
use tokio::task::JoinHandle;

use crate::{
    Context, Error,
    backend::{ARRIVAL, LOAD, POD},
    http_client::HttpClient,
};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Requests to send. By default: one GET of `/`.
#[derive(Debug, Clone)]
pub struct Load {
    to: Vec<SocketAddr>,
    host: String,
    method: http::Method,
    path: String,
    count: usize,
    at_once: usize,
    per_second: Option<f64>,
}

impl Load {
    /// To these addresses in turn, with this Host. Only addresses of the lab are allowed.
    pub fn new(to: Vec<SocketAddr>, host: &str) -> Result<Self, Error> {
        if let Some(foreign) = to.iter().find(|address| !is_ours(address.ip())) {
            return Err(Error::wrong(format!("{foreign} is not an address of the lab")));
        }
        if to.is_empty() {
            return Err(Error::wrong(format!("no address to send requests for {host} to")));
        }
        let (method, path) = (http::Method::GET, "/".to_owned());
        Ok(Self { to, host: host.into(), method, path, count: 1, at_once: 16, per_second: None })
    }

    /// With another Host.
    pub fn host(self, host: &str) -> Self {
        Self { host: host.into(), ..self }
    }

    /// Their total number.
    pub fn count(self, count: usize) -> Self {
        Self { count, ..self }
    }

    /// How many at the same time; 16 by default.
    pub fn at_once(self, at_once: usize) -> Self {
        Self { at_once, ..self }
    }

    /// The maximum rate; by default as fast as they are answered.
    pub fn per_second(self, rate: f64) -> Self {
        Self { per_second: Some(rate), ..self }
    }

    /// Their method and path, e.g. `POST` of `/cart`.
    pub fn of(self, method: http::Method, path: &str) -> Self {
        Self { method, path: path.into(), ..self }
    }

    /// Sends them all, and returns the responses.
    pub async fn run(self) -> Report {
        self.send(Arc::default(), Arc::default()).await
    }

    /// Sends them in the background.
    pub fn start(self) -> Running {
        let (stopped, answers) = (Arc::new(AtomicBool::new(false)), Answers::default());
        Running { task: tokio::spawn(self.send(stopped.clone(), answers.clone())), stopped, answers }
    }

    async fn send(self, stopped: Arc<AtomicBool>, answers: Answers) -> Report {
        let id = format!("load-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (next, begun, client) = (AtomicUsize::new(0), Instant::now(), HttpClient::default());
        let worker = async || {
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= self.count || stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(rate) = self.per_second {
                    let due = begun + Duration::from_secs_f64(nth as f64 / rate);
                    tokio::time::sleep_until(due.into()).await;
                }
                let answer = self.answer(&client, nth, &id).await;
                lock(&answers).push(answer);
            }
        };
        join_all((0..self.at_once).map(|_| worker())).await;
        let elapsed = begun.elapsed();
        let answers = std::mem::take(&mut *lock(&answers));
        Report { id, answers, elapsed }
    }

    async fn answer(&self, client: &HttpClient, nth: usize, id: &str) -> Answer {
        let begun = Instant::now();
        let answer = match self.request(nth, id) {
            Ok(request) => client.send(request).await,
            Err(error) => Err(error),
        };
        Answer::read(answer, begun.elapsed())
    }

    fn request(&self, nth: usize, id: &str) -> Result<Request<Body>, Error> {
        let url = format!("http://{}{}", self.to[nth % self.to.len()], self.path);
        let request = Request::builder().method(self.method.clone()).uri(&url);
        request.header(header::HOST, &self.host).header(LOAD, id).body(Body::empty()).context(|| url)
    }
}

/// Loopback, and what the lab's network makes local.
fn is_ours(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.octets()[0] == 10,
        IpAddr::V6(address) => address.is_loopback(),
    }
}

/// The answers so far.
type Answers = Arc<Mutex<Vec<Answer>>>;

fn lock(answers: &Answers) -> MutexGuard<'_, Vec<Answer>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A load under way.
#[derive(Debug)]
pub struct Running {
    task: JoinHandle<Report>,
    stopped: Arc<AtomicBool>,
    answers: Answers,
}

impl Running {
    /// How many answers so far are like this.
    pub fn so_far(&self, like: impl Fn(&Answer) -> bool) -> usize {
        lock(&self.answers).iter().filter(|answer| like(answer)).count()
    }

    /// Sends no more requests; returns the answers once those in flight are done.
    pub async fn stop(self) -> Result<Report, Error> {
        self.stopped.store(true, Ordering::Relaxed);
        self.done().await
    }

    /// Waits for the last answer.
    pub async fn done(mut self) -> Result<Report, Error> {
        (&mut self.task).await.context(|| "a load".into())
    }
}

/// A load ends with its test.
impl Drop for Running {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status; 0 = no response.
    pub status: u16,
    /// The pod's name; if no pod answered, the body or the error.
    pub from: String,
    /// The arrival that it answers; none if a proxy answered by itself.
    pub arrival: Option<u64>,
    /// How long it took.
    pub latency: Duration,
}

impl Answer {
    fn read(answer: Result<Response<Bytes>, Error>, latency: Duration) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Self { status: 0, from: error.to_string(), arrival: None, latency },
        };
        let text = |headers: &HeaderMap, name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let arrival = text(answer.headers(), ARRIVAL).and_then(|number| number.parse().ok());
        let body = || String::from_utf8_lossy(answer.body()).into_owned();
        let from = text(answer.headers(), POD).unwrap_or_else(body);
        Self { status: answer.status().as_u16(), from, arrival, latency }
    }
}

/// The result of a load.
#[derive(Debug, Clone)]
pub struct Report {
    /// The value of its requests' header `x-lab-load`.
    pub id: String,
    /// One answer for each request.
    pub answers: Vec<Answer>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Report {
    /// How many of each status.
    pub fn statuses(&self) -> BTreeMap<u16, usize> {
        counted(self.answers.iter().map(|answer| answer.status))
    }

    /// How many from each pod.
    pub fn pods(&self) -> BTreeMap<&str, usize> {
        counted(self.answers.iter().map(|answer| answer.from.as_str()))
    }

    /// The latency that this share of answers (0 to 1) did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut all: Vec<Duration> = self.answers.iter().map(|answer| answer.latency).collect();
        all.sort();
        let rank = (all.len() as f64 * share).ceil() as usize;
        all.get(rank.clamp(1, all.len().max(1)) - 1).copied().unwrap_or_default()
    }
}

fn counted<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Load, Report};

    #[test]
    fn only_addresses_of_the_lab_are_called() {
        let to = |address: &str| Load::new(vec![address.parse().unwrap()], "web").is_ok();
        assert!(to("127.0.0.1:80") && to("10.244.0.7:8080"));
        assert!(!to("192.0.2.1:80") && !to("8.8.8.8:53"));
        assert!(Load::new(Vec::new(), "web").is_err());
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let answer = |ms| Answer { status: 200, from: "a".into(), arrival: None, latency: Duration::from_millis(ms) };
        let report = Report { id: "x".into(), answers: (1..=100).map(answer).collect(), elapsed: Duration::ZERO };
        let percentiles = [0.0, 0.5, 0.99, 1.0].map(|share| report.percentile(share).as_millis());
        assert_eq!(percentiles, [1, 50, 99, 100]);
    }
}
