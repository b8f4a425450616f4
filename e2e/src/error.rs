//! What can go wrong in the lab; each message names the object and the cause.

use std::{error::Error as StdError, process::ExitStatus};

use crate::wait::Unmet;

/// Why a lab did not start, or why a test did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation failed; `what` names it and its object.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done, e.g. `create Deployment shop/web`.
        what: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The machine lacks something; the message says what to install or change.
    #[error("{0}")]
    Lacking(String),
    /// A process exited although it should run.
    #[error("{name} exited ({status}); the end of its log:\n{tail}")]
    Ended {
        /// Which process.
        name: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines of its log.
        tail: String,
    },
    /// An expectation was not met in time.
    #[error(transparent)]
    Unmet(#[from] Box<Unmet>),
    /// A failed check, e.g. of a test.
    #[error("{0}")]
    Wrong(String),
}

impl Error {
    /// A failed check, from its message.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(message.into())
    }

    /// The API server's response, if it refused a request: for tests that expect that.
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

/// Adds what was being done when it failed.
pub trait Context<T> {
    /// Wraps the cause; the message is `what`, a colon and the cause.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Failed { what: what(), source: source.into() })
    }
}

/// Lets a test use `?` on its own calls; the helpers of the test namespace name the object as well.
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
    kube::Error => "request to the API server",
    std::io::Error => "input or output",
    serde_json::Error => "JSON",
}
