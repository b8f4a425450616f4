//! A query as a tree, with the place of each part in the text.

use std::ops::Range;

/// A part of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Its text, without what surrounds it.
    pub span: Range<usize>,
    /// What it is.
    pub node: Node,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A number or a duration; without a value if that is not known.
    Number(Option<f64>),
    /// A string.
    Text,
    /// Samples of now, of the metric with this name.
    Selector(Option<String>),
    /// A range of samples: of a selector, or of a subquery.
    Range(Box<Expr>),
    /// In parentheses.
    Paren(Box<Expr>),
    /// A sign before it.
    Unary {
        /// Or plus.
        is_minus: bool,
        /// What it is before.
        inner: Box<Expr>,
    },
    /// Two operands.
    Binary(Binary),
    /// `sum`, `count` and so on.
    Aggregate(Call),
    /// A function.
    Call(Call),
}

/// Two operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: Op,
    /// Where it stands.
    pub at: Range<usize>,
    /// Is it followed by `bool`?
    pub is_bool: bool,
    /// `on(…)` or `ignoring(…)`.
    pub matching: Option<Range<usize>>,
    /// The operand before it.
    pub lhs: Box<Expr>,
    /// The operand after it.
    pub rhs: Box<Expr>,
}

/// A function or an aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// In lower case.
    pub name: String,
    /// Where the name stands.
    pub at: Range<usize>,
    /// Its arguments.
    pub args: Vec<Expr>,
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Or,
    And,
    Unless,
    /// `==`, `!=`, `<`, `<=`, `>`, `>=`.
    Compare,
    /// `</` and `>/`, which cut histograms.
    Trim,
    Add,
    Sub,
    Mul,
    Div,
    /// `%`, `^` and `atan2`.
    Other,
}

/// What evaluates to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Scalar,
    Vector,
    Range,
    Text,
}

impl Expr {
    /// What is in the parentheses, and behind a plus.
    pub fn bare(&self) -> &Expr {
        match &self.node {
            Node::Paren(inner) | Node::Unary { is_minus: false, inner } => inner.bare(),
            Node::Number(_)
            | Node::Text
            | Node::Selector(_)
            | Node::Range(_)
            | Node::Unary { .. }
            | Node::Binary(_)
            | Node::Aggregate(_)
            | Node::Call(_) => self,
        }
    }

    /// Its value, if it is a number as written.
    pub fn literal(&self) -> Option<f64> {
        match &self.bare().node {
            Node::Number(value) => *value,
            Node::Unary { is_minus: true, inner } => inner.literal().map(|value| -value),
            Node::Text | Node::Selector(_) | Node::Range(_) | Node::Paren(_) | Node::Unary { .. } => None,
            Node::Binary(_) | Node::Aggregate(_) | Node::Call(_) => None,
        }
    }

    /// A comparison that filters, whether in parentheses or not.
    pub fn filter(&self) -> Option<&Binary> {
        self.comparison().filter(|binary| !binary.is_bool)
    }

    /// A comparison, whether in parentheses or not.
    pub fn comparison(&self) -> Option<&Binary> {
        match &self.bare().node {
            Node::Binary(binary) if binary.op == Op::Compare => Some(binary),
            Node::Binary(_) | Node::Number(_) | Node::Text | Node::Selector(_) | Node::Range(_) | Node::Paren(_) => {
                None
            }
            Node::Unary { .. } | Node::Aggregate(_) | Node::Call(_) => None,
        }
    }

    /// What it is made of.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Number(_) | Node::Text | Node::Selector(_) => Vec::new(),
            Node::Range(inner) | Node::Paren(inner) | Node::Unary { inner, .. } => vec![inner],
            Node::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Node::Aggregate(call) | Node::Call(call) => call.args.iter().collect(),
        }
    }

    /// Does it read any metric?
    pub fn reads(&self) -> bool {
        matches!(self.node, Node::Selector(_)) || self.children().into_iter().any(Expr::reads)
    }

    /// Is it 0 or 1 whatever happens, such as `vector(1)`?
    pub fn is_constant(&self) -> bool {
        match &self.bare().node {
            Node::Number(_) => true,
            Node::Call(call) => call.name == "vector" && call.args.iter().all(|arg| arg.literal().is_some()),
            Node::Text | Node::Selector(_) | Node::Range(_) | Node::Paren(_) | Node::Unary { .. } => false,
            Node::Binary(_) | Node::Aggregate(_) => false,
        }
    }
}
