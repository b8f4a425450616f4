//! What a template consists of.

use serde_json::Value;

/// A piece of a template.
#[derive(Clone, Debug)]
pub enum Piece {
    Text(String),
    Path(Path),
    Range(Path, Vec<Piece>),
}

/// The steps from the present object to others.
#[derive(Clone, Debug)]
pub struct Path {
    /// It begins at the whole object, also inside of a range.
    pub from_root: bool,
    pub steps: Vec<Step>,
}

/// From some values to others.
#[derive(Clone, Debug)]
pub enum Step {
    Field(String),
    /// Negative ones count from the end.
    Slice(Option<i64>, Option<i64>, i64),
    Index(i64),
    All,
    /// The value and all below it.
    Descend,
    Filter(Operand, Option<(Comparison, Operand)>),
    Union(Vec<Step>),
}

#[derive(Clone, Debug)]
pub enum Operand {
    Path(Path),
    Value(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
