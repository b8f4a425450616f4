//! The three stories.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use futures::FutureExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kanary_e2e::controller::Controller;
use kanary_e2e::{Context, Error, Lab, manifests, scene, story};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::oneshot;

use crate::screen::{Screen, Style};
use crate::stage::{Stage, image};

const NAMESPACE: &str = "demo";
const BASE: &str = "web";
const REPLICAS: usize = 3;

/// The base and its Service.
const APP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: shop:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: demo}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
";

const LABEL_WATCH: &str = "
    validationPeriod: 10s
    items:
    - labelWatch:
        podInvalidationLabels: {alert: errors}";
const MANUAL: &str = "
    items:
    - manual: {}";

fn kanary(name: &str, image: &str, source: &str, validation: &str) -> String {
    format!(
        "apiVersion: kanary.k8s.io/v1alpha1
kind: KanaryDeployment
metadata: {{name: {name}, namespace: demo}}
spec:
  deploymentName: web
  serviceName: web
  traffic: {{source: {source}}}
  validation:{validation}
  template:
    spec:
      template:
        metadata: {{labels: {{app: web}}}}
        spec: {{containers: [{{name: web, image: {image}}}]}}"
    )
}

/// A lab with the stage set.
pub struct Play<'a> {
    lab: &'a Lab,
    client: Client,
    controller: Controller,
    kubectl: PathBuf,
    screen: Screen,
    stage: Stage,
    auto: bool,
}

impl<'a> Play<'a> {
    /// Makes the namespace, and watches it.
    pub async fn begin(
        lab: &'a Lab,
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
    pub async fn perform(mut self) -> Result<(), Error> {
        match self.scenes().await {
            Ok(()) => Ok(()),
            Err(error) => {
                let story = story::of(&self.client, NAMESPACE, Some(self.controller.log())).await;
                Err(Error::wrong(format!("{error}\n{story}")))
            }
        }
    }

    async fn scenes(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        self.production().await?;
        self.promoted().await?;
        self.failed().await?;
        self.approved().await?;
        self.screen.title("That was it");
        self.kubectl(&["get", "kanarydeployments"]).await?;
        self.screen.gap();
        self.screen.text(&format!(
            "The play took {} s. The cluster is taken down now; what was built stays in the cache for the next \
             time. `make lab` keeps a cluster up to try your own, and examples/ has more stories.",
            begun.elapsed().as_secs()
        ));
        Ok(())
    }

    async fn production(&mut self) -> Result<(), Error> {
        self.scene("Production: a Deployment of three pods, and its Service");
        self.apply("app.yaml", APP).await?;
        self.until(|stage| stage.is_rolled_out(BASE) && stage.behind(BASE).len() == REPLICAS).await?;
        self.screen.line("traffic", Style::Plain, "Service web sends requests to these 3 pods");
        Ok(())
    }

    async fn promoted(&mut self) -> Result<(), Error> {
        self.scene("1  A canary proves itself and is promoted");
        let yaml = kanary("web-2", "shop:2", "both", LABEL_WATCH);
        self.screen.code(&yaml);
        self.screen.gap();
        self.screen.text(
            "One canary pod joins production and has a Service of its own as well. It is good if nobody puts the label \
             alert=errors on it for 10 s. Until then the base is not touched.",
        );
        self.screen = self.screen.restarted();
        self.apply("web-2.yaml", &yaml).await?;
        self.until(|stage| stage.phase("web-2") == "Succeeded" && stage.is_rolled_out(BASE)).await?;
        self.screen.gap();
        self.kubectl(&["rollout", "history", "deployment/web"]).await
    }

    async fn failed(&mut self) -> Result<(), Error> {
        self.scene("2  A canary fails");
        self.screen.text("The same for shop:3, but this time monitoring finds its pod bad.");
        let before = self.base().await?;
        self.apply("web-3.yaml", &kanary("web-3", "shop:3", "service", LABEL_WATCH)).await?;
        let judged = |stage: &Stage| stage.phase("web-3") == "Validating" && !stage.canaries_behind(BASE).is_empty();
        self.until(judged).await?;
        let pod = self.stage.canaries_behind(BASE).first().map(|pod| (*pod).clone()).unwrap_or_default();
        self.screen.line("monitoring", Style::Yellow, &format!("kubectl label pod {pod} alert=errors"));
        let labelled = Instant::now();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let label = json!({"metadata": {"labels": {"alert": "errors"}}});
        pods.patch(&pod, &PatchParams::default(), &Patch::Merge(&label))
            .await
            .context(|| format!("label Pod {pod}"))?;
        self.until(|stage| stage.canaries_behind(BASE).is_empty()).await?;
        let out = labelled.elapsed().as_millis();
        let measured = format!("out of production {out} ms after monitoring sent the label");
        self.screen.line("", Style::Bold, &measured);
        self.until(|stage| stage.phase("web-3") == "Failed").await?;
        let after = self.base().await?;
        let untouched = before.metadata.generation == after.metadata.generation && before.spec == after.spec;
        let (image, generation) = (image(&after), after.metadata.generation.unwrap_or_default());
        match untouched {
            true => self.screen.line(
                "base",
                Style::Plain,
                &format!("web is untouched: image {image}, generation {generation} as before"),
            ),
            false => return Err(Error::wrong("the base was changed by a canary that failed")),
        }
        Ok(())
    }

    async fn approved(&mut self) -> Result<(), Error> {
        self.scene("3  A canary waits for you");
        self.apply("web-4.yaml", &kanary("web-4", "shop:4", "service", MANUAL)).await?;
        self.until(|stage| stage.phase("web-4") == "Validating").await?;
        self.screen.gap();
        self.screen.text("It is in production now, and stays there until you speak, from another terminal:");
        self.screen.code("kubectl -n demo patch kd web-4 --type=merge -p \\\n  '{\"spec\":{\"validation\":{\"manual\":{\"status\":\"valid\"}}}}'");
        self.screen.gap();
        let spoken = |stage: &Stage| !matches!(stage.phase("web-4"), "Starting" | "Validating");
        if self.auto {
            self.approve().await?;
        } else {
            self.screen.text("or press Enter here to approve it. The word `invalid` would reject it.");
            // Fused: once it has answered, or stdin has ended, it is not asked again.
            let mut enter = enter().fuse();
            loop {
                tokio::select! {
                    news = self.stage.next(true) => self.tell(news?),
                    Ok(()) = &mut enter => self.approve().await?,
                }
                if spoken(&self.stage) {
                    break;
                }
            }
        }
        let over = |stage: &Stage| matches!(stage.phase("web-4"), "Succeeded" | "Failed");
        self.until(|stage| over(stage) && stage.is_rolled_out(BASE)).await
    }

    async fn approve(&self) -> Result<(), Error> {
        self.screen.line("you", Style::Yellow, "approve: spec.validation.manual.status: valid");
        let word = json!({"spec": {"validation": {"manual": {"status": "valid", "reason": "looks good to me"}}}});
        let kanaries = scene::kanaries(&self.client, NAMESPACE);
        let approved = kanaries.patch("web-4", &PatchParams::default(), &Patch::Merge(&word)).await;
        approved.map(drop).context(|| "approve web-4".into())
    }

    fn scene(&mut self, title: &str) {
        self.screen = self.screen.restarted();
        self.screen.title(title);
    }

    async fn apply(&self, file: &str, yaml: &str) -> Result<(), Error> {
        self.screen.line("you", Style::Yellow, &format!("kubectl apply -f {file}"));
        for object in manifests::parse(yaml)? {
            manifests::apply(&self.client, &object).await?;
        }
        Ok(())
    }

    /// Tells what happens until `met`.
    async fn until(&mut self, met: impl Fn(&Stage) -> bool) -> Result<(), Error> {
        while !met(&self.stage) {
            if let Some(error) = self.controller.ended() {
                return Err(error);
            }
            let news = self.stage.next(false).await?;
            self.tell(news);
        }
        Ok(())
    }

    fn tell(&self, news: Vec<(&'static str, Style, String)>) {
        for (who, style, text) in news {
            self.screen.line(who, style, &text);
        }
    }

    async fn base(&self) -> Result<Deployment, Error> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        deployments.get(BASE).await.context(|| "get Deployment web".into())
    }

    /// The real kubectl, and what it prints.
    async fn kubectl(&self, args: &[&str]) -> Result<(), Error> {
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

/// Completes when a line is read from stdin. A thread of its own: no runtime can take a read back.
fn enter() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        if io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0) {
            let _ = sender.send(());
        }
    });
    receiver
}
