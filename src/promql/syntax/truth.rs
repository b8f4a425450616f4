//! Is the query true when the canary is good, and false when it is bad? What is known to be neither is found here, with
//! the text to write instead.
//!
//! A place in the query is read in one of three ways: as the truth that the query returns (here), as a number that is
//! compared (`operands`), and as a guard, whose samples only have to be there: the right side of `and`, and a denominator.
//! In a guard a comparison may filter; in the other two it must not, or what it drops is never evaluated.

use super::{
    edit::{Edit, after, replace},
    flaw::{Flaw, Found},
    functions::{self, Value},
    guard::{always_there, is_idle_filter},
    operands::{absent, alerts, bool_of, compared},
    tree::{Binary, Call, Expr, Node, Op},
};

/// What is wrong with it as the truth that the query returns.
pub fn truth(text: &str, expr: &Expr) -> Option<Found> {
    match &expr.node {
        Node::Paren(inner) | Node::Unary { is_minus: false, inner } | Node::Range(inner) => truth(text, inner),
        Node::Unary { .. } => Found::new(Flaw::Number, []),
        Node::Number(value) => value.and_then(|value| if value == 0.0 || value == 1.0 { None } else { number() }),
        Node::Text => None,
        Node::Selector(Some(name)) if name == "ALERTS" => alerts(text, expr),
        Node::Selector(name) => name.as_ref().filter(|name| functions::is_number(name)).and_then(|_| number()),
        Node::Binary(binary) => truth_of_two(text, expr, binary),
        Node::Aggregate(call) => truth_of_many(text, call),
        Node::Call(call) => {
            let (value, index) = functions::of_function(&call.name);
            let argument = call.args.get(index);
            match value {
                Value::Same => argument.and_then(|argument| truth(text, argument)),
                Value::Number => number(),
                Value::Absent => argument.and_then(|argument| absent(text, expr, call, argument)),
                Value::Unknown => None,
            }
        }
    }
}

fn number() -> Option<Found> {
    Found::new(Flaw::Number, [])
}

fn truth_of_two(text: &str, expr: &Expr, binary: &Binary) -> Option<Found> {
    let Binary { op, lhs, rhs, .. } = binary;
    let is_meant = |side: &Expr| side.filter().is_some() || always_there(side);
    match op {
        Op::Compare if binary.is_bool => compared(text, binary),
        Op::Compare => Found::new(Flaw::Filters, missing_bool(expr)),
        Op::And | Op::Unless => {
            let found = truth(text, lhs)?;
            // Where neither side has `bool`, both are meant as conditions.
            let both = found.flaw == Flaw::Filters && rhs.filter().is_some_and(|filter| !is_idle_filter(text, filter));
            let more = if both { missing_bool(rhs) } else { Vec::new() };
            Found::new(found.flaw, [found.edits, more].concat())
        }
        // What is absent on one side is taken from the other.
        Op::Or => {
            let of = |side: &Expr| truth(text, side).filter(|found| !matches!(found.flaw, Flaw::Absent | Flaw::Alerts));
            of_both(of(lhs), of(rhs))
        }
        Op::Mul => of_both(truth(text, lhs), truth(text, rhs)),
        Op::Sub if lhs.literal() == Some(1.0) => truth(text, rhs),
        Op::Add if is_meant(lhs) && is_meant(rhs) => {
            let bools = [missing_bool(lhs), missing_bool(rhs)].concat();
            Found::new(Flaw::Sum, [bools, vec![after(expr, " > bool 0")]].concat())
        }
        Op::Add | Op::Sub | Op::Div | Op::Trim | Op::Other => number(),
    }
}

/// What cannot be mended goes first; the same is mended on both sides at once.
fn of_both(lhs: Option<Found>, rhs: Option<Found>) -> Option<Found> {
    match (lhs, rhs) {
        (Some(one), Some(other)) if one.flaw == other.flaw => Found::new(one.flaw, [one.edits, other.edits].concat()),
        (_, Some(other)) if other.flaw == Flaw::Number => Some(other),
        (one, other) => one.or(other),
    }
}

/// Where `bool` is missing in what makes the result.
fn missing_bool(expr: &Expr) -> Vec<Edit> {
    match &expr.node {
        Node::Paren(inner) | Node::Unary { inner, .. } => missing_bool(inner),
        Node::Binary(binary) if binary.op == Op::Compare && !binary.is_bool => vec![bool_of(binary)],
        Node::Binary(_) | Node::Number(_) | Node::Text | Node::Selector(_) | Node::Range(_) => Vec::new(),
        Node::Aggregate(_) | Node::Call(_) => Vec::new(),
    }
}

fn truth_of_many(text: &str, call: &Call) -> Option<Found> {
    let argument = call.args.last()?;
    let is_truth = || truth(text, argument).is_none_or(|found| found.flaw != Flaw::Number);
    let min = replace(call.at.clone(), "min");
    match functions::of_aggregation(&call.name) {
        Value::Same => truth(text, argument),
        // One bad sample among many must make it false.
        _ if always_there(argument) && call.args.len() == 1 && is_truth() => Found::new(Flaw::Share, [min]),
        Value::Number | Value::Absent => number(),
        Value::Unknown => argument.filter().and_then(|filter| Found::new(Flaw::Share, [min, bool_of(filter)])),
    }
}
