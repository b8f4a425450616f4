//! Completion: scripts for the shells, and what kubectl itself calls. Names come from the cluster, by this very program.

use std::{ffi::OsString, time::Duration};

use clap::{CommandFactory, ValueEnum};
use clap_complete::{
    engine::{ArgValueCandidates, CompletionCandidate, complete},
    env::{Bash, EnvCompleter, Fish, Zsh},
};

use super::{Arguments, Cluster, Error, cluster, kanaries, output};

/// The variable by which the shells' scripts call this program.
pub const VARIABLE: &str = "COMPLETE";
const PROGRAM: &str = "kubectl-kanary";
/// A shell that waits for longer than this is no help.
const PATIENCE: Duration = Duration::from_secs(3);

/// Print a completion script.
///
/// For kubectl itself: write that of `kubectl` to a file `kubectl_complete-kanary` on the PATH, and make it executable.
#[derive(clap::Args, Debug)]
pub struct Completion {
    /// For whom.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Whom a script is for.
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

/// What kubectl asks for: the words so far, the last of them unfinished. It wants a candidate a line, and at the end a
/// number: 4 is "and no files", 2 more is "and no space behind it", for a folder is only the beginning of a path.
///
/// # Errors
/// The output cannot be written.
pub fn for_kubectl(words: Vec<OsString>) -> Result<(), Error> {
    let words: Vec<OsString> = std::iter::once(PROGRAM.into()).chain(words).collect();
    let last = words.len() - 1;
    let here = std::env::current_dir().ok();
    let candidates = complete(&mut Arguments::command(), words, last, here.as_deref()).unwrap_or_default();
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
        names_in(&cluster_of(&words)).unwrap_or_default()
    })
}

fn names_in(cluster: &Cluster) -> Result<Vec<CompletionCandidate>, Error> {
    let list = async {
        let connection = cluster::connect(cluster).await?;
        kanaries::list(&connection, false, None).await
    };
    let found =
        cluster::block_on(async { tokio::time::timeout(PATIENCE, list).await.unwrap_or_else(|_| Ok(Vec::new())) })?;
    Ok(found.into_iter().map(|found| CompletionCandidate::new(found.name().to_owned())).collect())
}

/// The flags among the words: a line that is being written parses as nothing yet.
fn cluster_of(words: &[String]) -> Cluster {
    let flag = |long: &str, short: Option<&str>| {
        let inline = words.iter().find_map(|word| word.strip_prefix(&format!("{long}=")));
        let apart = words
            .windows(2)
            .find(|pair| pair[0] == long || Some(pair[0].as_str()) == short)
            .map(|pair| pair[1].as_str());
        inline.or(apart).map(str::to_owned)
    };
    Cluster {
        namespace: flag("--namespace", Some("-n")),
        context: flag("--context", None),
        kubeconfig: flag("--kubeconfig", None).map(Into::into),
    }
}
