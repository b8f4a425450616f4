//! `kubectl kanary`, the kubectl plugin: one module for each verb.
//!
//! It decides nothing about a run: it shows what the controller wrote, or what the core decides. What it writes, a user could
//! write with `kubectl patch` as well.

mod api_error;
pub mod approve;
pub mod client;
mod clock;
mod cluster_flags;
mod completion;
mod connection;
pub mod describe;
mod error;
pub mod generate;
pub mod get;
pub mod gitops;
pub mod images;
mod jsonpath;
mod kubeconfig;
pub mod manifest;
mod output;
pub mod plan;
mod proxy;
pub mod related;
pub mod retry;
mod retry_on_conflict;
mod state_word;
mod table;
mod terminal;
pub mod watch;
mod watch_stream;
mod wrong_verb;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use cluster_flags::ClusterFlags;
pub use error::Error;

/// Progressive delivery for Kubernetes: canaries beside an untouched Deployment, promoted on evidence.
#[derive(Parser)]
#[command(name = "kubectl-kanary", bin_name = "kubectl kanary", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    flags: ClusterFlags,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Generate(Box<generate::Generate>),
    Plan(plan::Plan),
    Get(get::Get),
    Describe(describe::Describe),
    Watch(watch::Watch),
    Approve(approve::Approve),
    Reject(approve::Reject),
    Retry(retry::Retry),
    GitopsIgnore(gitops::GitopsIgnore),
    Completion(completion::Completion),
    #[command(name = "__complete", hide = true)]
    Complete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Runs the program: 0 on success, 1 on failure, 2 for wrong arguments.
#[must_use]
pub fn main() -> ExitCode {
    // For completion the shell calls this program, which then ends here.
    clap_complete::CompleteEnv::with_factory(Arguments::command).var(completion::VARIABLE).complete();
    match Arguments::try_parse() {
        Ok(arguments) => run(arguments).map_or_else(|error| error.report(), |()| ExitCode::SUCCESS),
        Err(error) => match wrong_verb::answer(&error, std::env::args()) {
            Some(answer) => Error::Usage(answer).report(),
            None => error.exit(),
        },
    }
}

fn run(Arguments { flags, verb }: Arguments) -> Result<(), Error> {
    match verb {
        Verb::Generate(generate) => generate::run(&flags, &generate),
        Verb::Plan(plan) => plan::run(&flags, &plan),
        Verb::Get(get) => get::run(&flags, &get),
        Verb::Describe(describe) => describe::run(&flags, &describe),
        Verb::Watch(watch) => watch::run(&flags, &watch),
        Verb::Approve(approve) => approve::approve(&flags, &approve),
        Verb::Reject(reject) => approve::reject(&flags, &reject),
        Verb::Retry(retry) => retry::run(&flags, &retry),
        Verb::GitopsIgnore(ignore) => gitops::run(&flags, &ignore),
        Verb::Completion(completion) => completion::run(&completion),
        Verb::Complete { words } => completion::for_kubectl(&mut Arguments::command(), words),
    }
}
