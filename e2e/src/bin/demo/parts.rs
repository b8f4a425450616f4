//! The parts that come while the play is on: a mesh and a Prometheus, built meanwhile if they are not in the cache.

use std::sync::Arc;
use std::time::Duration;

use kanary_e2e::supply::{Delivery, News};
use kanary_e2e::{Context, Error, Lab, Setup};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::play::Play;

/// How often a wait is told, at a terminal and elsewhere.
const BEAT: Duration = Duration::from_secs(1);
const NOW_AND_THEN: Duration = Duration::from_secs(20);

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
    said: watch::Receiver<String>,
    parts: JoinHandle<Result<Parts, Error>>,
}

impl Coming {
    /// Beside the play, from now on.
    pub fn to(lab: Arc<Lab>) -> Self {
        let (says, said) = watch::channel("being started".to_owned());
        Self { said, parts: tokio::spawn(async move { raise(&lab, &says).await }) }
    }
}

async fn raise(lab: &Lab, says: &watch::Sender<String>) -> Result<Parts, Error> {
    let mut delivery = Delivery::of(lab.kit()).await?;
    loop {
        match delivery.next().await? {
            News::Building(step) if step.is_empty() => {}
            News::Building(step) => drop(says.send_replace(format!("still being built: {step}"))),
            News::Lacking(cure) => return Ok(Parts::Lacking(cure)),
            News::Failed(why) => return Ok(Parts::Failed(why)),
            News::Built(tools) => {
                says.send_replace("being started".into());
                lab.extend(tools, &Setup::installed().with_mesh().with_prometheus()).await?;
                return Ok(Parts::Up);
            }
        }
    }
}

impl Play {
    /// Waits for them, and says why.
    pub async fn parts(&mut self, mut coming: Coming) -> Result<Parts, Error> {
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
}
