//! `kubectl kanary`, the hand tool: one file a verb.
//!
//! It decides nothing about a run: what it shows is what the controller wrote, or what the core says. What it writes is
//! what a person could write with `kubectl patch`.

pub mod around;
mod clock;
mod cluster;
mod completion;
mod defaults;
pub mod describe;
mod error;
mod follow;
pub mod generate;
pub mod get;
pub mod gitops;
mod guarded;
pub mod kanaries;
mod output;
pub mod plan;
mod proxy;
pub mod retry;
pub mod say;
mod table;
pub mod watch;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
pub use error::Error;

/// Progressive delivery for Kubernetes: canaries beside an untouched base, judged by evidence.
#[derive(Parser)]
#[command(name = "kubectl-kanary", bin_name = "kubectl kanary", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    cluster: Cluster,
    #[command(subcommand)]
    verb: Verb,
}

/// Which cluster, and where in it: kubectl's own flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Cluster {
    /// Namespace. Default: that of the context.
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig. Default: its current one.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
    /// The kubeconfig. Default: $KUBECONFIG, else ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<std::path::PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    Generate(Box<generate::Generate>),
    Plan(plan::Plan),
    Get(get::Get),
    Describe(describe::Describe),
    Watch(watch::Watch),
    Approve(say::Approve),
    Reject(say::Reject),
    Retry(retry::Retry),
    GitopsIgnore(gitops::GitopsIgnore),
    Completion(completion::Completion),
    #[command(name = "__complete", hide = true)]
    Complete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Runs the program: 0 if all is well, 1 if something is wrong, 2 if it was called wrongly.
#[must_use]
pub fn main() -> ExitCode {
    // A shell that completes calls the program itself, and never gets past this line.
    clap_complete::CompleteEnv::with_factory(Arguments::command).var(completion::VARIABLE).complete();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.tell(),
    }
}

fn run(Arguments { cluster, verb }: Arguments) -> Result<(), Error> {
    match verb {
        Verb::Generate(generate) => generate::run(&cluster, &generate),
        Verb::Plan(plan) => plan::run(&cluster, &plan),
        Verb::Get(get) => get::run(&cluster, &get),
        Verb::Describe(describe) => describe::run(&cluster, &describe),
        Verb::Watch(watch) => watch::run(&cluster, &watch),
        Verb::Approve(approve) => say::approve(&cluster, &approve),
        Verb::Reject(reject) => say::reject(&cluster, &reject),
        Verb::Retry(retry) => retry::run(&cluster, &retry),
        Verb::GitopsIgnore(ignore) => gitops::run(&cluster, &ignore),
        Verb::Completion(completion) => completion::run(&completion),
        Verb::Complete { words } => completion::for_kubectl(words),
    }
}
