//! What is there whenever its metrics are, and what filters on purpose.

use super::{
    functions::{self, Value},
    tree::{Binary, Expr, Node, Op},
};

/// Is it made of comparisons with `bool`, which have a sample whatever they say? As a guard it would let everything pass.
pub fn always_there(expr: &Expr) -> bool {
    match &expr.node {
        Node::Paren(inner) | Node::Unary { inner, .. } | Node::Range(inner) => always_there(inner),
        Node::Number(_) | Node::Text | Node::Selector(_) => false,
        Node::Binary(Binary { op, is_bool, lhs, rhs, .. }) => match op {
            Op::Compare => *is_bool,
            // The right side may be empty on purpose.
            Op::And | Op::Unless => always_there(lhs) && always_there(rhs),
            Op::Or | Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Trim | Op::Other => {
                always_there(lhs) || always_there(rhs)
            }
        },
        Node::Aggregate(call) | Node::Call(call) => call.args.iter().any(always_there),
    }
}

/// Is it meant as a condition, and true or false whatever it is joined to?
pub fn is_condition(expr: &Expr) -> bool {
    if let Node::Binary(Binary { op: Op::And | Op::Unless, lhs, .. }) = &expr.bare().node {
        return is_condition(lhs);
    }
    always_there(expr)
}

/// Does it drop only what has no value: `x > 0`, `x != NaN`, `x == x`?
pub fn is_idle_filter(text: &str, filter: &Binary) -> bool {
    let Binary { lhs, rhs, at, .. } = filter;
    let operator = &text[at.clone()];
    let is_nothing = |side: &Expr| side.literal().is_some_and(|value| !value.is_finite());
    let (above, below) = ([">", ">=", "!="].contains(&operator), ["<", "<=", "!="].contains(&operator));
    let over_zero = above && rhs.literal() == Some(0.0) || below && lhs.literal() == Some(0.0);
    let is_itself = operator == "==" && text[lhs.span.clone()] == text[rhs.span.clone()];
    !filter.is_bool && (over_zero || is_itself || is_nothing(lhs) || is_nothing(rhs))
}

/// Is it at least 0, whatever happens?
pub fn is_never_negative(expr: &Expr) -> bool {
    match &expr.node {
        Node::Paren(inner) | Node::Range(inner) | Node::Unary { is_minus: false, inner } => is_never_negative(inner),
        Node::Number(value) => value.is_some_and(|value| value >= 0.0),
        Node::Text | Node::Unary { .. } => false,
        Node::Selector(name) => {
            name.as_ref().is_some_and(|name| functions::is_number(name) && !name.ends_with("_celsius"))
        }
        Node::Binary(Binary { op, is_bool, lhs, rhs, .. }) => match op {
            Op::Compare if *is_bool => true,
            Op::Compare | Op::And | Op::Unless | Op::Trim => is_never_negative(lhs),
            Op::Or | Op::Add | Op::Mul | Op::Div => is_never_negative(lhs) && is_never_negative(rhs),
            Op::Sub | Op::Other => false,
        },
        Node::Aggregate(call) => call.name.starts_with("count") || call.args.last().is_some_and(is_never_negative),
        Node::Call(call) => match call.name.as_str() {
            "rate" | "increase" | "irate" | "resets" | "changes" | "count_over_time" | "abs" | "sqrt" | "time" => true,
            name => {
                let (value, index) = functions::of_function(name);
                let is_kept =
                    matches!(value, Value::Same) || name.ends_with("_over_time") || name == "histogram_quantile";
                is_kept && call.args.get(index).is_some_and(is_never_negative)
            }
        },
    }
}
