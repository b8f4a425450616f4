//! The metrics that pods expose: Istio's standard ones as the sidecar of the called pod reports them, and gauges.
//!
//! Only requests that were answered are counted. As with a sidecar there is no series before the first request, and
//! none of a pod that no longer exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::Duration,
};

use super::pods::Member;

/// Upper bounds in milliseconds, Istio's own.
const BOUNDS: [f64; 19] = [
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0, 300000.0,
    600000.0, 1800000.0, 3600000.0,
];

const REQUESTS: &str = "istio_requests_total";
const DURATION: &str = "istio_request_duration_milliseconds";

/// Responses of one pod with one status.
#[derive(Debug, Default, Clone)]
struct Series {
    count: u64,
    milliseconds: f64,
    /// For each bound, how many took at most that long.
    within: [u64; BOUNDS.len()],
}

/// What was counted, by namespace, pod and status.
///
/// A pod keeps the labels that it had at its first request: as with a sidecar, later labels do not create another
/// series.
#[derive(Debug, Default)]
pub struct Metrics {
    known: BTreeMap<(String, String), Member>,
    series: BTreeMap<(String, String, u16), Series>,
}

impl Metrics {
    /// Counts a response.
    pub fn count(&mut self, member: &Member, status: u16, took: Duration) {
        let (namespace, pod) = name(member);
        self.known.entry((namespace.clone(), pod.clone())).or_insert_with(|| member.clone());
        let series = self.series.entry((namespace, pod, status)).or_default();
        let milliseconds = took.as_secs_f64() * 1000.0;
        series.count += 1;
        series.milliseconds += milliseconds;
        let within = series.within.iter_mut().zip(BOUNDS).filter(|(_, bound)| milliseconds <= *bound);
        within.for_each(|(count, _)| *count += 1);
    }

    /// The text that Prometheus scrapes. Drops the series of pods that are not `alive`.
    pub fn text(&mut self, alive: &[Member], gauges: &[(Member, BTreeMap<String, f64>)]) -> String {
        let alive: BTreeSet<_> = alive.iter().map(name).collect();
        self.known.retain(|name, _| alive.contains(name));
        self.series.retain(|(namespace, pod, _), _| self.known.contains_key(&(namespace.clone(), pod.clone())));
        let series = self.series.iter().filter_map(|((namespace, pod, status), series)| {
            let member = self.known.get(&(namespace.clone(), pod.clone()))?;
            Some((istio(member, *status), series))
        });
        let series: Vec<_> = series.collect();
        let mut text = format!("# TYPE {REQUESTS} counter\n");
        for (labels, series) in &series {
            line(&mut text, REQUESTS, labels, "", &series.count.to_string());
        }
        let _ = writeln!(text, "# TYPE {DURATION} histogram");
        for (labels, series) in &series {
            histogram(&mut text, labels, series);
        }
        for (member, gauges) in gauges {
            for (name, value) in gauges {
                line(&mut text, name, &format!("{},workload={:?}", pod(member), member.workload), "", &number(*value));
            }
        }
        text
    }
}

fn name(member: &Member) -> (String, String) {
    (member.namespace.clone(), member.pod.clone())
}

fn histogram(text: &mut String, labels: &str, series: &Series) {
    for (bound, count) in BOUNDS.iter().zip(series.within) {
        line(text, &format!("{DURATION}_bucket"), labels, &format!(",le=\"{bound}\""), &count.to_string());
    }
    line(text, &format!("{DURATION}_bucket"), labels, ",le=\"+Inf\"", &series.count.to_string());
    line(text, &format!("{DURATION}_sum"), labels, "", &series.milliseconds.to_string());
    line(text, &format!("{DURATION}_count"), labels, "", &series.count.to_string());
}

fn line(text: &mut String, name: &str, labels: &str, more: &str, value: &str) {
    let _ = writeln!(text, "{name}{{{labels}{more}}} {value}");
}

/// As the exposition format writes it.
fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".into(),
        _ if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.into(),
        _ => value.to_string(),
    }
}

/// The labels that a scrape of the pod adds.
fn pod(member: &Member) -> String {
    format!("namespace={:?},pod={:?}", member.namespace, member.pod)
}

/// Istio's labels. Kubernetes names need quotes but no escaping.
fn istio(member: &Member, status: u16) -> String {
    let Member { namespace, labels, workload, service, .. } = member;
    let service = service.as_deref().unwrap_or("unknown");
    let label = |key: &str, default: &str| labels.get(key).cloned().unwrap_or_else(|| default.to_owned());
    let (app, version) = (label("app", "unknown"), label("version", "unknown"));
    let pairs = [
        ("reporter", "destination"),
        ("source_workload", "unknown"),
        ("source_workload_namespace", "unknown"),
        ("destination_workload", workload),
        ("destination_workload_namespace", namespace),
        ("destination_app", &app),
        ("destination_version", &version),
        ("destination_service", &format!("{service}.{namespace}.svc.cluster.local")),
        ("destination_service_name", service),
        ("destination_service_namespace", namespace),
        ("request_protocol", "http"),
        ("response_code", &status.to_string()),
        ("response_flags", "-"),
        ("connection_security_policy", "none"),
    ];
    let pairs = pairs.map(|(key, value)| format!("{key}={value:?}"));
    format!("{},{}", pairs.join(","), pod(member))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Member, Metrics};

    fn member() -> Member {
        Member {
            namespace: "shop".into(),
            pod: "web-1".into(),
            labels: [].into(),
            annotations: [].into(),
            workload: "web".into(),
            service: None,
        }
    }

    #[test]
    fn a_histogram_counts_what_took_at_most_the_bound() {
        let mut metrics = Metrics::default();
        metrics.count(&member(), 200, Duration::from_millis(7));
        metrics.count(&member(), 200, Duration::from_millis(70));
        let text = metrics.text(&[member()], &[]);
        let count = |le: &str| {
            let line = text.lines().find(|line| line.contains(&format!("le=\"{le}\"")));
            line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
        };
        let counts = ["5", "10", "100", "+Inf"].map(|le| count(le).unwrap_or_default());
        assert_eq!(counts, ["0", "1", "2", "2"]);
    }

    #[test]
    fn a_pod_that_is_gone_has_no_series() {
        let mut metrics = Metrics::default();
        metrics.count(&member(), 200, Duration::ZERO);
        assert!(metrics.text(&[member()], &[]).contains("pod=\"web-1\""));
        assert!(!metrics.text(&[], &[]).contains("pod="));
        assert!(!metrics.text(&[member()], &[]).contains("pod="), "another pod with its name has no series either");
    }
}
