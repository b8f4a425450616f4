//! What the controller counts of itself, and the values that it judges by. Only these have labels with names that somebody else
//! chose: sixteen items at most of each canary that is being judged.

use std::{fmt::Write, sync::atomic::AtomicU64, time::Duration};

use jiff::SignedDuration;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::Key;
use crate::{
    api::Phase,
    decision::{Action, StatusUpdate},
    promql::Outcome,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phased {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reasoned {
    verdict: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    kind: &'static str,
    verb: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Judged {
    namespace: String,
    kanary: String,
    item: String,
}

impl Judged {
    fn new(kanary: &Key, item: &str) -> Self {
        Self { namespace: kanary.namespace.clone(), kanary: kanary.name.clone(), item: item.to_owned() }
    }
}

const PHASES: [Phase; 7] = [
    Phase::Scheduled,
    Phase::Starting,
    Phase::Validating,
    Phase::Promoting,
    Phase::Failing,
    Phase::Succeeded,
    Phase::Failed,
];

/// Fine enough to tell a timer that is late from a queue: from a millisecond to a minute.
const LAGS: [f64; 25] = [
    0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 3.0, 5.0, 7.0,
    10.0, 20.0, 30.0, 50.0, 70.0,
];

/// All series of this process.
pub struct Metrics {
    registry: Registry,
    leads: Gauge,
    blind: Gauge,
    runs: Family<Phased, Gauge>,
    verdicts: Family<Reasoned, Counter>,
    queries: Family<Answered, Counter>,
    latency: Histogram,
    lag: Histogram,
    writes: Family<Written, Counter>,
    looks: Counter,
    values: Family<Judged, Gauge<f64, AtomicU64>>,
}

impl Metrics {
    /// Nothing is counted yet.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("kanary");
        let latency = Histogram::new(exponential_buckets(0.005, 2.0, 11));
        let lag = Histogram::new(LAGS);
        let (leads, blind) = (Gauge::default(), Gauge::default());
        let (runs, verdicts) = (Family::default(), Family::default());
        let (queries, writes, looks) = (Family::default(), Family::default(), Counter::default());
        let values = Family::default();
        registry.register("leader", "Does this process lead? 1 or 0", Gauge::clone(&leads));
        let about = "Is a watch broken that decisions rest on? 1 or 0";
        registry.register("blind", about, Gauge::clone(&blind));
        registry.register("runs", "KanaryDeployments by phase", Family::clone(&runs));
        registry.register("verdicts", "Runs that were decided, by verdict and reason", Family::clone(&verdicts));
        registry.register("queries", "Answers of Prometheus: true, false or unknown", Family::clone(&queries));
        registry.register("query_duration_seconds", "Time to an answer of Prometheus", latency.clone());
        registry.register("query_lag_seconds", "Time from when a question was due until it was sent", lag.clone());
        registry.register("looks", "Looks at a KanaryDeployment, each with a decision", Counter::clone(&looks));
        registry.register(
            "writes",
            "Requests that change something, by kind, verb and outcome",
            Family::clone(&writes),
        );
        let about = "The last value that a promQL item was judged by, while its canary is judged";
        registry.register("item_value", about, Family::clone(&values));
        Self { registry, leads, blind, runs, verdicts, queries, latency, lag, writes, looks, values }
    }

    /// A task looked at its resource.
    pub fn looked(&self) {
        self.looks.inc();
    }

    /// An answer came, or did not.
    pub fn answered(&self, outcome: &Outcome) {
        self.queries.get_or_create(&Answered { outcome: outcome.as_str() }).inc();
    }

    /// An item is judged by this answer; without evidence it has no value.
    pub fn judged(&self, kanary: &Key, item: &str, outcome: &Outcome) {
        let value = match outcome {
            Outcome::True(evidence) | Outcome::False(evidence) => evidence.number(),
            Outcome::Unknown(_) => None,
        };
        match value {
            Some(value) => drop(self.values.get_or_create(&Judged::new(kanary, item)).set(value)),
            None => self.forget(kanary, [item]),
        }
    }

    /// These items are not judged any more.
    pub fn forget<'a>(&self, kanary: &Key, items: impl IntoIterator<Item = &'a str>) {
        for item in items {
            self.values.remove(&Judged::new(kanary, item));
        }
    }

    /// A question was sent; so long it took.
    pub fn sent(&self, took: Duration) {
        self.latency.observe(took.as_secs_f64());
    }

    /// A question was sent so long after it was due; one that was sent for another item before that, not at all.
    pub fn lagged(&self, lag: SignedDuration) {
        self.lag.observe(lag.max(SignedDuration::ZERO).as_secs_f64());
    }

    /// A write was tried.
    pub fn acted(&self, action: &Action, outcome: &'static str) {
        let verb = match action {
            Action::Create { .. } => "create",
            Action::CreateBase { .. } => "create base",
            Action::Patch { .. } => "patch",
            Action::Promote { .. } => "promote",
            Action::Delete { .. } => "delete",
        };
        self.writes.get_or_create(&Written { kind: action.target().kind.as_str(), verb, outcome }).inc();
    }

    /// A status was written, or not; it may hold a verdict.
    pub fn told(&self, before: Option<Phase>, tell: &StatusUpdate, outcome: &'static str) {
        self.writes.get_or_create(&Written { kind: "KanaryDeployment", verb: "status", outcome }).inc();
        let decided = tell.status.phase.filter(|phase| before != Some(*phase) && outcome == "ok");
        let (verdict, type_) = match decided {
            Some(Phase::Promoting) => ("success", crate::api::ConditionType::Succeeded),
            Some(Phase::Failing) => ("failure", crate::api::ConditionType::Failed),
            Some(Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Succeeded | Phase::Failed) | None => {
                return;
            }
        };
        // Reasons are ours, and few.
        let condition = tell.status.conditions.iter().find(|condition| condition.type_ == type_);
        let reason = condition.map(|condition| condition.reason.clone()).unwrap_or_default();
        self.verdicts.get_or_create(&Reasoned { verdict, reason }).inc();
    }

    /// All series as text; what is a state, not a count, is told of now. What it tells of canaries only the leader tells:
    /// sums over the replicas would count them twice, and who was deposed does not hear what became of an item.
    pub fn text(&self, leads: bool, is_blind: bool, phases: &[Phase]) -> String {
        self.leads.set(leads.into());
        self.blind.set(is_blind.into());
        if !leads {
            self.runs.clear();
            self.values.clear();
        }
        for phase in PHASES.into_iter().filter(|_| leads) {
            let count = phases.iter().filter(|other| **other == phase).count();
            self.runs.get_or_create(&Phased { phase: name(phase) }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut page = String::new();
        if let Err(error) = text::encode(&mut page, &self.registry) {
            // Writing into a string does not fail; a page that is cut off is better than none.
            let _ = writeln!(page, "# {error}");
        }
        page
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Scheduled => "Scheduled",
        Phase::Starting => "Starting",
        Phase::Validating => "Validating",
        Phase::Promoting => "Promoting",
        Phase::Failing => "Failing",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::Evidence;

    #[test]
    fn every_phase_has_a_series_and_every_answer_counts() {
        let metrics = Metrics::new();
        metrics.answered(&Outcome::Unknown("who knows".into()));
        metrics.sent(Duration::from_millis(3));
        metrics.lagged(SignedDuration::from_millis(4));
        metrics.lagged(SignedDuration::from_millis(-4));
        let page = metrics.text(true, true, &[Phase::Validating, Phase::Validating]);
        for line in [
            "kanary_leader 1",
            "kanary_blind 1",
            "kanary_runs{phase=\"Validating\"} 2",
            "kanary_runs{phase=\"Failed\"} 0",
            "kanary_queries_total{outcome=\"unknown\"} 1",
            "kanary_query_duration_seconds_count 1",
            "kanary_query_lag_seconds_bucket{le=\"0.003\"} 1",
            "kanary_query_lag_seconds_bucket{le=\"0.005\"} 2",
        ] {
            assert!(page.lines().any(|other| other == line), "{line} in {page}");
        }
    }

    #[test]
    fn an_item_has_a_value_while_it_is_judged() {
        let metrics = Metrics::new();
        let kanary = Key { namespace: "shop".into(), name: "try".into() };
        let page = || metrics.text(true, false, &[]);
        let evidence = |value: &str| Evidence { value: value.into(), ..Evidence::default() };
        metrics.judged(&kanary, "errors", &Outcome::False(evidence("0.25")));
        metrics.judged(&kanary, "healthy", &Outcome::True(evidence("true")));
        let line = |item: &str, value: &str| {
            format!("kanary_item_value{{namespace=\"shop\",kanary=\"try\",item=\"{item}\"}} {value}\n")
        };
        assert!(page().contains(&line("errors", "0.25")) && page().contains(&line("healthy", "1.0")), "{}", page());
        metrics.judged(&kanary, "errors", &Outcome::Unknown("no answer".into()));
        assert!(!page().contains("errors") && page().contains("healthy"));
        metrics.forget(&kanary, ["errors", "healthy"]);
        assert!(!page().contains("kanary_item_value{"));
    }

    #[test]
    fn of_canaries_only_the_leader_tells() {
        let metrics = Metrics::new();
        let kanary = Key { namespace: "shop".into(), name: "try".into() };
        let judged =
            || metrics.judged(&kanary, "errors", &Outcome::True(Evidence { value: "1".into(), ..Evidence::default() }));
        let tells = |page: &str| ["kanary_item_value{", "kanary_runs{"].map(|series| page.contains(series));
        judged();
        assert_eq!(tells(&metrics.text(true, false, &[Phase::Validating])), [true, true]);
        let deposed = metrics.text(false, false, &[Phase::Validating]);
        assert_eq!(tells(&deposed), [false, false]);
        assert!(deposed.contains("kanary_leader 0\n") && deposed.contains("kanary_blind 0\n"), "{deposed}");
        assert_eq!(tells(&metrics.text(true, false, &[])), [false, true], "the value was another leader's to forget");
        judged();
        assert_eq!(tells(&metrics.text(true, false, &[])), [true, true]);
    }
}
