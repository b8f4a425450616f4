//! Objects that are there and cannot be read: which, and why. Only the runs that need them mind.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::{Explanation, Reason, text::shortened};

/// An object that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Its kind, such as `Deployment`.
    pub kind: String,
    /// Where it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The field that is not as expected.
    pub field: String,
    /// What is wrong with the field.
    pub error: String,
}

/// What it says is quoted in a status, so it has a bound.
const LONGEST: usize = 120;

impl Unreadable {
    /// An object that cannot be read because of this error in this field.
    #[must_use]
    pub fn new(kind: &str, namespace: &str, name: &str, (field, error): (&str, &str)) -> Self {
        let (field, error) = (shortened(field, LONGEST), shortened(error, LONGEST));
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into(), field, error }
    }

    /// For a condition.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        Explanation::new(Reason::Unreadable, self.to_string())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { kind, name, field, error, .. } = self;
        write!(formatter, "{kind} {name} cannot be read: {field}: {error}; correct the field")
    }
}
