//! The label matchers of the selectors in a part of a query. Only their text is kept in the tree.

use super::tree::{Expr, Node};
use crate::promql::lexer::{self, Kind};

/// A selector: the metric, and what its labels must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// Where it begins.
    pub at: usize,
    /// The metric's name.
    pub metric: Option<String>,
    /// In the order in which they are written.
    pub matchers: Vec<Matcher>,
}

/// `label="value"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// The name of the label, as written.
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub operator: String,
    /// What the string says.
    pub value: String,
}

impl Matcher {
    /// Does it say what the label must be, not what it must not be?
    pub fn is_positive(&self) -> bool {
        self.operator.starts_with('=')
    }
}

/// All selectors. One that is not understood, such as one with the alternatives of a dialect, is left out.
pub fn of(text: &str, expr: &Expr) -> Vec<Selector> {
    if let Node::Selector(metric) = &expr.node {
        let matchers = text.get(expr.span.clone()).and_then(matchers);
        let at = expr.span.start;
        return matchers.map(|matchers| Selector { at, metric: metric.clone(), matchers }).into_iter().collect();
    }
    expr.children().into_iter().flat_map(|child| of(text, child)).collect()
}

fn matchers(selector: &str) -> Option<Vec<Matcher>> {
    let tokens = lexer::tokens(selector).ok()?;
    let text = |token: &lexer::Token| &selector[token.span.clone()];
    let Some(open) = tokens.iter().position(|token| text(token) == "{") else { return Some(Vec::new()) };
    let close = tokens.iter().rposition(|token| text(token) == "}")?;
    let parts = tokens.get(open + 1..close)?.split(|token| token.kind == Kind::Symbol && text(token) == ",");
    let matcher = |part: &[lexer::Token]| match part {
        [label, operator, value] => Some(Some(Matcher {
            label: text(label).to_owned(),
            operator: text(operator).to_owned(),
            value: content(text(value))?,
        })),
        // The end of a list, or the metric's name in quotes.
        [] => Some(None),
        [name] if name.kind == Kind::Text => Some(None),
        _ => None,
    };
    let all: Option<Vec<Option<Matcher>>> = parts.map(matcher).collect();
    all.map(|all| all.into_iter().flatten().collect())
}

/// What a string says. Of escape sequences only the backslash is known.
fn content(token: &str) -> Option<String> {
    let inner = token.get(1..token.len().checked_sub(1)?)?;
    if token.starts_with('`') || !inner.contains('\\') {
        return Some(inner.to_owned());
    }
    let plain = inner.replace("\\\\", "");
    (!plain.contains('\\')).then(|| inner.replace("\\\\", "\\"))
}
