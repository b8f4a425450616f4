//! Why the program ends with an exit code other than 0, and how it says so.

use std::{path::PathBuf, process::ExitCode};

use super::terminal;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments contradict each other or the object that they are about.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("{}: {}", .path.display(), in_words(error))]
    File {
        /// Its path.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The verb failed; one sentence.
    #[error("{0}")]
    Failed(String),
    /// The verb failed, and standard output says why already.
    #[error("")]
    Reported,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

/// An error of the operating system without ` (os error 2)` and in lower case.
#[must_use]
pub fn in_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let Some(code) = error.raw_os_error() else { return text };
    let text = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

impl Error {
    /// Prints it on standard error; the exit code of the program.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        match self {
            // The reader has seen enough, as `head` does.
            Error::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Error::Reported => return ExitCode::FAILURE,
            Error::Usage(_) | Error::File { .. } | Error::Failed(_) | Error::Output(_) => {
                terminal::complain(&format!("error: {self}"));
            }
        }
        match self {
            Error::Usage(_) => ExitCode::from(2),
            Error::File { .. } | Error::Failed(_) | Error::Reported | Error::Output(_) => ExitCode::FAILURE,
        }
    }
}
