//! The arguments of `get`.

use clap::ValueEnum;

use crate::cli::completion;

/// List KanaryDeployments, with the progress of each run.
#[derive(clap::Args, Debug)]
pub struct Get {
    /// Names to show. Default: all.
    #[arg(value_name = "NAME", add = completion::names())]
    pub names: Vec<String>,
    /// List all namespaces.
    #[arg(short = 'A', long, conflicts_with = "names")]
    pub all_namespaces: bool,
    /// Label selector.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "names")]
    pub selector: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum)]
    pub output: Option<Output>,
    /// Watch for changes after listing.
    #[arg(short, long)]
    pub watch: bool,
}

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table with the message.
    Wide,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// One name per line.
    Name,
}
