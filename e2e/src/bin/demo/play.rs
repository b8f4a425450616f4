//! The play: the order of its stories, and how they are told.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
use kanary_e2e::{Context, Error, Lab, controller::Controller, manifests, story};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use tokio::{process::Command, time::interval};

use crate::{
    news::News,
    parts::{Coming, Parts},
    screen::{Screen, Style},
    stage::Stage,
    yaml::APP,
};

/// Where it takes place.
pub const NAMESPACE: &str = "demo";
/// Production: a Deployment and its Service.
pub const BASE: &str = "web";
/// Its pods.
pub const REPLICAS: usize = 3;
/// A machine that is busy may take this long between two things that happen.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How often a wait is told, at a terminal and elsewhere.
const BEAT: Duration = Duration::from_secs(1);
const NOW_AND_THEN: Duration = Duration::from_secs(20);

/// A lab with the stage set.
pub struct Play {
    pub lab: Arc<Lab>,
    pub client: Client,
    controller: Controller,
    kubectl: PathBuf,
    pub screen: Screen,
    pub stage: Stage,
    pub auto: bool,
}

impl Play {
    /// Makes the namespace, and watches it.
    pub async fn begin(
        lab: Arc<Lab>,
        controller: Controller,
        kubectl: PathBuf,
        screen: Screen,
        auto: bool,
    ) -> Result<Self, Error> {
        let client = lab.client();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        namespaces.create(&PostParams::default(), &namespace).await.context(|| "create Namespace demo".into())?;
        let stage = Stage::watch(&client, NAMESPACE);
        Ok(Self { lab, client, controller, kubectl, screen, stage, auto })
    }

    /// Plays it to the end; if something goes wrong, with the story of the namespace.
    pub async fn perform(mut self) -> Result<ExitCode, Error> {
        match self.scenes().await {
            Ok(code) => Ok(code),
            Err(error) => {
                let story = story::of(&self.client, NAMESPACE, Some(self.controller.log())).await;
                Err(Error::wrong(format!("{error}\n{story}")))
            }
        }
    }

    async fn scenes(&mut self) -> Result<ExitCode, Error> {
        let begun = Instant::now();
        self.production().await?;
        self.begun().await?;
        // Not before, or the first canary would wait for processes that start beside it. Now nothing else happens.
        let coming = Coming::to(self.lab.clone());
        self.promoted().await?;
        self.failed().await?;
        self.approved().await?;
        let code = self.on_a_mesh(coming).await?;
        self.screen.title("That was it");
        self.kubectl(&["get", "kanarydeployments"]).await?;
        self.screen.gap();
        self.screen.text(&format!(
            "The play took {} s. The cluster is taken down now; what was built stays in the cache for the next \
             time. `make lab` keeps a cluster up to try your own, and examples/ has more stories.",
            begun.elapsed().as_secs()
        ));
        Ok(code)
    }

    /// What this machine lacks is no failure of the play; a build that fails is.
    async fn on_a_mesh(&mut self, coming: Coming) -> Result<ExitCode, Error> {
        self.scene("4  A canary gets copies of production's requests");
        match self.parts(coming).await? {
            Parts::Up => {
                self.copied().await?;
                self.refused().await?;
                Ok(ExitCode::SUCCESS)
            }
            Parts::Lacking(cure) => {
                self.screen.text(&format!("This story and the next are left out: {cure}. With that, run it again."));
                Ok(ExitCode::SUCCESS)
            }
            Parts::Failed(why) => {
                self.screen
                    .text("This story and the next cannot be told, for the mesh or Prometheus could not be built:");
                self.screen.code(&why);
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// Waits for them, and says why.
    async fn parts(&mut self, mut coming: Coming) -> Result<Parts, Error> {
        let mut beat = interval(BEAT);
        while !coming.parts.is_finished() {
            self.check()?;
            tokio::select! {
                parts = &mut coming.parts => return parts.context(|| "start the mesh".into())?,
                news = self.stage.next() => self.tell(news?),
                _ = beat.tick() => {
                    let said = coming.said.borrow().clone();
                    self.screen.moves("the mesh", &said, NOW_AND_THEN);
                }
            }
        }
        coming.parts.await.context(|| "start the mesh".into())?
    }

    async fn production(&mut self) -> Result<(), Error> {
        self.scene("Production: a Deployment of three pods, and its Service");
        self.apply("app.yaml", APP).await?;
        self.until(|stage| stage.is_rolled_out(BASE) && stage.behind(BASE).len() == REPLICAS).await?;
        self.screen.line("traffic", Style::Plain, "Service web sends requests to these 3 pods");
        Ok(())
    }

    /// The next scene, and its clock.
    pub fn scene(&mut self, title: &str) {
        self.screen.restart();
        self.screen.title(title);
    }

    /// What a person would do with kubectl.
    pub async fn apply(&self, file: &str, yaml: &str) -> Result<(), Error> {
        self.screen.line("you", Style::Yellow, &format!("kubectl apply -f {file}"));
        for object in manifests::parse(yaml)? {
            manifests::apply(&self.client, &object).await?;
        }
        Ok(())
    }

    /// Tells what happens until `met`.
    pub async fn until(&mut self, met: impl Fn(&Stage) -> bool) -> Result<(), Error> {
        while !met(&self.stage) {
            self.check()?;
            let news = tokio::time::timeout(PATIENCE, self.stage.next()).await.map_err(|_| nothing());
            self.tell(news??);
        }
        Ok(())
    }

    /// The controller is there.
    pub fn check(&mut self) -> Result<(), Error> {
        self.controller.ended().map_or(Ok(()), Err)
    }

    /// In the order in which it happened.
    pub fn tell(&self, news: Vec<News>) {
        for (who, style, text) in news {
            self.screen.line(who, style, &text);
        }
    }

    /// Production as it is.
    pub async fn base(&self) -> Result<Deployment, Error> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        deployments.get(BASE).await.context(|| "get Deployment web".into())
    }

    /// The real kubectl, and what it prints.
    pub async fn kubectl(&self, args: &[&str]) -> Result<(), Error> {
        self.screen.output(&format!("$ kubectl -n {NAMESPACE} {}", args.join(" ")));
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", self.lab.kubeconfig()).args(["-n", NAMESPACE]).args(args);
        let output = command.output().await.context(|| "run kubectl".into())?;
        self.screen.output(String::from_utf8_lossy(&output.stdout).trim_end());
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::wrong(String::from_utf8_lossy(&output.stderr))),
        }
    }
}

/// The error that tells that the play stands still.
pub fn nothing() -> Error {
    Error::wrong(format!("wait for something to happen: nothing did for {} s", PATIENCE.as_secs()))
}
