//! Three canaries that need a control plane and nothing else.

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
    run::{BASE, Demo, NAMESPACE},
    screen::Style,
    view::{View, image},
    yaml::{LABEL_WATCH, MANUAL, kanary},
};

impl Demo {
    /// The first canary, until it is being evaluated.
    pub async fn start_first(&mut self) -> Result<(), Error> {
        self.part("1  A canary proves itself and is promoted");
        let yaml = kanary("web-2", "shop:2", "both", LABEL_WATCH);
        self.screen.code(&yaml);
        self.screen.gap();
        self.screen.text(
            "One canary pod joins production and also has a Service of its own. The canary is good if its pod does not \
             get the label alert=errors for 10 s. Until then the base is not touched.",
        );
        self.screen.restart();
        self.apply("web-2.yaml", &yaml).await?;
        self.until(|view| view.phase("web-2") == "Validating").await
    }

    /// It finds nothing bad.
    pub async fn promoted(&mut self) -> Result<(), Error> {
        self.until(|view| view.phase("web-2") == "Succeeded" && view.is_rolled_out(BASE)).await?;
        self.screen.gap();
        self.kubectl(&["rollout", "history", "deployment/web"]).await
    }

    /// Monitoring labels the pod.
    pub async fn failed(&mut self) -> Result<(), Error> {
        self.part("2  A canary fails");
        self.screen.text("The same for shop:3, but this time monitoring finds errors and labels the pod.");
        let before = self.base().await?;
        self.apply("web-3.yaml", &kanary("web-3", "shop:3", "service", LABEL_WATCH)).await?;
        let serves = |view: &View| view.phase("web-3") == "Validating" && !view.canaries_behind(BASE).is_empty();
        self.until(serves).await?;
        let pod = self.view.canaries_behind(BASE).first().map(|pod| (*pod).clone()).unwrap_or_default();
        self.screen.line("monitoring", Style::Yellow, &format!("kubectl label pod {pod} alert=errors"));
        let labelled = Instant::now();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let label = json!({"metadata": {"labels": {"alert": "errors"}}});
        pods.patch(&pod, &PatchParams::default(), &Patch::Merge(&label))
            .await
            .context(|| format!("label Pod {pod}"))?;
        self.until(|view| view.canaries_behind(BASE).is_empty()).await?;
        let out = labelled.elapsed().as_millis();
        let measured = format!("out of production {out} ms after monitoring sent the label");
        self.screen.line("", Style::Bold, &measured);
        self.until(|view| view.phase("web-3") == "Failed").await?;
        let after = self.base().await?;
        let untouched = before.metadata.generation == after.metadata.generation && before.spec == after.spec;
        if !untouched {
            return Err(Error::wrong("a canary that failed has changed the base"));
        }
        let (image, generation) = (image(&after), after.metadata.generation.unwrap_or_default());
        let unchanged = format!("web is unchanged: image {image}, generation {generation} as before");
        self.screen.line("base", Style::Plain, &unchanged);
        Ok(())
    }

    /// A user decides.
    pub async fn approved(&mut self) -> Result<(), Error> {
        self.part("3  A canary waits for you");
        self.apply("web-4.yaml", &kanary("web-4", "shop:4", "service", MANUAL)).await?;
        self.until(|view| view.phase("web-4") == "Validating").await?;
        self.screen.gap();
        self.screen.text("It serves production traffic until you decide, from another terminal:");
        self.screen.code("kubectl -n demo patch kd web-4 --type=merge -p \\\n  '{\"spec\":{\"validation\":{\"manual\":{\"status\":\"valid\"}}}}'");
        self.screen.gap();
        let is_decided = |view: &View| !matches!(view.phase("web-4"), "Starting" | "Validating");
        if self.auto {
            self.approve().await?;
        } else {
            self.screen.text("or press Enter here to approve it. The status `invalid` would reject it.");
            // Fused: once it has completed, or stdin has ended, it is not polled again.
            let mut enter = enter().fuse();
            loop {
                tokio::select! {
                    lines = self.view.next() => self.show(lines?),
                    Ok(()) = &mut enter => self.approve().await?,
                }
                if is_decided(&self.view) {
                    break;
                }
            }
        }
        let is_over = |view: &View| matches!(view.phase("web-4"), "Succeeded" | "Failed");
        self.until(|view| is_over(view) && view.is_rolled_out(BASE)).await
    }

    async fn approve(&self) -> Result<(), Error> {
        self.screen.line("you", Style::Yellow, "approve: spec.validation.manual.status: valid");
        let verdict = json!({"spec": {"validation": {"manual": {"status": "valid", "reason": "looks good to me"}}}});
        let kanaries = kanary_api::kanaries(&self.client, NAMESPACE);
        let approved = kanaries.patch("web-4", &PatchParams::default(), &Patch::Merge(&verdict)).await;
        approved.map(drop).context(|| "approve web-4".into())
    }
}

/// Completes when a line is read from stdin. A thread of its own, because a blocking read cannot be cancelled.
fn enter() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        if io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0) {
            let _ = sender.send(());
        }
    });
    receiver
}
