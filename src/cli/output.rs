//! How anything is printed: text with colours where there is a terminal, YAML, JSON.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

use super::Error;

/// A format for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    Yaml,
    Json,
}

/// A success.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// A failure.
pub const BAD: Style = AnsiColor::Red.on_default();
/// A warning.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Secondary text.
pub const DIM: Style = Style::new().dimmed();
/// A heading.
pub const BOLD: Style = Style::new().bold();

/// The text in a style; [`print()`] drops it where there is no terminal.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A status or a verdict in its colour.
#[must_use]
pub fn coloured(word: &str) -> String {
    match word {
        "Succeeded" | "Valid" | "True" => styled(GOOD, word),
        "Failed" | "Failing" | "Invalid" => styled(BAD, word),
        "Unknown" | "Scheduled" | "Paused" | "Waiting for approval" => styled(WARN, word),
        blocked if blocked.starts_with("Blocked: ") => styled(BAD, word),
        waiting if waiting.contains(": ") => styled(WARN, word),
        word => word.to_owned(),
    }
}

/// Prints text, without colours if standard output is not a terminal or NO_COLOR is set.
///
/// # Errors
/// [`Error::Output`].
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}

/// Prints an object for programs.
///
/// # Errors
/// [`Error::Output`].
pub fn print_as<T: Serialize>(format: Format, object: &T) -> Result<(), Error> {
    print(&written(format, object)?)
}

/// An object for programs, with a new line at its end.
///
/// # Errors
/// Never in practice: what we write serializes.
pub fn written<T: Serialize>(format: Format, object: &T) -> Result<String, Error> {
    match format {
        Format::Json => serde_json::to_string_pretty(object).map(|json| json + "\n").map_err(cannot),
        Format::Yaml => yaml(object),
    }
}

/// YAML as kubectl writes it: lists are not indented, long lines not folded.
///
/// # Errors
/// Never in practice.
pub fn yaml<T: Serialize>(object: &T) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(object, options).map_err(cannot)
}

fn cannot(error: impl std::fmt::Display) -> Error {
    Error::Failed(format!("cannot serialize the output: {error}"))
}

/// Each line indented.
pub fn indented(text: &str, by: usize) -> String {
    let margin = " ".repeat(by);
    text.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("{margin}{line}\n") }).collect()
}
