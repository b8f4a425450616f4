//! What is built while the lab runs already. The outer process builds it, for the inner one has no network, and says by a
//! socket file how far it is and at last what there is.

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
    kit::{Kit, Wanted},
    tools::Tools,
};

/// What the outer process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// How far it is.
    Building(String),
    /// It is built: the last word.
    Built(Tools),
    /// The machine lacks something, and the sentence says what to do about it: the last word.
    Lacking(String),
    /// It could not be built: the last word.
    Failed(String),
}

/// The outer end: a build under way.
#[derive(Debug)]
pub struct Supply {
    listener: UnixListener,
    steps: watch::Receiver<String>,
    built: oneshot::Receiver<Result<Tools, Error>>,
}

impl Supply {
    /// Begins to build.
    pub fn begin(dir: &Path, wanted: Wanted) -> Result<Self, Error> {
        let socket = socket(dir);
        let listener = UnixListener::bind(&socket).context(|| format!("listen on {}", socket.display()))?;
        let (told, steps) = watch::channel(String::new());
        let (done, built) = oneshot::channel();
        thread::spawn(move || {
            calm();
            // The lab may have ended meanwhile.
            let _ = done.send(wanted.build_later(told));
        });
        Ok(Self { listener, steps, built })
    }

    /// Tells the inner process, if it asks.
    pub async fn run(mut self) -> Result<(), Error> {
        let told = || "tell the lab what was built".to_owned();
        let (mut stream, _) = self.listener.accept().await.context(told)?;
        loop {
            let news = tokio::select! {
                built = &mut self.built => last(built.context(told)?),
                Ok(()) = self.steps.changed() => News::Building(self.steps.borrow_and_update().clone()),
            };
            let line = serde_json::to_string(&news)? + "\n";
            stream.write_all(line.as_bytes()).await.context(told)?;
            if !matches!(news, News::Building(_)) {
                return Ok(());
            }
        }
    }
}

fn last(built: Result<Tools, Error>) -> News {
    match built {
        Ok(tools) => News::Built(tools),
        Err(Error::Lacking(cure)) => News::Lacking(cure),
        Err(error) => News::Failed(error.to_string()),
    }
}

/// What runs already goes first. What a thread starts inherits its niceness; if it has none, the build is only ruder.
fn calm() {
    let thread = nix::unistd::gettid().to_string();
    let mut renice = std::process::Command::new("renice");
    let _ = renice.args(["-n", "10", "-p", &thread]).output();
}

/// The inner end.
#[derive(Debug)]
pub struct Delivery(Lines<BufReader<UnixStream>>);

impl Delivery {
    /// Of what this lab's outer process builds; it is asked for once.
    pub async fn of(kit: &Kit) -> Result<Self, Error> {
        let socket = socket(&kit.dir);
        let stream = UnixStream::connect(&socket).await.context(|| format!("connect to {}", socket.display()))?;
        Ok(Self(BufReader::new(stream).lines()))
    }

    /// Waits for the next word.
    pub async fn next(&mut self) -> Result<News, Error> {
        let told = || "hear what is built".to_owned();
        let line = self.0.next_line().await.context(told)?;
        Ok(serde_json::from_str(&line.ok_or_else(|| Error::wrong("the outer process builds no more"))?)?)
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("supply.sock")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Delivery, News, Supply};
    use crate::{
        kit::{Kit, Wanted},
        tools::Tools,
    };

    #[tokio::test]
    async fn what_there_is_comes_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let kit = Kit { dir: dir.path().into(), tools: Tools::default(), kanary: None, doors: BTreeMap::new() };
        let supply = Supply::begin(&kit.dir, Wanted { later: true, ..Wanted::default() }).unwrap();
        let telling = tokio::spawn(supply.run());
        let mut delivery = Delivery::of(&kit).await.unwrap();
        assert!(matches!(delivery.next().await, Ok(News::Built(_))));
        telling.await.unwrap().unwrap();
        assert!(delivery.next().await.is_err(), "that was the last word");
    }
}
