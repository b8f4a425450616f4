//! Why the program ends with something else than 0, and how it says so.

use std::{path::PathBuf, process::ExitCode};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Something is not as it must be; one sentence.
    #[error("{0}")]
    Wrong(String),
    /// All has been said already, on standard output.
    #[error("")]
    Said,
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Output(std::io::Error),
}

impl Error {
    /// Says it on standard error; the exit code of the program.
    #[must_use]
    pub fn tell(&self) -> ExitCode {
        match self {
            // Whoever reads has seen enough, as `head` does.
            Error::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Error::Said => return ExitCode::FAILURE,
            Error::Usage(_) | Error::File { .. } | Error::Wrong(_) | Error::Output(_) => eprintln!("error: {self}"),
        }
        match self {
            Error::Usage(_) => ExitCode::from(2),
            Error::File { .. } | Error::Wrong(_) | Error::Said | Error::Output(_) => ExitCode::FAILURE,
        }
    }
}
