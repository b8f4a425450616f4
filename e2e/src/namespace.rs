//! Runs this program a second time, in namespaces of its own.
//!
//! The inner process is the first of its pid namespace and the only way into its network and its mounts. When it
//! dies, by whatever means, the kernel ends every process in there and takes the network and the mounts away.
//! It dies with `unshare`, and `unshare` with the outer process, also by SIGKILL: both are bound by the kernel's
//! parent-death signal. The outer process keeps nothing but the directory of files.

use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::kit::Kit;
use crate::{Context, Error};

/// Carries the kit to the inner process.
const KIT: &str = "KANARY_LAB_KIT";
const PREFIX: &str = "kanary-lab-";
const LOCK: &str = "lock";

/// The kit, if this is the inner process.
///
/// The variable alone does not say so: a program that the lab runs inherits it, but is never process 1.
pub fn inner() -> Option<Kit> {
    let kit = env::var(KIT).ok().filter(|_| std::process::id() == 1)?;
    serde_json::from_str(&kit).ok()
}

/// What Ctrl-C means while the inner process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The end of the lab.
    Ends,
    /// Nothing: it is meant for the command that runs inside.
    Passes,
}

/// A directory for one lab's files; gone when dropped, and swept by the next lab if this process cannot.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    _lock: File,
}

impl Home {
    /// Makes one, and removes those whose owner was killed.
    pub fn create() -> Result<Self, Error> {
        let base = env::temp_dir();
        sweep(&base);
        let told = || format!("create a directory in {}", base.display());
        // It holds the keys of the cluster, and socket files that lead into it.
        let mine = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(mine).tempdir_in(&base).context(told)?;
        // Locked before it has its name, or another lab would find it free and sweep.
        let nameless = dir.path().join("nameless");
        let lock = File::create(&nameless).context(told)?;
        lock.lock().context(told)?;
        fs::rename(nameless, dir.path().join(LOCK)).context(told)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Removes it; a process that the kernel is still ending may write once more.
    fn remove(self) {
        for _ in 0..50 {
            if fs::remove_dir_all(self.dir.path()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A directory whose lock is free belongs to nobody that lives.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let abandoned = || File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && abandoned() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs this program again as the inner process, with the same arguments, until it ends.
///
/// `beside` runs out here meanwhile, where the host's network is.
pub async fn enter(
    kit: &Kit,
    home: Home,
    interrupt: Interrupt,
    beside: impl Future<Output = Result<(), Error>>,
) -> Result<ExitCode, Error> {
    let mut child = command(kit)?.spawn().context(|| "run unshare (of util-linux)".into())?;
    let ended = tokio::select! {
        ended = wait(&mut child, interrupt) => ended,
        Err(error) = beside => Err(error),
    };
    end(&mut child).await;
    let failed = !matches!(&ended, Ok(code) if *code == 0);
    if failed && env::var_os("KANARY_E2E_KEEP").is_some() {
        eprintln!("the lab's logs stay in {}", home.dir.keep().display());
    } else {
        home.remove();
    }
    Ok(ExitCode::from(ended?))
}

fn command(kit: &Kit) -> Result<Command, Error> {
    let program = env::current_exe().context(|| "find this program".into())?;
    let kit = serde_json::to_string(kit)?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount", "--mount-proc"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg(program).args(env::args_os().skip(1)).env(KIT, kit);
    Ok(command)
}

/// Ends the inner process by the pid it has out here; when `unshare` has seen its end, all that was in there is gone.
async fn end(child: &mut Child) {
    let Some(unshare) = child.id() else { return };
    let inner = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
    for pid in inner.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// Waits for the end of the inner process, or for a signal that ends it.
async fn wait(child: &mut Child, interrupt: Interrupt) -> Result<u8, Error> {
    let told = || "listen for signals".to_owned();
    let mut terminate = signal(SignalKind::terminate()).context(told)?;
    let mut hangup = signal(SignalKind::hangup()).context(told)?;
    let mut ctrl_c = signal(SignalKind::interrupt()).context(told)?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.context(|| "wait for the lab".into())?;
                return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
            }
            _ = terminate.recv() => return Ok(143),
            _ = hangup.recv() => return Ok(129),
            _ = ctrl_c.recv() => if interrupt == Interrupt::Ends { return Ok(130) },
        }
    }
}
