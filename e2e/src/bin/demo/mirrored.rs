//! Two canaries on a mesh: each gets copies of production's requests, and Prometheus counts its responses.
//!
//! Everything that is shown was counted: requests where they were answered, copies where they arrived.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use kanary_e2e::{
    Error,
    backend::behaviour::Behaviour,
    load::{Answer, Load, Report, Running},
    network,
};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    run::{BASE, Demo, NAMESPACE, PATIENCE, REPLICAS, nothing_happened},
    screen::Style,
    view::View,
    yaml::{PROM_QL, ROUTE, kanary},
};

/// The validation period starts when Prometheus has counted copies.
const MIRROR: &str = "mirror, mirror: {confirm: requests}";
/// Requests a second, and their maximum in one part: ten minutes.
const RATE: f64 = 20.0;
const MOST: usize = 12_000;
/// More requests after the end, none of which must be copied.
const AFTER: usize = 100;
/// How often the counts are read, and how often they are shown where no line can be redrawn.
const BEAT: Duration = Duration::from_millis(250);
const PLAIN_EVERY: Duration = Duration::from_secs(5);

impl Demo {
    /// The canary answers its copies well.
    pub async fn mirrored_well(&mut self) -> Result<(), Error> {
        self.mesh().await?;
        let yaml = kanary("web-5", "shop:5", MIRROR, PROM_QL);
        self.screen.gap();
        self.screen.code(&yaml);
        self.screen.gap();
        self.screen.text(
            "Production answers each request. Envoy also copies it to the canary, and drops the canary's response. \
             Prometheus, which the controller was configured with, scrapes the canary's pod. The 20 s start when \
             Prometheus has counted copies, of which at most 1 % may fail.",
        );
        self.mirrored("web-5", &yaml, "Succeeded").await
    }

    /// The canary answers a quarter of its copies with 503.
    pub async fn mirrored_badly(&mut self) -> Result<(), Error> {
        self.part("5  A canary fails, and production never notices");
        self.screen.text("The same for shop:6, but its pod answers every fourth copy with 503.");
        self.set_behaviour("web-6", Behaviour { code: 503, ..Behaviour::failing(0.25) })?;
        self.mirrored("web-6", &kanary("web-6", "shop:6", MIRROR, PROM_QL), "Failed").await
    }

    /// Waits until Envoy uses production's own routes.
    async fn mesh(&mut self) -> Result<(), Error> {
        self.view.watch_routes(&self.client, NAMESPACE);
        self.apply("route.yaml", ROUTE).await?;
        self.until(|view| view.routes.contains_key(BASE)).await?;
        let sidecar = &self.lab.mesh()?.sidecar;
        sidecar.until_route(&host(BASE), "production's own route", |route| route.name == "all").await?;
        sidecar.until_endpoints(&host(BASE), 80, REPLICAS).await?;
        if let Some(address) = self.lab.artifacts().published.get(&network::FIRST_PROMETHEUS_PORT) {
            self.screen.line("prometheus", Style::Plain, &format!("you can open it at http://{address}"));
        }
        self.screen.line(
            "traffic",
            Style::Plain,
            "Envoy has the route: VirtualService web, to the 3 pods of Service web",
        );
        Ok(())
    }

    fn set_behaviour(&self, kanary: &str, behaviour: Behaviour) -> Result<(), Error> {
        self.lab.backend()?.set_behaviour(NAMESPACE, &format!("kanary.k8s.io/canary={kanary}"), behaviour);
        Ok(())
    }

    /// One run, from before the canary until nothing of it is left.
    async fn mirrored(&mut self, name: &str, yaml: &str, end: &str) -> Result<(), Error> {
        let before = self.view.routes.get(BASE).cloned();
        self.screen.restart();
        let load = calls()?.count(MOST).per_second(RATE).start();
        let rate = format!("{RATE} requests a second to Service web, through Envoy");
        self.screen.line("clients", Style::Yellow, &rate);
        self.apply(&format!("{name}.yaml"), yaml).await?;
        self.until_counted(name, &load, |view| view.phase(name) == end && view.is_rolled_out(BASE)).await?;
        let report = load.stop().await?;
        self.screen.line("production", Style::Bold, &answered(&report)?);
        self.ended(name).await?;
        self.until(|view| view.routes.get(BASE) == before.as_ref()).await?;
        self.screen.line("production", Style::Bold, "VirtualService web is as it was before");
        self.items(name);
        Ok(())
    }

    /// Shows what happens until `met`, and the counts.
    async fn until_counted(&mut self, name: &str, load: &Running, met: impl Fn(&View) -> bool) -> Result<(), Error> {
        let (mut beat, mut heard) = (interval(BEAT), Instant::now());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !met(&self.view) {
            self.check()?;
            tokio::select! {
                lines = self.view.next() => {
                    heard = Instant::now();
                    self.show(lines?);
                }
                _ = beat.tick() => self.count(name, load, PLAIN_EVERY)?,
            }
            if heard.elapsed() > PATIENCE {
                return Err(nothing_happened());
            }
        }
        Ok(())
    }

    fn count(&self, name: &str, load: &Running, plain_every: Duration) -> Result<(), Error> {
        let (answers, copies) = (load.so_far(|_| true), self.copies(name)?);
        let counts = format!("{answers} requests answered, {copies} copies at the canary");
        self.screen.progress("counted", &counts, plain_every);
        Ok(())
    }

    /// Requests that arrived at a canary's pods; each of them is a copy.
    fn copies(&self, name: &str) -> Result<usize, Error> {
        let pods = format!("{name}-kanary-");
        let arrivals = self.lab.backend()?.arrivals(NAMESPACE);
        Ok(arrivals.iter().filter(|arrival| arrival.pod.starts_with(&pods)).count())
    }

    /// Envoy no longer mirrors, and no copy arrives.
    async fn ended(&self, name: &str) -> Result<(), Error> {
        let (sidecar, canary) = (&self.lab.mesh()?.sidecar, host(&format!("{name}-kanary")));
        sidecar.until_route(&host(BASE), "no copies", |route| route.copies_to(&canary) == 0.0).await?;
        sidecar.until_idle(NAMESPACE).await?;
        let before = self.copies(name)?;
        self.screen.line(
            "counted",
            Style::Bold,
            &format!("{before} copies at the canary; sending {AFTER} more requests"),
        );
        let report = calls()?.count(AFTER).run().await;
        sidecar.until_idle(NAMESPACE).await?;
        let after = self.copies(name)?;
        if before != after {
            return Err(Error::wrong(format!("{} copies arrived after the canary had been removed", after - before)));
        }
        self.screen.line("production", Style::Bold, &answered(&report)?);
        self.screen.line("counted", Style::Bold, &format!("no further copy: {after} as before"));
        Ok(())
    }

    /// Prometheus' latest results, from the status.
    fn items(&self, name: &str) {
        let status = self.view.kanaries.get(name).cloned().unwrap_or_default();
        self.screen.gap();
        self.screen.text(&format!("The query and its latest result, from the status of {name}:"));
        for item in status["items"].as_array().into_iter().flatten() {
            self.screen.code(&described(item));
        }
    }
}

fn described(item: &Value) -> String {
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

/// Calls as a client inside the mesh makes them: its sidecar listens on loopback.
fn calls() -> Result<Load, Error> {
    Load::new(vec![(Ipv4Addr::LOCALHOST, 80).into()], &host(BASE))
}

fn host(service: &str) -> String {
    format!("{service}.{NAMESPACE}.svc.cluster.local")
}

/// Which pods answered, and with which status.
fn answered(report: &Report) -> Result<String, Error> {
    let is_canary = |answer: &&Answer| answer.from.contains("-kanary-");
    if let Some(answer) = report.answers.iter().find(is_canary) {
        return Err(Error::wrong(format!("{} answered a request to production", answer.from)));
    }
    let statuses: BTreeMap<u16, usize> = report.statuses();
    let all: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    Ok(format!("answered {} requests: {}; the canary answered none", report.answers.len(), all.join(", ")))
}
