//! Metrics of the controller, and the values that items are evaluated on. Only these have labels with names that users chose:
//! sixteen items at most of each canary that is being validated.

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

use strum::IntoEnumIterator;

use super::key::Key;
use crate::{
    api::Phase,
    decision::{Action, StatusUpdate},
    promql::Outcome,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    verb: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ItemLabels {
    namespace: String,
    kanary: String,
    item: String,
}

impl ItemLabels {
    fn new(kanary: &Key, item: &str) -> Self {
        Self { namespace: kanary.namespace.clone(), kanary: kanary.name.clone(), item: item.to_owned() }
    }
}

/// Fine enough to distinguish a timer that is late from a queue: from a millisecond to a minute.
const LAGS: [f64; 25] = [
    0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 3.0, 5.0, 7.0,
    10.0, 20.0, 30.0, 50.0, 70.0,
];

/// All series of this process.
pub struct Metrics {
    registry: Registry,
    leader: Gauge,
    watch_broken: Gauge,
    runs: Family<PhaseLabels, Gauge>,
    verdicts: Family<VerdictLabels, Counter>,
    queries: Family<QueryLabels, Counter>,
    latency: Histogram,
    lag: Histogram,
    writes: Family<WriteLabels, Counter>,
    reconciles: Counter,
    values: Family<ItemLabels, Gauge<f64, AtomicU64>>,
    unreadable: Family<KindLabels, Gauge>,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("kanary");
        let latency = Histogram::new(exponential_buckets(0.005, 2.0, 11));
        let lag = Histogram::new(LAGS);
        let (leader, watch_broken) = (Gauge::default(), Gauge::default());
        let (runs, verdicts) = (Family::default(), Family::default());
        let (queries, writes, reconciles) = (Family::default(), Family::default(), Counter::default());
        let values = Family::default();
        registry.register("leader", "1 if this process is the leader", Gauge::clone(&leader));
        let about = "1 if a watch that decisions depend on is broken";
        registry.register("watch_broken", about, Gauge::clone(&watch_broken));
        registry.register("runs", "KanaryDeployments by phase", Family::clone(&runs));
        registry.register("verdicts", "Runs that reached a verdict, by verdict and reason", Family::clone(&verdicts));
        registry.register("queries", "Prometheus queries by outcome: true, false or unknown", Family::clone(&queries));
        registry.register("query_duration_seconds", "Duration of a Prometheus query", latency.clone());
        registry.register(
            "query_lag_seconds",
            "Time from when a Prometheus query was due until it was sent",
            lag.clone(),
        );
        registry.register(
            "reconciles",
            "Reconciliations of a KanaryDeployment, each with a decision",
            Counter::clone(&reconciles),
        );
        registry.register(
            "writes",
            "Write requests to the API server, by kind, verb and outcome",
            Family::clone(&writes),
        );
        let about = "Last value of a promQL item, while its canary is being evaluated; true is 1, false is 0";
        registry.register("item_value", about, Family::clone(&values));
        let unreadable = Family::default();
        let about = "Objects that are there and cannot be read, by kind";
        registry.register("objects_unreadable", about, Family::clone(&unreadable));
        Self {
            registry,
            leader,
            watch_broken,
            runs,
            verdicts,
            queries,
            latency,
            lag,
            writes,
            reconciles,
            values,
            unreadable,
        }
    }

    /// So many objects of that kind cannot be read.
    pub fn unreadable(&self, kind: &'static str, count: usize) {
        self.unreadable.get_or_create(&KindLabels { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A task observed its resource.
    pub fn reconciled(&self) {
        self.reconciles.inc();
    }

    /// A query was answered, or was not.
    pub fn answered(&self, outcome: &Outcome) {
        self.queries.get_or_create(&QueryLabels { outcome: outcome.as_str() }).inc();
    }

    /// An item is evaluated on this answer; without evidence it has no value.
    pub fn item_evaluated(&self, kanary: &Key, item: &str, outcome: &Outcome) {
        let value = match outcome {
            Outcome::True(evidence) | Outcome::False(evidence) => evidence.number(),
            Outcome::Unknown(_) => None,
        };
        match value {
            Some(value) => drop(self.values.get_or_create(&ItemLabels::new(kanary, item)).set(value)),
            None => self.forget(kanary, [item]),
        }
    }

    /// These items are not evaluated any more.
    pub fn forget<'a>(&self, kanary: &Key, items: impl IntoIterator<Item = &'a str>) {
        for item in items {
            self.values.remove(&ItemLabels::new(kanary, item));
        }
    }

    /// A query was sent, and took this long.
    pub fn sent(&self, took: Duration) {
        self.latency.observe(took.as_secs_f64());
    }

    /// A query was sent this long after it was due, or before that, for another item.
    pub fn query_lagged(&self, lag: SignedDuration) {
        self.lag.observe(lag.max(SignedDuration::ZERO).as_secs_f64());
    }

    /// A write was tried.
    pub fn wrote(&self, action: &Action, outcome: &'static str) {
        let verb = match action {
            Action::Create { .. } => "create",
            Action::CreateBase { .. } => "create base",
            Action::Patch { .. } => "patch",
            Action::Promote { .. } => "promote",
            Action::Delete { .. } => "delete",
        };
        self.writes.get_or_create(&WriteLabels { kind: action.target().kind.as_str(), verb, outcome }).inc();
    }

    /// A status was written, or not; it may contain a verdict.
    pub fn status_written(&self, before: Option<Phase>, update: &StatusUpdate, outcome: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind: "KanaryDeployment", verb: "status", outcome }).inc();
        let decided = update.status.phase.filter(|phase| before != Some(*phase) && outcome == "ok");
        let (verdict, type_) = match decided {
            Some(Phase::Promoting) => ("success", crate::api::ConditionType::Succeeded),
            Some(Phase::Failing) => ("failure", crate::api::ConditionType::Failed),
            Some(Phase::Scheduled | Phase::Starting | Phase::Validating | Phase::Succeeded | Phase::Failed) | None => {
                return;
            }
        };
        // Reasons are ours, and few.
        let condition = update.status.condition(type_);
        let reason = condition.map(|condition| condition.reason.to_string()).unwrap_or_default();
        self.verdicts.get_or_create(&VerdictLabels { verdict, reason }).inc();
    }

    /// All series as text; gauges are set to the state of now. Series about canaries come from the leader only: sums over the
    /// replicas would count them twice, and a former leader does not know what became of an item.
    pub fn text(&self, is_leader: bool, is_watch_broken: bool, phases: &[Phase]) -> String {
        self.leader.set(is_leader.into());
        self.watch_broken.set(is_watch_broken.into());
        if !is_leader {
            self.runs.clear();
            self.values.clear();
        }
        for phase in Phase::iter().filter(|_| is_leader) {
            let count = phases.iter().filter(|other| **other == phase).count();
            self.runs
                .get_or_create(&PhaseLabels { phase: phase.as_str() })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut page = String::new();
        if let Err(error) = text::encode(&mut page, &self.registry) {
            // Writing into a string does not fail; a page that is cut off is better than none.
            let _ = writeln!(page, "# {error}");
        }
        page
    }
}

#[cfg(test)]
mod tests;
