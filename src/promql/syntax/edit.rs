//! Changes of a text, by place.

use std::ops::Range;

use super::tree::{Expr, Node};

/// What to write in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What it takes the place of; it may be empty.
    pub at: Range<usize>,
    /// What to write.
    pub text: String,
}

pub fn replace(at: Range<usize>, text: impl Into<String>) -> Edit {
    Edit { at, text: text.into() }
}

pub fn after(expr: &Expr, text: &str) -> Edit {
    replace(expr.span.end..expr.span.end, text)
}

/// An operand in parentheses, if it is more than one thing. If more is written than those, always.
pub fn around(expr: &Expr, before: &str, behind: &str) -> Vec<Edit> {
    let is_one =
        matches!(expr.node, Node::Paren(_) | Node::Selector(_) | Node::Aggregate(_) | Node::Call(_) | Node::Number(_));
    let (before, behind) = match is_one {
        true => (before.strip_suffix('(').unwrap_or(before), behind.strip_prefix(')').unwrap_or(behind)),
        false => (before, behind),
    };
    vec![replace(expr.span.start..expr.span.start, before), after(expr, behind)]
}

/// The text after all of them. No two touch the same place.
pub fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
    let (mut result, mut from) = (String::with_capacity(text.len() + 64), 0);
    for Edit { at, text: new } in &edits {
        result.push_str(text.get(from..at.start)?);
        result.push_str(new);
        // A word begins after a word.
        let next = text.get(at.end..)?.chars().next().unwrap_or(' ');
        if new.ends_with("bool") && !next.is_whitespace() {
            result.push(' ');
        }
        from = at.end;
    }
    result.push_str(text.get(from..)?);
    Some(result)
}
