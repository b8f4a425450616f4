//! The parts of the benchmark, and what each needs.

use std::sync::Arc;

use kanary_e2e::{Error, Setup, TestNamespace, artifacts::Wanted, test_namespace::Cluster};
use serde_json::Value;

use crate::{crowd, departure, lifecycle, mirror, prometheus};

pub const USAGE: &str = "\
What canaries cost the controller, the API server, Prometheus and production, as JSON on stdout.

usage: bench [PART [NUMBER…]]…

Without a part, all parts run. Each runs in a lab of its own that contains only what the part needs.

crowd      [COUNT…]     what one event costs in a namespace with COUNT Services and KanaryDeployments, and how long another
                        namespace waits meanwhile (default: 10, 100, then 1000)
lifecycle  [CANARIES…]  canaries that run at the same time, from creation to the end (default: 100, then 300)
departure  [CANARIES]   how long a bad canary still gets production's requests, one canary at a time (default: 100)
prometheus [CANARIES]   canaries that are evaluated, each with a query of its own every 10 s (default: 1000)
mirror     [RUNS]       what a mirror adds to production's latency, how soon it starts and stops, and what it costs
                        at rest (default: 20)";

/// One part, and its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    kind: Kind,
    numbers: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Crowd,
    Lifecycle,
    Departure,
    Prometheus,
    Mirror,
}

const KINDS: [Kind; 5] = [Kind::Crowd, Kind::Lifecycle, Kind::Departure, Kind::Prometheus, Kind::Mirror];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Crowd => "crowd",
            Self::Lifecycle => "lifecycle",
            Self::Departure => "departure",
            Self::Prometheus => "prometheus",
            Self::Mirror => "mirror",
        }
    }

    fn defaults(self) -> &'static [usize] {
        match self {
            Self::Crowd => &[10, 100, 1000],
            Self::Lifecycle => &[100, 300],
            Self::Departure => &[100],
            Self::Prometheus => &[1000],
            Self::Mirror => &[20],
        }
    }

    fn accepts(self, count: usize) -> bool {
        match self {
            Self::Crowd | Self::Lifecycle => true,
            Self::Departure | Self::Prometheus | Self::Mirror => count <= 1,
        }
    }
}

/// The parts that the arguments select; none if the arguments are invalid.
pub fn parse(args: &[String]) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for arg in args {
        if let Some(kind) = KINDS.into_iter().find(|kind| kind.name() == arg) {
            parts.push(Part { kind, numbers: Vec::new() });
        } else {
            let number = arg.parse().ok().filter(|number| *number > 0)?;
            parts.last_mut()?.numbers.push(number);
        }
    }
    if parts.is_empty() {
        parts.extend(KINDS.map(|kind| Part { kind, numbers: Vec::new() }));
    }
    for part in parts.iter_mut().filter(|part| part.numbers.is_empty()) {
        part.numbers = part.kind.defaults().to_vec();
    }
    parts.iter().all(|part| part.kind.accepts(part.numbers.len())).then_some(parts)
}

impl Part {
    /// The arguments that select this part alone.
    pub fn args(&self) -> Vec<String> {
        [self.kind.name().to_owned()].into_iter().chain(self.numbers.iter().map(usize::to_string)).collect()
    }

    /// Its key in the report.
    pub fn key(&self) -> &'static str {
        match self.kind {
            Kind::Lifecycle => "lifecycles",
            Kind::Crowd | Kind::Departure | Kind::Prometheus | Kind::Mirror => self.kind.name(),
        }
    }

    /// What must be built for it.
    pub fn wanted(&self) -> Wanted {
        let (mesh, prometheus) = (self.kind == Kind::Mirror, self.kind == Kind::Prometheus);
        Wanted { kanary: true, mesh, prometheus, ..Wanted::default() }
    }

    /// What its lab contains.
    pub fn setup(&self) -> Setup {
        match self.kind {
            Kind::Crowd | Kind::Lifecycle | Kind::Departure => Setup::installed(),
            Kind::Prometheus => Setup::installed().with_prometheus(),
            Kind::Mirror => Setup::installed().with_mesh(),
        }
    }

    /// Its figures.
    pub async fn measure(&self, cluster: &Arc<Cluster>) -> Result<Value, Error> {
        let number = self.numbers.first().copied().unwrap_or_default();
        match self.kind {
            Kind::Crowd => self.crowds(cluster).await,
            Kind::Lifecycle => self.lifecycles(cluster).await,
            Kind::Departure => {
                departure::measure(&TestNamespace::open(cluster.clone(), "departure").await?, number).await
            }
            Kind::Prometheus => prometheus::measure(cluster, number).await,
            Kind::Mirror => mirror::measure(cluster, number).await,
        }
    }

    async fn crowds(&self, cluster: &Arc<Cluster>) -> Result<Value, Error> {
        let mut crowds = Vec::new();
        for &size in &self.numbers {
            let open = |name: String| {
                let cluster = cluster.clone();
                async move { TestNamespace::open(cluster, &name).await }
            };
            let (ns, neighbour) = (open(format!("crowd {size}")).await?, open(format!("neighbour {size}")).await?);
            crowds.push(crowd::measure(&ns, &neighbour, size).await?);
            // What is left would cost the next controller.
            ns.close(false).await?;
            neighbour.close(false).await?;
        }
        Ok(crowds.into())
    }

    async fn lifecycles(&self, cluster: &Arc<Cluster>) -> Result<Value, Error> {
        let mut lifecycles = Vec::new();
        for &size in &self.numbers {
            let ns = TestNamespace::open(cluster.clone(), &format!("lifecycle {size}")).await?;
            lifecycles.push(lifecycle::measure(&ns, size).await?);
        }
        Ok(lifecycles.into())
    }
}
