//! Runs this program a second time, in kernel namespaces of its own.
//!
//! The inner process is the first of its pid namespace and the only way into its network and its mounts. When it
//! dies, for whatever reason, the kernel ends every process in there and removes the network and the mounts.
//! It dies with `unshare`, and `unshare` with the outer process, even by SIGKILL: both are bound by the kernel's
//! parent-death signal. The outer process keeps nothing but the lab's directory.

use std::{
    env, fs,
    process::{ExitCode, ExitStatus},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal::SIGKILL, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{
    Context, Error,
    artifacts::{Artifacts, Wanted},
    background_build::BackgroundBuild,
    home::Home,
    job,
    port_forward::PortForward,
};

/// Passes the artifacts to the inner process.
const ARTIFACTS: &str = "KANARY_LAB_ARTIFACTS";

/// What Ctrl-C means while the inner process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// It ends the lab.
    Ends,
    /// It is left to the command that runs inside.
    Passes,
}

/// The main function of a program that has a lab: builds what is wanted, and runs `inside` in the sandbox.
///
/// The program runs twice, with the same arguments; what it does before this it does twice, see [`is_inner`].
pub fn main(
    wanted: Wanted,
    interrupt: Interrupt,
    inside: impl FnOnce(Artifacts) -> Result<ExitCode, Error>,
) -> Result<ExitCode, Error> {
    if let Some(artifacts) = inherited() {
        return inside(artifacts);
    }
    // On this thread, because the inner process is bound to the life of the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context(|| "start a runtime".into())?.block_on(async {
        check().await?;
        let mut signals = Signals::listen()?;
        // The directory is created after the build, so that Ctrl-C during the build leaves none.
        let mut artifacts = tokio::select! {
            built = on_a_thread(move || wanted.build()) => built?,
            code = signals.end(Interrupt::Ends) => {
                job::stop();
                return Ok(ExitCode::from(code));
            }
        };
        let home = Home::create()?;
        artifacts.dir = home.path();
        let forward = PortForward::open(&mut artifacts, &wanted.ports()).await?;
        let build = wanted.in_background.then(|| BackgroundBuild::start(&artifacts.dir, wanted)).transpose()?;
        let ended = enter(&artifacts, interrupt, &mut signals, forward, build).await;
        // The background build may still be under way.
        job::stop();
        let failed = !matches!(&ended, Ok(0));
        if failed && env::var_os("KANARY_E2E_KEEP").is_some() {
            eprintln!("the lab's logs are kept in {}", home.keep().display());
        } else {
            home.remove();
        }
        ended.map(ExitCode::from)
    })
}

/// Is this the inner process? For what a program should print only once.
pub fn is_inner() -> bool {
    inherited().is_some()
}

/// The artifacts, if this is the inner process.
///
/// The variable alone is not enough: a program that the lab runs inherits it, but is never process 1.
fn inherited() -> Option<Artifacts> {
    if std::process::id() != 1 {
        return None;
    }
    serde_json::from_str(&env::var(ARTIFACTS).ok()?).ok()
}

/// Runs `work` on another thread, so that this one can handle signals.
async fn on_a_thread<T, W>(work: W) -> Result<T, Error>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let (done, awaited) = oneshot::channel();
    thread::spawn(move || drop(done.send(work())));
    awaited.await.context(|| "build what the lab needs".into())?
}

/// Runs this program again as the inner process, until it ends.
async fn enter(
    artifacts: &Artifacts,
    interrupt: Interrupt,
    signals: &mut Signals,
    forward: PortForward,
    build: Option<BackgroundBuild>,
) -> Result<u8, Error> {
    let mut child = command(artifacts)?.spawn().context(|| "run setpriv (of util-linux)".into())?;
    let forwarding = tokio::spawn(forward.run());
    // If it fails, the inner process sees the end of the connection.
    let reporting = build.map(|build| tokio::spawn(build.run()));
    let ended = tokio::select! {
        status = child.wait() => status.context(|| "wait for the lab".into()).map(code),
        code = signals.end(interrupt) => Ok(code),
    };
    forwarding.abort();
    reporting.iter().for_each(JoinHandle::abort);
    end(&mut child).await;
    ended
}

fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Checks that this machine allows it, before minutes are spent on building.
async fn check() -> Result<(), Error> {
    let output = unshare().arg("true").output().await.context(|| "run setpriv (of util-linux)".into())?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Lacking(format!(
            "the lab needs kernel namespaces of its own, and this machine does not allow it to create them: run as \
             root, or enable unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu also \
             kernel.apparmor_restrict_unprivileged_userns=0). unshare printed: {}",
            stderr.trim()
        ))),
    }
}

/// The program that creates the namespaces, bound to the life of the thread that starts it.
fn unshare() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount", "--mount-proc"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
}

fn command(artifacts: &Artifacts) -> Result<Command, Error> {
    let program = env::current_exe().context(|| "find this program".into())?;
    let artifacts = serde_json::to_string(artifacts)?;
    let mut command = unshare();
    command.arg(program).args(env::args_os().skip(1)).env(ARTIFACTS, artifacts);
    Ok(command)
}

/// Ends the inner process by the pid that it has on the host; when `unshare` exits, everything inside has ended.
async fn end(child: &mut Child) {
    let Some(unshare) = child.id() else { return };
    let inner = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
    for pid in inner.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), SIGKILL);
    }
    if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// The signals that end a lab.
struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they no longer end this process by themselves.
    fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).context(|| "listen for signals".into());
        let (terminate, hangup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
        Ok(Self { terminate, hangup, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one that ends the lab; returns the exit code.
    async fn end(&mut self, interrupt: Interrupt) -> u8 {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return 143,
                _ = self.hangup.recv() => return 129,
                _ = self.interrupt.recv() => if interrupt == Interrupt::Ends { return 130 },
            }
        }
    }
}
