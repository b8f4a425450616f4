//! The arguments of `get`.

use std::str::FromStr;

use super::{rows::Layout, sort::SortBy};
use crate::cli::{client::Fetched, completion, jsonpath::Template, output::Format, state_word};

/// List KanaryDeployments, with the progress of each run.
///
/// A table fits the terminal, or 80 columns where there is none; -o wide cuts nothing.
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
    /// List only runs that failed.
    #[arg(long)]
    pub failed: bool,
    /// Order: a column such as status, `age`, or a JSONPath such as .metadata.creationTimestamp. Default: name, 2 before 10.
    #[arg(long, value_name = "COLUMN", conflicts_with = "watch")]
    pub sort_by: Option<SortBy>,
    /// Omit the head of the table.
    #[arg(long)]
    pub no_headers: bool,
    /// Output format: wide, yaml, json, name, or jsonpath='{TEMPLATE}'.
    #[arg(short, long)]
    pub output: Option<Output>,
    /// Watch for changes after listing.
    #[arg(short, long)]
    pub watch: bool,
}

/// The output format.
#[derive(Clone, Debug)]
pub enum Output {
    /// A table with all columns, and nothing cut.
    Wide,
    /// For programs.
    Data(Format),
    /// One name per line.
    Name,
    /// A template.
    JsonPath(Template),
}

impl Get {
    /// The columns.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let wide = matches!(self.output, Some(Output::Wide));
        Layout { wide, namespaces: self.all_namespaces, no_headers: self.no_headers }
    }

    /// Is it a table?
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.output, None | Some(Output::Wide))
    }

    /// Is it listed? One that cannot be decoded may have failed as well.
    #[must_use]
    pub fn shows(&self, fetched: &Fetched) -> bool {
        !self.failed || fetched.kanary.as_ref().map_or(true, state_word::is_failure)
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "wide" => Ok(Self::Wide),
            "yaml" => Ok(Self::Data(Format::Yaml)),
            "json" => Ok(Self::Data(Format::Json)),
            "name" => Ok(Self::Name),
            _ => match text.strip_prefix("jsonpath=") {
                Some(template) => template.parse().map(Self::JsonPath),
                None => Err("must be wide, yaml, json, name or jsonpath='{TEMPLATE}'".into()),
            },
        }
    }
}
