//! Two stories on a mesh: canaries that get copies of production's requests, and whose answers Prometheus counts.
//!
//! Nothing is told that was not counted: requests where they were answered, copies where they arrived.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use kanary_e2e::{
    Error,
    backend::manner::Manner,
    load::{Answer, Load, Report, Running},
    network,
};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    play::{BASE, NAMESPACE, PATIENCE, Play, REPLICAS, nothing},
    screen::Style,
    stage::Stage,
    yaml::{PROM_QL, ROUTE, kanary},
};

/// Prometheus must have seen copies arrive before the clock starts.
const MIRROR: &str = "mirror, mirror: {confirm: requests}";
/// Requests a second, and at most so many in a story: ten minutes.
const RATE: f64 = 20.0;
const MOST: usize = 12_000;
/// So many more, to see that none of them is copied.
const AFTER: usize = 100;
/// How often the counts are looked at, and how often they are told where no line can move.
const BEAT: Duration = Duration::from_millis(250);
const NOW_AND_THEN: Duration = Duration::from_secs(5);

impl Play {
    /// The copies are answered well.
    pub async fn copied(&mut self) -> Result<(), Error> {
        self.mesh().await?;
        let yaml = kanary("web-5", "shop:5", MIRROR, PROM_QL);
        self.screen.gap();
        self.screen.code(&yaml);
        self.screen.gap();
        self.screen.text(
            "Production answers each request, and Envoy copies it to the canary and drops what the canary answers. \
             Prometheus scrapes the canary's pod; the controller was told where it is. The 20 s begin when it has seen \
             copies arrive, and at most one of a hundred may fail.",
        );
        self.mirrored("web-5", &yaml, "Succeeded").await
    }

    /// A quarter of the copies is answered with 503.
    pub async fn refused(&mut self) -> Result<(), Error> {
        self.scene("5  A canary fails, and production never notices");
        self.screen.text("The same for shop:6, but its pod answers every fourth copy with 503.");
        self.manner("web-6", Manner { code: 503, ..Manner::failing(0.25) })?;
        self.mirrored("web-6", &kanary("web-6", "shop:6", MIRROR, PROM_QL), "Failed").await
    }

    /// Waits until Envoy takes production's own routes.
    async fn mesh(&mut self) -> Result<(), Error> {
        self.stage.watch_routes(&self.client, NAMESPACE);
        self.apply("route.yaml", ROUTE).await?;
        self.until(|stage| stage.routes.contains_key(BASE)).await?;
        let sidecar = &self.lab.mesh()?.sidecar;
        sidecar.until_route(&host(BASE), "production's own", |route| route.name == "all").await?;
        sidecar.until_endpoints(&host(BASE), 80, REPLICAS).await?;
        if let Some(address) = self.lab.artifacts().published.get(&network::FIRST_PROMETHEUS_PORT) {
            self.screen.line("prometheus", Style::Plain, &format!("is at http://{address} for you as well"));
        }
        self.screen.line(
            "traffic",
            Style::Plain,
            "Envoy has the route: VirtualService web, to the 3 pods of Service web",
        );
        Ok(())
    }

    fn manner(&self, kanary: &str, manner: Manner) -> Result<(), Error> {
        self.lab.backend()?.tell(NAMESPACE, &format!("kanary.k8s.io/canary={kanary}"), manner);
        Ok(())
    }

    /// One run, from before the canary to the proof that nothing of it is left.
    async fn mirrored(&mut self, name: &str, yaml: &str, end: &str) -> Result<(), Error> {
        let before = self.stage.routes.get(BASE).cloned();
        self.screen.restart();
        let load = calls()?.count(MOST).per_second(RATE).start();
        let told = format!("{RATE} requests a second to Service web, through Envoy");
        self.screen.line("clients", Style::Yellow, &told);
        self.apply(&format!("{name}.yaml"), yaml).await?;
        self.until_counted(name, &load, |stage| stage.phase(name) == end && stage.is_rolled_out(BASE)).await?;
        let report = load.stop().await?;
        self.screen.line("production", Style::Bold, &answered(&report)?);
        self.ended(name).await?;
        self.until(|stage| stage.routes.get(BASE) == before.as_ref()).await?;
        self.screen.line("production", Style::Bold, "VirtualService web is as it was before");
        self.evidence(name);
        Ok(())
    }

    /// Tells what happens until `met`, and meanwhile the counts.
    async fn until_counted(&mut self, name: &str, load: &Running, met: impl Fn(&Stage) -> bool) -> Result<(), Error> {
        let (mut beat, mut heard) = (interval(BEAT), Instant::now());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !met(&self.stage) {
            self.check()?;
            tokio::select! {
                news = self.stage.next() => {
                    heard = Instant::now();
                    self.tell(news?);
                }
                _ = beat.tick() => self.count(name, load, NOW_AND_THEN)?,
            }
            if heard.elapsed() > PATIENCE {
                return Err(nothing());
            }
        }
        Ok(())
    }

    fn count(&self, name: &str, load: &Running, now_and_then: Duration) -> Result<(), Error> {
        let (answers, copies) = (load.so_far(|_| true), self.copies(name)?);
        let counts = format!("{answers} requests answered, {copies} copies at the canary");
        self.screen.moves("counted", &counts, now_and_then);
        Ok(())
    }

    /// What arrived at a canary's pods; whatever sent it, it was a copy.
    fn copies(&self, name: &str) -> Result<usize, Error> {
        let pods = format!("{name}-kanary-");
        let arrivals = self.lab.backend()?.arrivals(NAMESPACE);
        Ok(arrivals.iter().filter(|arrival| arrival.pod.starts_with(&pods)).count())
    }

    /// Envoy copies no more, and nothing arrives any more.
    async fn ended(&self, name: &str) -> Result<(), Error> {
        let (sidecar, canary) = (&self.lab.mesh()?.sidecar, host(&format!("{name}-kanary")));
        sidecar.until_route(&host(BASE), "no copies", |route| route.copies_to(&canary) == 0.0).await?;
        sidecar.until_idle(NAMESPACE).await?;
        let before = self.copies(name)?;
        self.screen.line(
            "counted",
            Style::Bold,
            &format!("{before} copies at the canary, and now {AFTER} requests more"),
        );
        let report = calls()?.count(AFTER).run().await;
        sidecar.until_idle(NAMESPACE).await?;
        let after = self.copies(name)?;
        if before != after {
            return Err(Error::wrong(format!("{} copies arrived after the end", after - before)));
        }
        self.screen.line("production", Style::Bold, &answered(&report)?);
        self.screen.line("counted", Style::Bold, &format!("not one more copy: {after} as before"));
        Ok(())
    }

    /// What the status keeps of Prometheus' answers.
    fn evidence(&self, name: &str) {
        let status = self.stage.kanaries.get(name).cloned().unwrap_or_default();
        self.screen.gap();
        self.screen.text(&format!("What Prometheus was asked, and answered last, from the status of {name}:"));
        for item in status["items"].as_array().into_iter().flatten() {
            self.screen.code(&evidence(item));
        }
    }
}

fn evidence(item: &Value) -> String {
    let text = |key: &str| item[key].as_str().unwrap_or("(none)").trim_end().to_owned();
    let query = text("query").replace('\n', "\n    ");
    format!(
        "{}: {}\n  value {}, bound {}\n  query\n    {query}",
        text("name"),
        text("verdict"),
        text("value"),
        text("bound")
    )
}

/// As a client inside the mesh calls: its sidecar listens on loopback.
fn calls() -> Result<Load, Error> {
    Load::new(vec![(Ipv4Addr::LOCALHOST, 80).into()], &host(BASE))
}

fn host(service: &str) -> String {
    format!("{service}.{NAMESPACE}.svc.cluster.local")
}

/// Who answered, and how.
fn answered(report: &Report) -> Result<String, Error> {
    let is_canary = |answer: &&Answer| answer.from.contains("-kanary-");
    if let Some(answer) = report.answers.iter().find(is_canary) {
        return Err(Error::wrong(format!("{} answered a request to production", answer.from)));
    }
    let statuses: BTreeMap<u16, usize> = report.statuses();
    let all: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    Ok(format!("answered {} requests: {}; the canary answered none", report.answers.len(), all.join(", ")))
}
