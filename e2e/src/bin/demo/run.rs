//! The order of the demo's parts, and how they are shown.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
use kanary_e2e::{Context, Error, Lab, controller::Controller, diagnostics, manifests};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use tokio::time::interval;

use crate::{
    addons::{Addons, Starting},
    lines::Line,
    screen::{Screen, Style},
    view::View,
    yaml::APP,
};

/// The namespace of all objects.
pub const NAMESPACE: &str = "demo";
/// Production: a Deployment and its Service.
pub const BASE: &str = "web";
/// Its pods.
pub const REPLICAS: usize = 3;
/// How long nothing may happen; generous, because the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How often a wait is shown, at a terminal and elsewhere.
const BEAT: Duration = Duration::from_secs(1);
const PLAIN_EVERY: Duration = Duration::from_secs(20);

/// A lab with a namespace that is watched.
pub struct Demo {
    pub lab: Arc<Lab>,
    pub client: Client,
    controller: Controller,
    /// Where kubectl and its plugin are.
    pub bin: PathBuf,
    pub screen: Screen,
    pub view: View,
    pub auto: bool,
    /// What users saw of the bad image by a rolling update.
    pub rolling_errors: usize,
}

impl Demo {
    /// Creates the namespace, and watches it.
    pub async fn new(
        lab: Arc<Lab>,
        controller: Controller,
        bin: PathBuf,
        screen: Screen,
        auto: bool,
    ) -> Result<Self, Error> {
        let client = lab.client();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        namespaces.create(&PostParams::default(), &namespace).await.context(|| "create Namespace demo".into())?;
        let view = View::watch(&client, NAMESPACE);
        Ok(Self { lab, client, controller, bin, screen, view, auto, rolling_errors: 0 })
    }

    /// Runs it to the end; an error comes with the diagnostics of the namespace.
    pub async fn run(mut self) -> Result<ExitCode, Error> {
        match self.parts().await {
            Ok(code) => Ok(code),
            Err(error) => {
                let diagnostics = diagnostics::of(&self.client, NAMESPACE, Some(self.controller.log())).await;
                Err(Error::wrong(format!("{error}\n{diagnostics}")))
            }
        }
    }

    async fn parts(&mut self) -> Result<ExitCode, Error> {
        let begun = Instant::now();
        self.production().await?;
        self.rolled_out_and_back().await?;
        self.start_first().await?;
        // Not earlier, or the first canary would wait for processes that start at the same time.
        let addons = Starting::within(self.lab.clone());
        self.promoted().await?;
        self.failed().await?;
        self.approved().await?;
        let code = self.on_a_mesh(addons).await?;
        self.screen.title("Done");
        self.kubectl("kanary get").await?;
        self.screen.gap();
        self.screen.text(&format!(
            "The demo took {} s. The cluster is being removed; what was built stays in the cache for the next run. \
             `make lab` starts a cluster for your own experiments, and examples/ has more scenarios.",
            begun.elapsed().as_secs()
        ));
        Ok(code)
    }

    /// Something that this machine lacks does not fail the demo; a failed build does.
    async fn on_a_mesh(&mut self, addons: Starting) -> Result<ExitCode, Error> {
        self.part("4  A canary gets copies of production's requests");
        match self.until_started(addons).await? {
            Addons::Running => {
                self.mirrored_well().await?;
                self.mirrored_badly().await?;
                Ok(ExitCode::SUCCESS)
            }
            Addons::Lacking(remedy) => {
                self.screen.text(&format!("Parts 4 and 5 are skipped: {remedy}. Then run the demo again."));
                Ok(ExitCode::SUCCESS)
            }
            Addons::Failed(why) => {
                self.screen.text("Parts 4 and 5 are skipped because the mesh or Prometheus could not be built:");
                self.screen.code(&why);
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// Waits for the mesh and Prometheus, and shows what is being waited for.
    async fn until_started(&mut self, mut addons: Starting) -> Result<Addons, Error> {
        let mut beat = interval(BEAT);
        while !addons.task.is_finished() {
            self.check()?;
            tokio::select! {
                done = &mut addons.task => return done.context(|| "start the mesh".into())?,
                lines = self.view.next() => self.show(lines?),
                _ = beat.tick() => {
                    let progress = addons.progress.borrow().clone();
                    self.screen.progress("the mesh", &progress, PLAIN_EVERY);
                }
            }
        }
        addons.task.await.context(|| "start the mesh".into())?
    }

    async fn production(&mut self) -> Result<(), Error> {
        self.part("Production: a Deployment of three pods, and its Service");
        self.apply("app.yaml", APP).await?;
        self.until(|view| view.is_rolled_out(BASE) && view.behind(BASE).len() == REPLICAS).await?;
        self.screen.line("traffic", Style::Plain, "Service web sends requests to these 3 pods");
        Ok(())
    }

    /// Starts the next part, and its clock.
    pub fn part(&mut self, title: &str) {
        self.screen.restart();
        self.screen.title(title);
    }

    /// What a user would do with kubectl.
    pub async fn apply(&self, file: &str, yaml: &str) -> Result<(), Error> {
        self.screen.line("you", Style::Yellow, &format!("kubectl apply -f {file}"));
        for object in manifests::parse(yaml)? {
            manifests::apply(&self.client, &object).await?;
        }
        Ok(())
    }

    /// Shows what happens until `met`.
    pub async fn until(&mut self, met: impl Fn(&View) -> bool) -> Result<(), Error> {
        while !met(&self.view) {
            self.check()?;
            let lines = tokio::time::timeout(PATIENCE, self.view.next()).await.map_err(|_| nothing_happened());
            self.show(lines??);
        }
        Ok(())
    }

    /// Fails if the controller has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        self.controller.ended().map_or(Ok(()), Err)
    }

    /// In the order in which it happened.
    pub fn show(&self, lines: Vec<Line>) {
        for (who, style, text) in lines {
            self.screen.line(who, style, &text);
        }
    }

    /// Production as it is now.
    pub async fn base(&self) -> Result<Deployment, Error> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        deployments.get(BASE).await.context(|| "get Deployment web".into())
    }
}

/// The error of a demo that makes no progress.
pub fn nothing_happened() -> Error {
    Error::wrong(format!("no object has changed for {} s", PATIENCE.as_secs()))
}
