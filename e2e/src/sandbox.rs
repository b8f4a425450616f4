//! Runs this program a second time, in namespaces of its own.
//!
//! The inner process is the first of its pid namespace and the only way into its network and its mounts. When it
//! dies, by whatever means, the kernel ends every process in there and takes the network and the mounts away.
//! It dies with `unshare`, and `unshare` with the outer process, also by SIGKILL: both are bound by the kernel's
//! parent-death signal. The outer process keeps nothing but the directory of files.

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

/// Carries the artifacts to the inner process.
const ARTIFACTS: &str = "KANARY_LAB_ARTIFACTS";

/// What Ctrl-C means while the inner process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The end of the lab.
    Ends,
    /// Nothing: it is meant for the command that runs inside.
    Passes,
}

/// The main function of a program that has a lab: builds what is wanted, and runs `inside` where the lab will be.
///
/// The program runs twice, with the same arguments; what it does before this it does twice, see [`is_inner`].
pub fn main(
    wanted: Wanted,
    interrupt: Interrupt,
    inside: impl FnOnce(Artifacts) -> Result<ExitCode, Error>,
) -> Result<ExitCode, Error> {
    if let Some(artifacts) = handed() {
        return inside(artifacts);
    }
    // On this thread: the inner process is bound to the life of the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context(|| "start a runtime".into())?.block_on(async {
        check().await?;
        let mut signals = Signals::listen()?;
        // The directory comes after the build, so that Ctrl-C meanwhile leaves none.
        let mut artifacts = tokio::select! {
            built = apart(move || wanted.build()) => built?,
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
        // What was to come later may still be under way.
        job::stop();
        let failed = !matches!(&ended, Ok(0));
        if failed && env::var_os("KANARY_E2E_KEEP").is_some() {
            eprintln!("the lab's logs stay in {}", home.keep().display());
        } else {
            home.remove();
        }
        ended.map(ExitCode::from)
    })
}

/// Whether this is the inner process: for what a program should say once only.
pub fn is_inner() -> bool {
    handed().is_some()
}

/// The artifacts, if this is the inner process.
///
/// The variable alone does not say so: a program that the lab runs inherits it, but is never process 1.
fn handed() -> Option<Artifacts> {
    let artifacts = env::var(ARTIFACTS).ok().filter(|_| std::process::id() == 1)?;
    serde_json::from_str(&artifacts).ok()
}

/// Works on another thread: this one listens meanwhile.
async fn apart<T, W>(work: W) -> Result<T, Error>
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
    // If it cannot tell, the inner process hears the end of the connection.
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

/// Whether this machine lets us, before minutes are spent on building.
async fn check() -> Result<(), Error> {
    let output = unshare().arg("true").output().await.context(|| "run setpriv (of util-linux)".into())?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Lacking(format!(
            "the lab needs kernel namespaces of its own, and this machine does not let us make them: run as root, or \
             allow them to users (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu also \
             kernel.apparmor_restrict_unprivileged_userns=0). It said: {}",
            said.trim()
        ))),
    }
}

/// The program that makes the namespaces, bound to the life of the thread that starts it.
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

/// Ends the inner process by the pid it has out here; when `unshare` has seen its end, all that was in there is gone.
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
    /// From now on they do not end this process by themselves.
    fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).context(|| "listen for signals".into());
        let (terminate, hangup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
        Ok(Self { terminate, hangup, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one that means the end; the exit code.
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
