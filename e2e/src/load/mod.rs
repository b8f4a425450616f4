//! A given number of requests, through a proxy of the lab or directly to its pods, as kube-proxy would send them.
//!
//! Each can be identified: its response has the number that the pod gave its arrival, so an arrival without a response
//! was a copy, or a retry of a proxy.

pub mod endpoints;
pub mod order;
pub mod report;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::Body;
use futures::future::join_all;
use http::{Request, header};
use tokio::{sync::watch, task::JoinHandle};

use self::endpoints::Endpoints;
pub use self::report::{Answer, Report};
use crate::{Context, Error, backend::LOAD, http_client::HttpClient, network::is_ours};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Requests to send. By default: one GET of `/`.
#[derive(Debug, Clone)]
pub struct Load {
    to: To,
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
        Ok(Self::of_one(To::Addresses(to), host))
    }

    /// To the pods of a Service that are ready when each request is sent, in turn.
    pub fn to_service(endpoints: Endpoints, host: &str) -> Self {
        Self::of_one(To::Service(endpoints), host)
    }

    fn of_one(to: To, host: &str) -> Self {
        let (method, path) = (http::Method::GET, "/".to_owned());
        Self { to, host: host.into(), method, path, count: 1, at_once: 16, per_second: None }
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
        let (_stop, stopped) = watch::channel(false);
        self.send(stopped, Arc::default()).await
    }

    /// Sends them in the background.
    pub fn start(self) -> Running {
        let ((stop, stopped), answers) = (watch::channel(false), Answers::default());
        let (over, awaited) = watch::channel(false);
        let answered = answers.clone();
        let task = tokio::spawn(async move {
            let report = self.send(stopped, answered).await;
            over.send_replace(true);
            report
        });
        Running { task, stop, answers, over: awaited }
    }

    async fn send(self, stopped: watch::Receiver<bool>, answers: Answers) -> Report {
        let id = format!("load-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (next, begun, client) = (AtomicUsize::new(0), Instant::now(), HttpClient::default());
        let worker = async || {
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= self.count || *stopped.borrow() {
                    return;
                }
                if let Some(rate) = self.per_second {
                    let due = begun + Duration::from_secs_f64(nth as f64 / rate);
                    // What is due later than a stop is not sent.
                    let stop = stopped.clone();
                    if tokio::time::timeout_at(due.into(), is_stopped(stop)).await.is_ok() {
                        return;
                    }
                }
                let answer = self.answer(&client, nth, &id).await;
                lock(&answers).push(answer);
            }
        };
        join_all((0..self.at_once).map(|_| worker())).await;
        let elapsed = begun.elapsed();
        let answers = lock(&answers).clone();
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
        let url = format!("http://{}{}", self.to.nth(nth)?, self.path);
        let request = Request::builder().method(self.method.clone()).uri(&url);
        request.header(header::HOST, &self.host).header(LOAD, id).body(Body::empty()).context(|| url)
    }
}

/// Where requests go.
#[derive(Debug, Clone)]
enum To {
    /// These addresses.
    Addresses(Vec<SocketAddr>),
    /// The ready pods of a Service.
    Service(Endpoints),
}

impl To {
    fn nth(&self, nth: usize) -> Result<SocketAddr, Error> {
        let in_turn = |all: &[SocketAddr]| all.get(nth % all.len().max(1)).copied();
        match self {
            Self::Addresses(all) => in_turn(all).ok_or_else(|| Error::wrong("no address")),
            Self::Service(endpoints) => {
                let ready = endpoints.ready();
                in_turn(&ready).ok_or_else(|| Error::wrong(format!("{endpoints} has no ready pod")))
            }
        }
    }
}

/// Completes when the load is to stop.
async fn is_stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
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
    stop: watch::Sender<bool>,
    answers: Answers,
    over: watch::Receiver<bool>,
}

impl Running {
    /// Waits for the last answer. Cancelling it loses nothing.
    pub async fn over(&self) {
        // If its task has panicked, that is over as well.
        let _ = self.over.clone().wait_for(|over| *over).await;
    }

    /// How many answers so far are like this.
    pub fn so_far(&self, like: impl Fn(&Answer) -> bool) -> usize {
        lock(&self.answers).iter().filter(|answer| like(answer)).count()
    }

    /// Sends no more requests; returns the answers once those in flight are done.
    pub async fn stop(self) -> Result<Report, Error> {
        self.stop.send_replace(true);
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
        self.stop.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Load;

    #[tokio::test]
    async fn a_stop_does_not_wait_for_what_is_due_later() {
        // Nothing listens there.
        let load = Load::new(vec!["127.0.0.1:1".parse().unwrap()], "web").unwrap();
        let running = load.count(100).per_second(0.01).start();
        let report = tokio::time::timeout(Duration::from_secs(20), running.stop()).await.unwrap().unwrap();
        assert!(report.answers.len() <= 1, "{report:?}");
    }

    #[test]
    fn only_addresses_of_the_lab_are_called() {
        let to = |address: &str| Load::new(vec![address.parse().unwrap()], "web").is_ok();
        assert!(to("127.0.0.1:80") && to("10.244.0.7:8080"));
        assert!(!to("192.0.2.1:80") && !to("8.8.8.8:53"));
        assert!(Load::new(Vec::new(), "web").is_err());
    }
}
