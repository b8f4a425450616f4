//! Builds tools while the lab already runs. The outer process builds them, because the inner one has no network, and
//! reports progress and the result through a socket file.

use std::{
    path::{Path, PathBuf},
    thread,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{UnixListener, UnixStream},
    sync::{oneshot, watch},
};

use crate::{
    Context, Error,
    artifacts::{Artifacts, Wanted},
    tools::Tools,
};

/// What the outer process reports.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildUpdate {
    /// The step under way.
    Building(String),
    /// Everything is built. Nothing follows.
    Built(Tools),
    /// The machine lacks something; the text says what to install or change. Nothing follows.
    Lacking(String),
    /// The build failed. Nothing follows.
    Failed(String),
}

/// The outer end: a build under way.
#[derive(Debug)]
pub struct BackgroundBuild {
    listener: UnixListener,
    steps: watch::Receiver<String>,
    built: oneshot::Receiver<Result<Tools, Error>>,
}

impl BackgroundBuild {
    /// Starts the build.
    pub fn start(dir: &Path, wanted: Wanted) -> Result<Self, Error> {
        let socket = socket(dir);
        let listener = UnixListener::bind(&socket).context(|| format!("listen on {}", socket.display()))?;
        let (progress, steps) = watch::channel(String::new());
        let (done, built) = oneshot::channel();
        thread::spawn(move || {
            lower_priority();
            // The lab may have ended in the meantime.
            let _ = done.send(wanted.build_in_background(progress));
        });
        Ok(Self { listener, steps, built })
    }

    /// Reports to the inner process once that connects.
    pub async fn run(mut self) -> Result<(), Error> {
        let what = || "report the background build to the lab".to_owned();
        let (mut stream, _) = self.listener.accept().await.context(what)?;
        loop {
            let update = tokio::select! {
                built = &mut self.built => last(built.context(what)?),
                Ok(()) = self.steps.changed() => BuildUpdate::Building(self.steps.borrow_and_update().clone()),
            };
            let line = serde_json::to_string(&update)? + "\n";
            stream.write_all(line.as_bytes()).await.context(what)?;
            if !matches!(update, BuildUpdate::Building(_)) {
                return Ok(());
            }
        }
    }
}

fn last(built: Result<Tools, Error>) -> BuildUpdate {
    match built {
        Ok(tools) => BuildUpdate::Built(tools),
        Err(Error::Lacking(remedy)) => BuildUpdate::Lacking(remedy),
        Err(error) => BuildUpdate::Failed(error.to_string()),
    }
}

/// The running lab goes first. What a thread starts inherits its niceness; without `renice` the build merely competes.
fn lower_priority() {
    let thread = nix::unistd::gettid().to_string();
    let mut renice = std::process::Command::new("renice");
    let _ = renice.args(["-n", "10", "-p", &thread]).output();
}

/// The inner end.
#[derive(Debug)]
pub struct BuildFeed(Lines<BufReader<UnixStream>>);

impl BuildFeed {
    /// Connects to the build of this lab's outer process; possible once.
    pub async fn connect(artifacts: &Artifacts) -> Result<Self, Error> {
        let socket = socket(&artifacts.dir);
        let stream = UnixStream::connect(&socket).await.context(|| format!("connect to {}", socket.display()))?;
        Ok(Self(BufReader::new(stream).lines()))
    }

    /// Waits for the next update.
    pub async fn next(&mut self) -> Result<BuildUpdate, Error> {
        let line = self.0.next_line().await.context(|| "follow the background build".into())?;
        Ok(serde_json::from_str(&line.ok_or_else(|| Error::wrong("the background build has ended"))?)?)
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("background-build.sock")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{BackgroundBuild, BuildFeed, BuildUpdate};
    use crate::{
        artifacts::{Artifacts, Wanted},
        tools::Tools,
    };

    #[tokio::test]
    async fn an_empty_build_is_complete_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts =
            Artifacts { dir: dir.path().into(), tools: Tools::default(), kanary: None, published: BTreeMap::new() };
        let build =
            BackgroundBuild::start(&artifacts.dir, Wanted { in_background: true, ..Wanted::default() }).unwrap();
        let reporting = tokio::spawn(build.run());
        let mut feed = BuildFeed::connect(&artifacts).await.unwrap();
        assert!(matches!(feed.next().await, Ok(BuildUpdate::Built(_))));
        reporting.await.unwrap().unwrap();
        assert!(feed.next().await.is_err(), "nothing follows the result");
    }
}
