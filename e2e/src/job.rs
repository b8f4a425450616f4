//! Programs that build, and stopping them early: by a signal to their process group, so that their children end as
//! well, and with half-built files removed.
//!
//! Ctrl-C at a terminal does not reach them; the process that receives it calls [`stop`].

use std::{
    collections::BTreeSet,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Context, Error, home};

/// How long a program may take to exit after SIGINT; one that was started with SIGINT ignored never does.
const GRACE: Duration = Duration::from_secs(3);

static JOBS: Mutex<Jobs> = Mutex::new(Jobs { stopped: false, groups: BTreeSet::new(), scratches: 0 });
static CHANGED: Condvar = Condvar::new();

/// All jobs of this process.
struct Jobs {
    stopped: bool,
    groups: BTreeSet<u32>,
    scratches: usize,
}

fn lock() -> MutexGuard<'static, Jobs> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock, unless nothing may be started any more.
fn unless_stopped() -> Result<MutexGuard<'static, Jobs>, Error> {
    let jobs = lock();
    if jobs.stopped { Err(Error::wrong("the build was stopped")) } else { Ok(jobs) }
}

/// A program under way.
#[derive(Debug)]
pub struct Job {
    /// Its process.
    pub child: Child,
    _group: Group,
}

#[derive(Debug)]
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let mut jobs = lock();
        jobs.groups.remove(&self.0);
        if jobs.stopped {
            // Its children, if it did not wait for them.
            signal(self.0, Signal::SIGKILL);
        }
        CHANGED.notify_all();
    }
}

/// A group that has just ended needs no signal.
fn signal(group: u32, kind: Signal) {
    if let Ok(group) = i32::try_from(group) {
        let _ = killpg(Pid::from_raw(group), kind);
    }
}

/// Starts one, as the leader of a process group.
pub fn start(command: &mut Command, what: impl FnOnce() -> String) -> Result<Job, Error> {
    let mut jobs = unless_stopped()?;
    let child = command.process_group(0).spawn().context(what)?;
    jobs.groups.insert(child.id());
    Ok(Job { _group: Group(child.id()), child })
}

/// Runs one to its end, and returns what it printed.
pub fn output(command: &mut Command, what: impl Fn() -> String) -> Result<Output, Error> {
    let job = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), &what)?;
    job.child.wait_with_output().context(what)
}

impl Job {
    /// Waits for its end.
    pub fn wait(mut self, what: impl FnOnce() -> String) -> Result<ExitStatus, Error> {
        self.child.wait().context(what)
    }
}

/// A directory for files that are not complete yet; removed when dropped.
#[derive(Debug)]
pub struct Scratch(Option<TempDir>);

impl Scratch {
    /// Creates one inside `dir`, so that complete files can be moved there.
    pub fn within(dir: &Path) -> Result<Self, Error> {
        let mut jobs = unless_stopped()?;
        let scratch = tempfile::tempdir_in(dir).context(|| format!("write to {}", dir.display()))?;
        jobs.scratches += 1;
        Ok(Self(Some(scratch)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(dir) = self.0.take() {
            home::remove(dir.path());
        }
        lock().scratches -= 1;
        CHANGED.notify_all();
    }
}

/// Stops all of them, and lets nothing start any more. Returns when no half-built file is left.
pub fn stop() {
    for kind in [Signal::SIGINT, Signal::SIGKILL] {
        let mut jobs = lock();
        jobs.stopped = true;
        jobs.groups.iter().for_each(|group| signal(*group, kind));
        let busy = |jobs: &mut Jobs| !jobs.groups.is_empty() || jobs.scratches > 0;
        let waited = CHANGED.wait_timeout_while(jobs, GRACE, busy);
        if !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, thread};

    use super::{Scratch, start, stop};

    /// One test for all: nothing can be started in this process afterwards.
    #[test]
    fn a_stopped_job_leaves_nothing_and_nothing_more_starts() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::within(dir.path()).unwrap();
        let half = scratch.path().to_owned();
        // A shell that would wait for its child.
        let mut command = Command::new("sh");
        let job = start(command.args(["-c", "sleep 1000 & wait"]), || "start sh".into()).unwrap();
        let building = thread::spawn(move || {
            let status = job.wait(|| "wait for sh".into()).unwrap();
            drop(scratch);
            status
        });
        assert!(half.is_dir());
        stop();
        assert!(!half.exists());
        assert!(!building.join().unwrap().success());
        assert!(start(&mut Command::new("true"), || "start true".into()).is_err());
        assert!(Scratch::within(dir.path()).is_err());
    }
}
