//! Three canaries that need a control plane and nothing else.

use std::time::Instant;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kanary_e2e::{Context, Error, load::Running};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    rolling::BAD_IMAGE,
    run::{BASE, Demo, NAMESPACE},
    screen::Style,
    typed::{self, Decision},
    users::counts,
    view::{View, image},
    yaml::{BAD, LABEL_WATCH, MANUAL, kanary},
};

impl Demo {
    /// The first canary, until it is being evaluated.
    pub async fn start_first(&mut self) -> Result<(), Error> {
        self.part("1  A canary proves itself and is promoted");
        let yaml = kanary("web-2", "shop:2", "both", LABEL_WATCH, "");
        self.screen.code(&yaml);
        self.screen.gap();
        self.screen.text(
            "One canary pod joins production and also has a Service of its own. The canary is good if its pod does not \
             get the label alert=errors for 10 s. Until then the base is not touched.",
        );
        self.screen.restart();
        self.apply("web-2.yaml", &yaml).await?;
        self.until(|view| view.phase("web-2") == "Validating").await?;
        self.list().await?;
        self.screen.gap();
        Ok(())
    }

    /// It finds nothing bad.
    pub async fn promoted(&mut self) -> Result<(), Error> {
        self.until(|view| view.phase("web-2") == "Succeeded" && view.is_rolled_out(BASE)).await?;
        self.screen.gap();
        self.kubectl("rollout history deployment/web").await
    }

    /// Monitoring labels the pod.
    pub async fn failed(&mut self) -> Result<(), Error> {
        self.part("2  The same bad image as a canary");
        self.screen.text(&format!(
            "{BAD_IMAGE} again, with the same annotation, but as one canary pod beside the three of production. Monitoring \
             takes as many requests as before to notice, and then labels the pod.",
        ));
        let before = self.base().await?;
        let load = self.users().await?;
        self.apply("web-3.yaml", &kanary("web-3", BAD_IMAGE, "service", LABEL_WATCH, BAD)).await?;
        let serves = |view: &View| view.phase("web-3") == "Validating" && !view.canaries_behind(BASE).is_empty();
        self.until_counted(&load, counts, |view, _| serves(view)).await?;
        self.unnoticed(&load).await?;
        self.taken_out(&load).await?;
        self.until_counted(&load, counts, |view, _| view.phase("web-3") == "Failed").await?;
        let errors = self.users_leave(load).await?;
        let compared = format!("the rolling update cost them {} errors, the canary {errors}", self.rolling_errors);
        self.screen.line("", Style::Bold, &compared);
        self.is_untouched(&before, &self.base().await?)?;
        self.verdicts("web-3").await
    }

    async fn taken_out(&mut self, load: &Running) -> Result<(), Error> {
        let pod = self.view.canaries_behind(BASE).first().map(|pod| (*pod).clone()).unwrap_or_default();
        self.screen.line("monitoring", Style::Yellow, &format!("kubectl label pod {pod} alert=errors"));
        let labelled = Instant::now();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let label = json!({"metadata": {"labels": {"alert": "errors"}}});
        pods.patch(&pod, &PatchParams::default(), &Patch::Merge(&label))
            .await
            .context(|| format!("label Pod {pod}"))?;
        self.until_counted(load, counts, |view, _| view.canaries_behind(BASE).is_empty()).await?;
        let out = labelled.elapsed().as_millis();
        let measured = format!("out of production {out} ms after monitoring sent the label");
        self.screen.line("", Style::Bold, &measured);
        Ok(())
    }

    fn is_untouched(&self, before: &Deployment, after: &Deployment) -> Result<(), Error> {
        if before.metadata.generation != after.metadata.generation || before.spec != after.spec {
            return Err(Error::wrong("a canary that failed has changed the base"));
        }
        let (image, generation) = (image(after), after.metadata.generation.unwrap_or_default());
        let unchanged = format!("web is unchanged: image {image}, generation {generation} as before");
        self.screen.line("base", Style::Plain, &unchanged);
        Ok(())
    }

    /// A user decides.
    pub async fn approved(&mut self) -> Result<(), Error> {
        self.part("3  A canary waits for you");
        self.apply("web-4.yaml", &kanary("web-4", "shop:4", "service", MANUAL, "")).await?;
        self.until(|view| view.phase("web-4") == "Validating").await?;
        self.list().await?;
        self.screen.gap();
        self.screen.text("It serves production traffic until you decide, from another terminal:");
        self.screen.code(&format!("kubectl kanary approve web-4 -n {NAMESPACE}"));
        self.screen.code(&format!("kubectl kanary reject web-4 -n {NAMESPACE}"));
        self.screen.gap();
        if self.auto {
            self.decide(Decision::Approve).await?;
        } else {
            self.screen.text(&format!("or here: {}.", typed::HINT));
            self.until_decided().await?;
        }
        let is_over = |view: &View| matches!(view.phase("web-4"), "Succeeded" | "Failed");
        self.until(|view| is_over(view) && view.is_rolled_out(BASE)).await
    }

    /// Here or elsewhere.
    async fn until_decided(&mut self) -> Result<(), Error> {
        let (mut typed, mut decided) = (typed::lines(), false);
        while matches!(self.view.phase("web-4"), "Starting" | "Validating") {
            tokio::select! {
                lines = self.view.next() => self.show(lines?),
                Some(line) = typed.recv(), if !decided => match Decision::read(&line) {
                    // If it was decided elsewhere at the same time, that counts.
                    Some(decision) => match self.decide(decision).await {
                        Ok(()) => decided = true,
                        Err(error) => self.screen.line("you", Style::Red, &error.to_string()),
                    },
                    None => self.screen.text(&format!("{:?} decides nothing: {}.", line.trim(), typed::HINT)),
                },
            }
        }
        Ok(())
    }

    async fn decide(&self, decision: Decision) -> Result<(), Error> {
        let (verb, reason) = match decision {
            Decision::Approve => ("approve", "looks good to me"),
            Decision::Reject => ("reject", "not yet"),
        };
        self.kubectl(&format!("kanary {verb} web-4 --reason '{reason}'")).await
    }
}
