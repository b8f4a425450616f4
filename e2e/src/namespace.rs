//! Runs this program a second time, in namespaces of its own.
//!
//! The inner process is the first of its pid namespace and the only way into its network and its mounts. When it
//! dies, by whatever means, the kernel ends every process in there and takes the network and the mounts away.
//! It dies with `unshare`, and `unshare` with the outer process, also by SIGKILL: both are bound by the kernel's
//! parent-death signal. The outer process keeps nothing but the directory of files.

use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::bridge::Bridge;
use crate::home::Home;
use crate::kit::{Kit, Wanted};
use crate::{Context, Error};

/// Carries the kit to the inner process.
const KIT: &str = "KANARY_LAB_KIT";

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
    inside: impl FnOnce(Kit) -> Result<ExitCode, Error>,
) -> Result<ExitCode, Error> {
    if let Some(kit) = handed() {
        return inside(kit);
    }
    // On this thread: the inner process is bound to the life of the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context(|| "start a runtime".into())?.block_on(async {
        check().await?;
        // The directory comes after the build, so that Ctrl-C meanwhile leaves none.
        let mut kit = wanted.build()?;
        let home = Home::create()?;
        kit.dir = home.path();
        let bridge = Bridge::open(&mut kit, &wanted.ports()).await?;
        let ended = enter(&kit, interrupt, bridge).await;
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

/// The kit, if this is the inner process.
///
/// The variable alone does not say so: a program that the lab runs inherits it, but is never process 1.
fn handed() -> Option<Kit> {
    let kit = env::var(KIT).ok().filter(|_| std::process::id() == 1)?;
    serde_json::from_str(&kit).ok()
}

/// Runs this program again as the inner process, until it ends.
async fn enter(kit: &Kit, interrupt: Interrupt, bridge: Bridge) -> Result<u8, Error> {
    let mut child = command(kit)?.spawn().context(|| "run setpriv (of util-linux)".into())?;
    let bridging = tokio::spawn(bridge.run());
    let ended = wait(&mut child, interrupt).await;
    bridging.abort();
    end(&mut child).await;
    ended
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

fn command(kit: &Kit) -> Result<Command, Error> {
    let program = env::current_exe().context(|| "find this program".into())?;
    let kit = serde_json::to_string(kit)?;
    let mut command = unshare();
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
