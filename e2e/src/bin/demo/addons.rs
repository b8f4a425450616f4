//! The mesh and the Prometheus, which start while the demo runs; built in the background if they are not in the cache.

use std::sync::Arc;

use kanary_e2e::{
    Error, Lab, Setup,
    background_build::{BuildFeed, BuildUpdate},
};
use tokio::{sync::watch, task::JoinHandle};

/// The result.
pub enum Addons {
    /// They run.
    Running,
    /// The machine lacks something; how to get it.
    Lacking(String),
    /// Their build failed.
    Failed(String),
}

/// A start under way.
pub struct Starting {
    pub progress: watch::Receiver<String>,
    pub task: JoinHandle<Result<Addons, Error>>,
}

impl Starting {
    /// Starts them as soon as they are built.
    pub fn within(lab: Arc<Lab>) -> Self {
        let (sender, progress) = watch::channel("starting".to_owned());
        Self { progress, task: tokio::spawn(async move { start(&lab, &sender).await }) }
    }
}

async fn start(lab: &Lab, progress: &watch::Sender<String>) -> Result<Addons, Error> {
    let mut feed = BuildFeed::connect(lab.artifacts()).await?;
    loop {
        match feed.next().await? {
            BuildUpdate::Building(step) if step.is_empty() => {}
            BuildUpdate::Building(step) => drop(progress.send_replace(format!("still building: {step}"))),
            BuildUpdate::Lacking(remedy) => return Ok(Addons::Lacking(remedy)),
            BuildUpdate::Failed(why) => return Ok(Addons::Failed(why)),
            BuildUpdate::Built(tools) => {
                progress.send_replace("starting".into());
                lab.extend(tools, &Setup::installed().with_mesh().with_prometheus()).await?;
                return Ok(Addons::Running);
            }
        }
    }
}
