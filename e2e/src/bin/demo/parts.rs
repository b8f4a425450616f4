//! The parts that come while the play is on: a mesh and a Prometheus, built meanwhile if they are not in the cache.

use std::sync::Arc;

use kanary_e2e::{
    Error, Lab, Setup,
    background_build::{BuildFeed, BuildUpdate},
};
use tokio::{sync::watch, task::JoinHandle};

/// What became of them.
pub enum Parts {
    /// They run.
    Up,
    /// The machine lacks something; how to get it.
    Lacking(String),
    /// Their build failed.
    Failed(String),
}

/// They are awaited, and started as soon as they are there.
pub struct Coming {
    pub said: watch::Receiver<String>,
    pub parts: JoinHandle<Result<Parts, Error>>,
}

impl Coming {
    /// Beside the play, from now on.
    pub fn to(lab: Arc<Lab>) -> Self {
        let (says, said) = watch::channel("being started".to_owned());
        Self { said, parts: tokio::spawn(async move { raise(&lab, &says).await }) }
    }
}

async fn raise(lab: &Lab, says: &watch::Sender<String>) -> Result<Parts, Error> {
    let mut feed = BuildFeed::connect(lab.artifacts()).await?;
    loop {
        match feed.next().await? {
            BuildUpdate::Building(step) if step.is_empty() => {}
            BuildUpdate::Building(step) => drop(says.send_replace(format!("still being built: {step}"))),
            BuildUpdate::Lacking(cure) => return Ok(Parts::Lacking(cure)),
            BuildUpdate::Failed(why) => return Ok(Parts::Failed(why)),
            BuildUpdate::Built(tools) => {
                says.send_replace("being started".into());
                lab.extend(tools, &Setup::installed().with_mesh().with_prometheus()).await?;
                return Ok(Parts::Up);
            }
        }
    }
}
