//! A lab to look around in.

use std::env;
use std::ffi::OsString;
use std::iter;
use std::path::Path;
use std::process::ExitCode;

use kanary_e2e::bridge::{self, Invitation};
use kanary_e2e::kit::{Kit, Wanted};
use kanary_e2e::namespace::{self, Interrupt};
use kanary_e2e::{Context, Error, Lab, Setup};
use tokio::process::Command;

const USAGE: &str = "\
A real Kubernetes control plane on this machine, without Docker.

usage: lab up  [--bare]             start one and keep it until Ctrl-C
       lab run [--bare] -- COMMAND  run a command in one, with KUBECONFIG set

--bare leaves Kanary out.";

/// What to do.
struct Task {
    bare: bool,
    /// None = stay.
    command: Option<Vec<OsString>>,
}

fn main() -> ExitCode {
    let Some(task) = parse(env::args_os().skip(1).collect()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let wanted = Wanted { kanary: !task.bare, person: true, ..Wanted::default() };
    let interrupt = if task.command.is_some() { Interrupt::Passes } else { Interrupt::Ends };
    let done = namespace::main(wanted, interrupt, |kit| inside(kit, task));
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn parse(args: Vec<OsString>) -> Option<Task> {
    let (verb, rest) = args.split_first()?;
    let bare = rest.first().is_some_and(|arg| arg == "--bare");
    let rest = &rest[usize::from(bare)..];
    match (verb.to_str()?, rest) {
        ("up", []) => Some(Task { bare, command: None }),
        ("run", [dashes, command @ ..]) if dashes == "--" && !command.is_empty() => {
            Some(Task { bare, command: Some(command.to_vec()) })
        }
        _ => None,
    }
}

fn inside(kit: Kit, task: Task) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    runtime.block_on(async {
        let setup = if task.bare { Setup::bare() } else { Setup::installed() };
        let lab = Lab::start(kit, &setup).await?;
        let _controller = match task.bare {
            true => None,
            false => Some(lab.controller::<&str>(&[]).await?),
        };
        let invitation = bridge::invite(&lab).await?;
        match task.command {
            Some(command) => run(&lab, &invitation.bin, command).await,
            None => stay(&lab, &invitation).await,
        }
    })
}

async fn stay(lab: &Lab, invitation: &Invitation) -> Result<ExitCode, Error> {
    println!("The lab is up. In another terminal:\n");
    println!("  export KUBECONFIG={}", invitation.kubeconfig.display());
    println!("  {}/kubectl get nodes\n", invitation.bin.display());
    println!("Logs are in {}; Ctrl-C ends it.", lab.dir().join("logs").display());
    // The outer process hears Ctrl-C as well, and ends this one.
    std::future::pending().await
}

async fn run(lab: &Lab, bin: &Path, command: Vec<OsString>) -> Result<ExitCode, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(iter::once(bin.to_owned()).chain(env::split_paths(&path)));
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]).env("KUBECONFIG", lab.kubeconfig()).env("PATH", path.unwrap_or_default());
    let status = process.status().await.context(|| format!("run {}", command[0].display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
