//! What can go wrong in the lab, with the object and the cause in the sentence.

use std::{error::Error as StdError, process::ExitStatus};

use crate::wait::Unmet;

/// Why a lab did not start, or why a test did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation failed; `what` says which one, on which object.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done, e.g. `create Deployment shop/web`.
        what: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The machine lacks something, and the sentence says what to do about it.
    #[error("{0}")]
    Lacking(String),
    /// A process left although it should run.
    #[error("{name} ended ({status}); the end of its log:\n{tail}")]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        tail: String,
    },
    /// Something awaited did not happen in time.
    #[error(transparent)]
    Unmet(#[from] Box<Unmet>),
    /// A test's own finding.
    #[error("{0}")]
    Wrong(String),
}

impl Error {
    /// A test's own finding, from a sentence.
    pub fn wrong(finding: impl Into<String>) -> Self {
        Self::Wrong(finding.into())
    }

    /// What the API server answered, if that is what went wrong: for tests that expect a refusal.
    pub fn refusal(&self) -> Option<&kube::core::Status> {
        let Self::Failed { source, .. } = self else {
            return None;
        };
        match source.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }
}

/// Names what was being done when it failed.
pub trait Context<T> {
    /// Wraps the cause; `what` reads as the start of a sentence that the cause ends.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Failed { what: what(), source: source.into() })
    }
}

/// Lets a test use `?` on what it calls itself; the helpers of the namespace name the object as well.
macro_rules! plain {
    ($($cause:ty => $what:literal),* $(,)?) => {$(
        impl From<$cause> for Error {
            fn from(source: $cause) -> Self {
                Self::Failed { what: $what.into(), source: Box::new(source) }
            }
        }
    )*};
}

plain! {
    kube::Error => "a call to the API server",
    std::io::Error => "input or output",
    serde_json::Error => "JSON",
}
