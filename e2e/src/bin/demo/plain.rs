//! Three stories that need a control plane and nothing else.

use std::{io, time::Instant};

use futures::FutureExt;
use k8s_openapi::api::core::v1::Pod;
use kanary_e2e::{Context, Error, kanary_api};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    play::{BASE, NAMESPACE, Play},
    screen::Style,
    stage::{Stage, image},
    yaml::{LABEL_WATCH, MANUAL, kanary},
};

impl Play {
    /// A canary is on its way.
    pub async fn begun(&mut self) -> Result<(), Error> {
        self.scene("1  A canary proves itself and is promoted");
        let yaml = kanary("web-2", "shop:2", "both", LABEL_WATCH);
        self.screen.code(&yaml);
        self.screen.gap();
        self.screen.text(
            "One canary pod joins production and has a Service of its own as well. It is good if nobody puts the label \
             alert=errors on it for 10 s. Until then the base is not touched.",
        );
        self.screen.restart();
        self.apply("web-2.yaml", &yaml).await?;
        self.until(|stage| stage.phase("web-2") == "Validating").await
    }

    /// Nobody finds anything bad.
    pub async fn promoted(&mut self) -> Result<(), Error> {
        self.until(|stage| stage.phase("web-2") == "Succeeded" && stage.is_rolled_out(BASE)).await?;
        self.screen.gap();
        self.kubectl(&["rollout", "history", "deployment/web"]).await
    }

    /// Monitoring labels the pod.
    pub async fn failed(&mut self) -> Result<(), Error> {
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

    /// A person decides.
    pub async fn approved(&mut self) -> Result<(), Error> {
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
                    news = self.stage.next() => self.tell(news?),
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
        let kanaries = kanary_api::kanaries(&self.client, NAMESPACE);
        let approved = kanaries.patch("web-4", &PatchParams::default(), &Patch::Merge(&word)).await;
        approved.map(drop).context(|| "approve web-4".into())
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
