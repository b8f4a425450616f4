//! How anything is printed: text with colours where there is a terminal, YAML, JSON.

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

pub use super::terminal::styled;
use super::{Error, terminal};

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

/// Prints text; see [`terminal::print`].
///
/// # Errors
/// [`Error::Output`].
pub fn print(text: &str) -> Result<(), Error> {
    terminal::print(text).map_err(Error::Output)
}

/// Prints an object for programs.
///
/// # Errors
/// [`Error::Output`].
pub fn print_as<T: Serialize>(format: Format, object: &T) -> Result<(), Error> {
    print(&written(format, object)?)
}

/// An object for programs, with a new line at its end. What a terminal would obey or hide is escaped as the format has it:
/// YAML has no escapes in most of its texts, but JSON is YAML as well.
///
/// # Errors
/// Never in practice: what we write serializes.
pub fn written<T: Serialize>(format: Format, object: &T) -> Result<String, Error> {
    match format {
        Format::Json => json(object),
        Format::Yaml => yaml(object).and_then(|yaml| if terminal::is_visible(&yaml) { Ok(yaml) } else { json(object) }),
    }
}

fn json<T: Serialize>(object: &T) -> Result<String, Error> {
    serde_json::to_string_pretty(object).map(|json| terminal::visible_json(&json) + "\n").map_err(cannot)
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
