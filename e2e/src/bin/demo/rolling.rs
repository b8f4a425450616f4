//! What Kanary is for: a bad image without it, by a plain rolling update.

use kanary_e2e::Error;

use crate::{
    run::{BASE, Demo},
    users::counts,
    view::{View, image},
    yaml::{APP, BAD, annotated},
};

/// The image that is bad here, and as a canary again.
pub const BAD_IMAGE: &str = "shop:3";

impl Demo {
    /// All pods get it, until somebody rolls it back by hand.
    pub async fn rolled_out_and_back(&mut self) -> Result<(), Error> {
        self.part("0  Without Kanary: a bad image, by a plain rolling update");
        self.screen.text(&format!(
            "The pods of {BAD_IMAGE} answer three of ten requests with 500. In this demo an annotation beside the image \
             says so: {BAD}. The readiness probe succeeds all the same.",
        ));
        self.screen.restart();
        let load = self.users().await?;
        let bad = APP.replace("shop:1", BAD_IMAGE).replace("metadata: {labels: {app: web}}", &annotated(BAD));
        self.apply("app.yaml", &bad).await?;
        self.until_counted(&load, counts, |view, _| runs(view, BAD_IMAGE)).await?;
        self.unnoticed(&load).await?;
        self.kubectl("rollout undo deployment/web").await?;
        self.until_counted(&load, counts, |view, _| runs(view, "shop:1")).await?;
        self.rolling_errors = self.users_leave(load).await?;
        Ok(())
    }
}

fn runs(view: &View, of: &str) -> bool {
    view.is_rolled_out(BASE) && view.deployments.get(BASE).is_some_and(|base| image(base) == of)
}
