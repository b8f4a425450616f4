//! The answers to a load, and what they add up to.

use std::{collections::BTreeMap, time::Duration};

use axum::body::Bytes;
use http::{HeaderMap, Response};

use crate::{
    Error,
    backend::{ARRIVAL, POD},
};

/// A pod's name that others are aligned with; an error may be longer.
const LONGEST: usize = 63;

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
    /// No response, or a server's error.
    pub fn is_error(&self) -> bool {
        self.status == 0 || self.status >= 500
    }

    pub(super) fn read(answer: Result<Response<Bytes>, Error>, latency: Duration) -> Self {
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
    /// How many of them a user would call errors.
    pub fn errors(&self) -> usize {
        self.answers.iter().filter(|answer| answer.is_error()).count()
    }

    /// What a person wants to know: how many of each status, by pod, and how long they took.
    pub fn summary(&self) -> String {
        let mut of_pods: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
        for answer in &self.answers {
            of_pods.entry(&answer.from).or_default().push(answer.status);
        }
        let width = of_pods.keys().map(|pod| pod.chars().count()).filter(|width| *width <= LONGEST).max().unwrap_or(0);
        let (count, elapsed) = (self.answers.len(), self.elapsed.as_secs_f64());
        let mut lines = vec![format!("{count} requests in {elapsed:.1} s: {}", listed(&self.statuses()))];
        for (pod, statuses) in of_pods {
            lines.push(format!("  {pod:width$}  {}", listed(&counted(statuses.into_iter()))));
        }
        let [half, most] = [0.5, 0.99].map(|share| self.percentile(share).as_millis());
        lines.push(format!("latency: half within {half} ms, 99 % within {most} ms"));
        lines.join("\n")
    }

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

/// `570 × 200, 30 × 500`.
pub fn listed(statuses: &BTreeMap<u16, usize>) -> String {
    let named = |status: &u16| if *status == 0 { "no answer".to_owned() } else { status.to_string() };
    let all: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} × {}", named(status))).collect();
    all.join(", ")
}

fn counted<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Report};

    fn report(of: impl Iterator<Item = (&'static str, u16, u64)>) -> Report {
        let answer = |(from, status, ms): (&str, u16, u64)| Answer {
            status,
            from: from.into(),
            arrival: None,
            latency: Duration::from_millis(ms),
        };
        Report { id: "x".into(), answers: of.map(answer).collect(), elapsed: Duration::from_secs(2) }
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let report = report((1..=100).map(|ms| ("a", 200, ms)));
        let percentiles = [0.0, 0.5, 0.99, 1.0].map(|share| report.percentile(share).as_millis());
        assert_eq!(percentiles, [1, 50, 99, 100]);
    }

    #[test]
    fn a_summary_says_who_answered_what() {
        let report = report([("web-1", 200, 3), ("web-10", 500, 3), ("web-1", 200, 3), ("gone", 0, 9)].into_iter());
        assert_eq!(report.errors(), 2);
        let expected = "4 requests in 2.0 s: 1 × no answer, 2 × 200, 1 × 500\n  gone    1 × no answer\n  \
                        web-1   2 × 200\n  web-10  1 × 500\nlatency: half within 3 ms, 99 % within 9 ms";
        assert_eq!(report.summary(), expected);
    }
}
