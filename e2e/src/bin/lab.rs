//! A lab to look around in.

use std::env;
use std::ffi::OsString;

use std::process::ExitCode;

use kanary_e2e::kit::{Kit, Wanted};
use kanary_e2e::namespace::{self, Home, Interrupt};
use kanary_e2e::tools::Tool;
use kanary_e2e::{Context, Error, Lab, Setup, access, bridge};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

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
    let done = match namespace::inner() {
        Some(kit) => inside(kit, task),
        None => outside(task),
    };
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

fn outside(task: Task) -> Result<ExitCode, Error> {
    let home = Home::create()?;
    let kit = Wanted { kanary: !task.bare, kubectl: true }.build(home.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context(|| "start a runtime".into())?.block_on(async {
        let interrupt = if task.command.is_some() { Interrupt::Passes } else { Interrupt::Ends };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        // Inside nobody can know the host's port, so it is left there before anyone looks.
        let server = format!("https://{}", listener.local_addr()?);
        std::fs::write(kit.dir.join("server"), server)?;
        let bridge = bridge::outer(listener, bridge::socket(&kit.dir, 6443));
        namespace::enter(&kit, home, interrupt, bridge).await
    })
}

fn inside(kit: Kit, task: Task) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start a runtime".into())?;
    runtime.block_on(async {
        let setup = if task.bare { Setup::bare() } else { Setup::installed() };
        let lab = Lab::start(kit.clone(), &setup).await?;
        let _controller = match task.bare {
            true => None,
            false => Some(lab.controller::<&str>(&[]).await?),
        };
        let dir = kit.dir.clone();
        tokio::spawn(async move { bridge::inner(&dir, 6443).await });
        match task.command {
            Some(command) => run(&lab, &kit, command).await,
            None => stay(&lab, &kit).await,
        }
    })
}

async fn stay(lab: &Lab, kit: &Kit) -> Result<ExitCode, Error> {
    let server = std::fs::read_to_string(kit.dir.join("server"))?;
    let kubeconfig = kit.dir.join("kubeconfig");
    access::copy(&lab.kubeconfig(), &kubeconfig, &server)?;
    println!("The lab is up. In another terminal:\n");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!("  {} get nodes\n", kit.tools.path(Tool::Kubectl)?.display());
    println!("Logs are in {}; Ctrl-C ends it.", kit.dir.join("logs").display());
    // The outer process hears Ctrl-C as well, and ends this one.
    let mut terminate = signal(SignalKind::terminate())?;
    terminate.recv().await;
    Ok(ExitCode::SUCCESS)
}

async fn run(lab: &Lab, kit: &Kit, command: Vec<OsString>) -> Result<ExitCode, Error> {
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]).env("KUBECONFIG", lab.kubeconfig());
    if let Some(bin) = kubectl_dir(kit) {
        process.env("PATH", bin);
    }
    let status = process.status().await.context(|| format!("run {}", command[0].display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// A PATH on which `kubectl` is the one that was built, by a link, since its file has a hash in its name.
fn kubectl_dir(kit: &Kit) -> Option<OsString> {
    let bin = kit.dir.join("bin");
    std::fs::create_dir_all(&bin).ok()?;
    std::os::unix::fs::symlink(kit.tools.path(Tool::Kubectl).ok()?, bin.join("kubectl")).ok()?;
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(bin).chain(env::split_paths(&rest)).map(|p: std::path::PathBuf| p)).ok()
}
