//! Programs that build, and their end before their time: by a signal to the group that each of them leads, so that what
//! it started ends as well, and what is half built is taken away.
//!
//! Ctrl-C at a terminal does not reach them by itself; who hears it calls [`stop`].

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{Context, Error};

/// How long a program may take to leave after SIGINT; one that was started where SIGINT is ignored never does.
const GRACE: Duration = Duration::from_secs(3);

static JOBS: Mutex<Jobs> = Mutex::new(Jobs { stopped: false, groups: BTreeSet::new(), scratches: 0 });
static CHANGED: Condvar = Condvar::new();

/// All of this process.
struct Jobs {
    stopped: bool,
    groups: BTreeSet<u32>,
    scratches: usize,
}

fn lock() -> MutexGuard<'static, Jobs> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock, unless nothing more may begin.
fn going() -> Result<MutexGuard<'static, Jobs>, Error> {
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
        lock().groups.remove(&self.0);
        CHANGED.notify_all();
    }
}

/// Starts one, as the first of a process group.
pub fn start(command: &mut Command, told: impl FnOnce() -> String) -> Result<Job, Error> {
    let mut jobs = going()?;
    let child = command.process_group(0).spawn().context(told)?;
    jobs.groups.insert(child.id());
    Ok(Job { _group: Group(child.id()), child })
}

/// Runs one to its end, and has what it printed.
pub fn output(command: &mut Command, told: impl Fn() -> String) -> Result<Output, Error> {
    let job = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), &told)?;
    job.child.wait_with_output().context(told)
}

impl Job {
    /// Waits for its end.
    pub fn wait(mut self, told: impl FnOnce() -> String) -> Result<ExitStatus, Error> {
        self.child.wait().context(told)
    }
}

/// A directory for what is not complete yet; gone when dropped.
#[derive(Debug)]
pub struct Scratch(Option<TempDir>);

impl Scratch {
    /// Makes one in another, so that what is complete can be moved there.
    pub fn within(dir: &Path) -> Result<Self, Error> {
        let mut jobs = going()?;
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
        drop(self.0.take());
        lock().scratches -= 1;
        CHANGED.notify_all();
    }
}

/// Ends them all, and nothing more begins. Returns when nothing half built is left.
pub fn stop() {
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut jobs = lock();
        jobs.stopped = true;
        for group in jobs.groups.iter().filter_map(|group| i32::try_from(*group).ok()) {
            // One that has just ended needs no signal.
            let _ = killpg(Pid::from_raw(group), signal);
        }
        let busy = |jobs: &mut Jobs| !jobs.groups.is_empty() || jobs.scratches > 0;
        let waited = CHANGED.wait_timeout_while(jobs, GRACE, busy);
        if !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            return;
        }
    }
}
