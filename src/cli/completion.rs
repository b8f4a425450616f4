//! Completion: scripts for the shells, and the command that kubectl calls. This program completes the names in the cluster.

use std::{ffi::OsString, time::Duration};

use clap::ValueEnum;
use clap_complete::{
    engine::{ArgValueCandidates, CompletionCandidate, complete},
    env::{Bash, EnvCompleter, Fish, Zsh},
};

use super::{Error, client, cluster_flags::ClusterFlags, connection, output};

/// The variable with which the scripts of the shells call this program.
pub const VARIABLE: &str = "COMPLETE";
const PROGRAM: &str = "kubectl-kanary";
/// Completion must not block the shell for longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Print a completion script.
///
/// To complete `kubectl kanary`, write the script for `kubectl` to an executable file `kubectl_complete-kanary` on the PATH.
#[derive(clap::Args, Debug)]
pub struct Completion {
    /// Target shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The shell, or kubectl itself, that a script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Kubectl,
}

/// Runs the verb.
///
/// # Errors
/// The output cannot be written.
pub fn run(Completion { shell }: &Completion) -> Result<(), Error> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Kubectl => return output::print(&format!("#!/bin/sh\nexec {PROGRAM} __complete \"$@\"\n")),
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script).map_err(Error::Output)?;
    output::print(&String::from_utf8_lossy(&script))
}

/// Completes the words so far, of which the last is unfinished, for kubectl. It expects one candidate per line, and then a
/// directive: 4 is "do not complete files", 2 more is "add no space", because a folder is only the beginning of a path.
///
/// # Errors
/// The output cannot be written.
pub fn for_kubectl(command: &mut clap::Command, words: Vec<OsString>) -> Result<(), Error> {
    let words: Vec<OsString> = std::iter::once(PROGRAM.into()).chain(words).collect();
    let last = words.len() - 1;
    let here = std::env::current_dir().ok();
    let candidates = complete(command, words, last, here.as_deref()).unwrap_or_default();
    let line = |candidate: &CompletionCandidate| {
        let help = candidate.get_help().map(|help| format!("\t{help}")).unwrap_or_default();
        format!("{}{help}\n", candidate.get_value().to_string_lossy())
    };
    let lines: String = candidates.iter().map(line).collect();
    let is_folder = |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().ends_with('/');
    let directive = if candidates.iter().any(is_folder) { 6 } else { 4 };
    output::print(&format!("{lines}:{directive}\n"))
}

/// Completes the names of `KanaryDeployment`s.
pub fn names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let words: Vec<String> = std::env::args().collect();
        names_in(&flags_among(&words)).unwrap_or_default()
    })
}

fn names_in(flags: &ClusterFlags) -> Result<Vec<CompletionCandidate>, Error> {
    let list = async {
        let connection = connection::connect(flags).await?;
        client::list(&connection, false, None).await
    };
    let found =
        connection::block_on(async { tokio::time::timeout(PATIENCE, list).await.unwrap_or_else(|_| Ok(Vec::new())) })?;
    Ok(found.into_iter().map(|found| CompletionCandidate::new(found.name().to_owned())).collect())
}

/// The flags among the words; an unfinished line cannot be parsed as arguments.
fn flags_among(words: &[String]) -> ClusterFlags {
    ClusterFlags {
        namespace: value_of(words, &["--namespace", "-n"]),
        context: value_of(words, &["--context"]),
        kubeconfig: value_of(words, &["--kubeconfig"]).map(Into::into),
        cluster: value_of(words, &["--cluster"]),
        user: value_of(words, &["--user"]),
        impersonate: value_of(words, &["--as"]),
        ..ClusterFlags::default()
    }
}

/// `--flag=value`, or `--flag value`.
fn value_of(words: &[String], names: &[&str]) -> Option<String> {
    let inline = words.iter().filter_map(|word| word.split_once('='));
    let apart = words.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
    inline.chain(apart).find(|(name, _)| names.contains(name)).map(|(_, value)| value.to_owned())
}
