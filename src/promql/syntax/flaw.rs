//! What can be wrong with a query that a server would evaluate, in words.

use super::edit::Edit;

/// What is wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A comparison without `bool` is the result.
    Filters,
    /// A comparison with `bool` is on the right of `and`.
    And,
    /// Or of `unless`.
    Unless,
    /// Or of `or`, and another one on its left.
    Or,
    /// A number is the result.
    Number,
    /// A number of comparisons is.
    Share,
    /// A sum of comparisons is.
    Sum,
    /// `count` of a comparison without `bool`.
    CountsPassed,
    /// `count` of a comparison with `bool`.
    CountsAll,
    /// A comparison without `bool` drops samples before they are compared.
    Drops,
    /// What passes a comparison without `bool` is compared with 0 or 1.
    Passed,
    /// `a < b < c`.
    Chain,
    /// `absent` is the result.
    Absent,
    /// `ALERTS` is.
    Alerts,
    /// What is never negative is at least 0.
    Always,
    /// A share of what is good has no value where nothing is.
    Starved,
    /// The canary is compared with a base that contains it.
    Base,
}

/// What is wrong, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub flaw: Flaw,
    /// What to change in the text; nothing if that is not known.
    pub edits: Vec<Edit>,
}

impl Found {
    pub fn new(flaw: Flaw, edits: impl Into<Vec<Edit>>) -> Option<Self> {
        Some(Self { flaw, edits: edits.into() })
    }
}

impl Flaw {
    /// What is the case.
    pub fn what(self) -> &'static str {
        match self {
            Self::Filters => {
                "a comparison without `bool` filters samples instead of returning 0 or 1, so a healthy 0 would read as \
                 false and a failing canary as \"no data\""
            }
            Self::And => {
                "`and` only requires that its right side has a sample, and a comparison with `bool` always has one, so the \
                 right side is never evaluated"
            }
            Self::Unless => {
                "`unless` drops what its right side has a sample for, and a comparison with `bool` always has one, so the \
                 right side is never evaluated"
            }
            Self::Or => {
                "`or` takes its right side only where its left side has no sample, and a comparison with `bool` always has \
                 one, so the right side is never evaluated"
            }
            Self::Number => {
                "the query returns a number instead of true or false: 1 would read as true and 0 as false, whatever is \
                 counted"
            }
            Self::Share => "an aggregation of comparisons does not return 0 when one of them is false",
            Self::Sum => "a sum of comparisons is a number: 1 would read as true",
            Self::CountsPassed => "`count` of a comparison without `bool` is empty instead of 0 when no sample passes",
            Self::CountsAll => "`count` of a comparison with `bool` counts all samples, whether they are 0 or 1",
            Self::Drops => "a comparison without `bool` drops samples before they are evaluated",
            Self::Passed => "a comparison without `bool` returns the values that pass instead of 0 or 1",
            Self::Chain => "a comparison of a comparison does not compare the value between the two",
            Self::Absent => "`absent` returns 1 or nothing, so the query would never be false",
            Self::Alerts => {
                "`ALERTS` is 1 while an alert fires and nothing while none does, so a bad canary would read as true"
            }
            Self::Always => "what is compared is never negative, so the query would never be false",
            Self::Starved => {
                "where every request fails, what is divided has no series, so the query would return nothing instead of 0, and a \
                 canary in a total outage would stay in production"
            }
            Self::Base => {
                "the canary is compared with a base that contains it: the regular expression for the base matches the \
                 canary, whose name begins with that of the base"
            }
        }
    }

    /// What to do where the query to write is not known.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Filters | Self::Drops | Self::Passed => "use `bool` after each one that makes the result",
            Self::And => "multiply the two, as in (A > bool 1) * (B < bool 2)",
            Self::Unless => "multiply the two, as in (A > bool 1) * ((B < bool 2) == bool 0)",
            Self::Or | Self::Sum => "add the two and compare, as in (A > bool 1) + (B < bool 2) > bool 0",
            Self::Number => {
                "compare it with a bound, as in `< bool 0.01` or `>= bool 0.99`, or give the bounds of good values in \
                 valueInRange"
            }
            Self::Share => "use min()",
            Self::CountsPassed | Self::CountsAll => "use `sum` of a comparison with `bool`, as in sum(x > bool 5)",
            Self::Chain => "multiply two comparisons, as in (x > bool 1) * (x < bool 2)",
            Self::Absent | Self::Alerts => "count what is there, as in (count(x) or vector(0)) == bool 0",
            Self::Always => "compare it with a bound that a bad canary does not meet",
            Self::Starved => "make it 0 instead of nothing, as in (sum(good) or vector(0)) / sum(all) >= bool 0.99",
            Self::Base => {
                "use pod=~\"{{deployment.name}}-[a-z0-9]+-[a-z0-9]+\", or add pod!~\"{{canary.name}}-.*\"; if both are meant, \
                 use pod=~\"({{deployment.name}}|{{canary.name}})-.*\""
            }
        }
    }
}
