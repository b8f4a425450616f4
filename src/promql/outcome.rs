//! What a result means for an item: true, false, or nothing; with the texts that the status needs.

use serde::{Deserialize, Serialize};

use super::result::{Labels, Sample};
use crate::api::text::{bound, shortened};

/// What one evaluation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It holds.
    True(Evidence),
    /// It does not.
    False(Evidence),
    /// There is no evidence, and why. The text is the same for as long as the reason is.
    Unknown(String),
}

/// What a conclusive result rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// One sentence.
    pub message: String,
    /// The value that decided.
    pub value: String,
    /// What it was compared with.
    pub bound: String,
    /// How many samples were evaluated.
    pub samples: usize,
}

impl Evidence {
    /// The value that decided, as a number; of true and false, 1 and 0.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.value.as_str() {
            "true" => Some(1.0),
            "false" => Some(0.0),
            value => value.parse().ok(),
        }
    }
}

impl Outcome {
    /// Does it say anything about the canary?
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        match self {
            Outcome::True(_) | Outcome::False(_) => true,
            Outcome::Unknown(_) => false,
        }
    }

    /// As for a metric's label.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::True(_) => "true",
            Outcome::False(_) => "false",
            Outcome::Unknown(_) => "unknown",
        }
    }

    /// The same, with no text longer than one of a status may be: results are kept for as long as their run, and a server may
    /// answer anything.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        match &mut self {
            Outcome::True(evidence) | Outcome::False(evidence) => {
                [&mut evidence.message, &mut evidence.value, &mut evidence.bound].into_iter().for_each(bound);
            }
            Outcome::Unknown(why) => bound(why),
        }
        self
    }

    pub(super) fn empty() -> Self {
        Self::Unknown("the result is empty: no traffic yet, or a name or label in the query is wrong".into())
    }

    pub(super) fn not_finite() -> Self {
        Self::Unknown("a sample is NaN or infinite, possibly because there is no traffic yet".into())
    }
}

/// A sample, and the canary pod that it is about; none if all samples are one set.
pub(super) struct About<'a> {
    pub pod: Option<&'a str>,
    pub sample: &'a Sample,
}

impl About<'_> {
    /// `, pod web-kanary-1`, or the labels; nothing if it is the only sample.
    pub fn named(&self, samples: usize) -> String {
        match (self.pod, samples, self.sample.labels.is_empty()) {
            (_, ..=1, _) | (None, _, true) => String::new(),
            (Some(pod), _, _) => format!(", pod {pod}"),
            (None, _, false) => format!(", {}", labels(&self.sample.labels)),
        }
    }
}

/// More labels than this are not named.
const MOST_LABELS: usize = 16;

/// Labels as PromQL writes them, without the metric's name.
pub(super) fn labels(labels: &Labels) -> String {
    let named = labels.iter().filter(|(key, _)| *key != "__name__").take(MOST_LABELS);
    let all: Vec<String> = named.map(|(key, value)| format!("{key}={value:?}")).collect();
    shortened(&format!("{{{}}}", all.join(", ")), 300)
}
