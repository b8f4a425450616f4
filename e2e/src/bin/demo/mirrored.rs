//! Two canaries on a mesh: each gets copies of production's requests, and Prometheus counts its responses.
//!
//! Everything that is shown was counted: requests where they were answered, copies where they arrived.

use std::net::Ipv4Addr;

use kanary_e2e::{
    Error,
    load::{Load, Report, Running, report::listed},
    network,
};

use crate::{
    run::{BASE, Demo, NAMESPACE, REPLICAS},
    screen::Style,
    users::is_of_a_canary,
    yaml::{BAD_COPIES, PROM_QL, ROUTE, kanary},
};

/// The validation period starts when Prometheus has counted copies.
const MIRROR: &str = "mirror, mirror: {confirm: requests}";
/// Requests a second, and their maximum in one part: ten minutes.
const RATE: f64 = 20.0;
const MOST: usize = 12_000;
/// More requests after the end, none of which must be copied.
const AFTER: usize = 100;

impl Demo {
    /// The canary answers its copies well.
    pub async fn mirrored_well(&mut self) -> Result<(), Error> {
        self.mesh().await?;
        let yaml = kanary("web-5", "shop:5", MIRROR, PROM_QL, "");
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
        self.mirrored("web-6", &kanary("web-6", "shop:6", MIRROR, PROM_QL, BAD_COPIES), "Failed").await
    }

    /// Waits until Envoy uses production's own routes.
    async fn mesh(&mut self) -> Result<(), Error> {
        self.view.watch_routes(&self.client, NAMESPACE);
        self.apply("route.yaml", ROUTE).await?;
        self.until(|view| view.routes.contains_key(BASE)).await?;
        let sidecar = &self.lab.mesh()?.sidecar;
        sidecar.until_route(&host(BASE), "production's own route", |route| route.name == "all").await?;
        sidecar.until_endpoints(&host(BASE), 80, "", REPLICAS).await?;
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

    /// One run, from before the canary until nothing of it is left.
    async fn mirrored(&mut self, name: &str, yaml: &str, end: &str) -> Result<(), Error> {
        let before = self.view.routes.get(BASE).cloned();
        self.screen.restart();
        let load = calls()?.count(MOST).per_second(RATE).start();
        let rate = format!("{RATE} requests a second to Service web, through Envoy");
        self.screen.line("users", Style::Yellow, &rate);
        self.apply(&format!("{name}.yaml"), yaml).await?;
        let counts = |demo: &Self, load: &Running| demo.counted(name, load);
        self.until_counted(&load, counts, |view, _| view.phase(name) == end && view.is_rolled_out(BASE)).await?;
        let report = load.stop().await?;
        self.screen.line("users", Style::Bold, &answered(&report)?);
        self.ended(name).await?;
        self.until(|view| view.routes.get(BASE) == before.as_ref()).await?;
        self.screen.line("production", Style::Bold, "VirtualService web is as it was before");
        self.verdicts(name).await
    }

    fn counted(&self, name: &str, load: &Running) -> Result<String, Error> {
        Ok(format!("{} requests answered, {} copies at the canary", load.so_far(|_| true), self.copies(name)?))
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
        self.screen.line("users", Style::Bold, &answered(&report)?);
        self.screen.line("counted", Style::Bold, &format!("no further copy: {after} as before"));
        Ok(())
    }
}

/// Calls as a client inside the mesh makes them: its sidecar listens on loopback.
fn calls() -> Result<Load, Error> {
    Load::new(vec![(Ipv4Addr::LOCALHOST, 80).into()], &host(BASE))
}

fn host(service: &str) -> String {
    format!("{service}.{NAMESPACE}.svc.cluster.local")
}

/// How many errors users saw, and that no answer was the canary's.
fn answered(report: &Report) -> Result<String, Error> {
    if let Some(answer) = report.answers.iter().find(|answer| is_of_a_canary(answer)) {
        return Err(Error::wrong(format!("{} answered a request to production", answer.from)));
    }
    let (all, errors, statuses) = (report.answers.len(), report.errors(), listed(&report.statuses()));
    Ok(format!("{all} requests, {errors} errors: {statuses}; the canary answered none"))
}
