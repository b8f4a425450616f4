//! One child process with a log file of its own. It is identified, and stopped, by its pid and never by its name.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use crate::{Context, Error};

/// How long a process may take to exit after SIGTERM. An API server never does if its etcd has exited.
const GRACE: Duration = Duration::from_secs(5);

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command`; what it prints goes to `log`.
    ///
    /// It gets a process group of its own, so that Ctrl-C at a terminal reaches the user's command only.
    pub fn spawn(name: &str, mut command: Command, log: PathBuf) -> Result<Self, Error> {
        let file = File::create(&log).context(|| format!("create {}", log.display()))?;
        let same = file.try_clone().context(|| format!("share {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file).stderr(same).process_group(0);
        let child = command.spawn().context(|| format!("start {name}"))?;
        let pid = child.id().ok_or_else(|| Error::wrong(format!("{name} has no pid")))?;
        Ok(Self { name: name.into(), pid, log, child })
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file that holds what it printed.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The error that reports its exit, if it has exited.
    pub fn ended(&mut self) -> Option<Error> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(Error::Ended { name: self.name.clone(), status, tail: tail(&self.log, 15) })
    }

    /// SIGTERM, and SIGKILL if it has not exited after 5 s.
    pub async fn stop(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::SIGTERM)?;
        match tokio::time::timeout(GRACE, self.child.wait()).await {
            Ok(status) => status.context(|| format!("wait for {}", self.name)),
            Err(_) => self.kill().await,
        }
    }

    /// SIGKILL: the program cannot handle it.
    pub async fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().await.context(|| format!("wait for {}", self.name))
    }

    /// Sends a signal, e.g. SIGSTOP and SIGCONT for a process that hangs for a while.
    ///
    /// A child that was waited for is sent nothing: its pid may be another's by now.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else {
            return Ok(());
        };
        kill(Pid::from_raw(pid), signal).context(|| format!("send {signal} to {} (pid {pid})", self.name))
    }
}

/// The last lines of a log.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
