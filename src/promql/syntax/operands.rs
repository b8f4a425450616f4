//! What is wrong with a number that is compared. A comparison in it that filters drops samples, and what is dropped is never
//! evaluated; in a guard, such as a denominator, that is meant.

use super::{
    edit::{Edit, replace},
    flaw::{Flaw, Found},
    functions::{self, Value},
    guard::{is_idle_filter, is_never_negative},
    outage,
    tree::{Binary, Call, Expr, Node, Op},
};

pub fn bool_of(filter: &Binary) -> Edit {
    Edit { at: filter.at.end..filter.at.end, text: " bool".into() }
}

/// `absent(x)` is 1 or nothing; the number of samples is 0 as well.
pub fn absent(text: &str, expr: &Expr, call: &Call, argument: &Expr) -> Option<Found> {
    let counted = &text[argument.span.clone()];
    let counted = if call.name == "absent" { counted.to_owned() } else { format!("count_over_time({counted})") };
    Found::new(Flaw::Absent, [none(text, expr, &counted)])
}

/// An alert that fires is 1, and one that does not is nothing.
pub fn alerts(text: &str, expr: &Expr) -> Option<Found> {
    Found::new(Flaw::Alerts, [none(text, expr, &text[expr.span.clone()])])
}

/// Is there none of it? In parentheses, if it is only a part.
fn none(text: &str, expr: &Expr, counted: &str) -> Edit {
    let is_all = expr.span.start == 0 && expr.span.end == text.trim_end().len();
    let count = format!("(count({counted}) or vector(0)) == bool 0");
    replace(expr.span.clone(), if is_all { count } else { format!("({count})") })
}

/// The operands of a comparison with `bool`.
pub fn compared(text: &str, binary: &Binary) -> Option<Found> {
    let Binary { lhs, rhs, at, .. } = binary;
    let operator = &text[at.clone()];
    for (side, other) in [(lhs, rhs), (rhs, lhs)] {
        let bare = side.bare();
        if let Node::Call(call) = &bare.node
            && functions::of_function(&call.name).0 == Value::Absent
        {
            return call.args.first().and_then(|argument| absent(text, bare, call, argument));
        }
        let Some(filter) = side.filter() else { continue };
        let is_sign = matches!(operator, "==" | "!=") && matches!(other.literal(), Some(0.0 | 1.0));
        if is_sign || operator == ">" && other.literal() == Some(0.0) {
            return Found::new(Flaw::Passed, [bool_of(filter)]);
        }
    }
    // Is it at least 0, or more than something below?
    let is_met =
        |side: &Expr, or_equal: bool| side.literal().is_some_and(|bound| bound < 0.0 || or_equal && bound == 0.0);
    let is_always = match operator {
        ">=" | ">" => is_never_negative(lhs) && is_met(rhs, operator == ">="),
        "<=" | "<" => is_never_negative(rhs) && is_met(lhs, operator == "<="),
        _ => false,
    };
    if is_always {
        return Found::new(Flaw::Always, []);
    }
    if let Some(first) = lhs.comparison() {
        let is_sign = matches!(operator, "==" | "!=") && matches!(rhs.literal(), Some(0.0 | 1.0));
        let is_chain = matches!(lhs.node, Node::Binary(_)) && !is_sign;
        if (is_chain || !first.is_bool) && !is_idle_filter(text, first) {
            return Found::new(Flaw::Chain, both(text, binary, first));
        }
    }
    operand(text, lhs).or_else(|| operand(text, rhs)).or_else(|| starved(text, binary))
}

/// A share of what is good that is nothing, not 0, where nothing is.
fn starved(text: &str, binary: &Binary) -> Option<Found> {
    let share = outage::share(text, binary).filter(|share| share.is_large_good && share.may_be_empty(text))?;
    Found::new(Flaw::Starved, share.zero(text))
}

/// `a < b < c` as two comparisons.
fn both(text: &str, second: &Binary, first: &Binary) -> Vec<Edit> {
    let middle = if first.lhs.literal().is_some() { &first.rhs } else { &first.lhs };
    let part = |from: &Expr| &text[from.span.clone()];
    let operator = &text[first.at.clone()];
    let one = format!("({} {operator} bool {})", part(&first.lhs), part(&first.rhs));
    let rest = &text[second.at.start..second.rhs.span.end];
    vec![replace(second.lhs.span.start..second.rhs.span.end, format!("{one} * ({} {rest})", part(middle)))]
}

/// What is wrong with it as a number that is compared.
fn operand(text: &str, expr: &Expr) -> Option<Found> {
    match &expr.node {
        Node::Paren(inner) | Node::Unary { inner, .. } | Node::Range(inner) => operand(text, inner),
        Node::Number(_) | Node::Text | Node::Selector(_) => None,
        Node::Binary(binary) => operand_of_two(text, binary),
        Node::Aggregate(call) | Node::Call(call) => {
            let found = counted(call).or_else(|| call.args.iter().find_map(|arg| dropped(text, call, arg)));
            found.or_else(|| call.args.iter().find_map(|arg| operand(text, arg)))
        }
    }
}

fn operand_of_two(text: &str, binary: &Binary) -> Option<Found> {
    let Binary { op, lhs, rhs, .. } = binary;
    let filter = |side: &Expr| side.filter().filter(|filter| !is_idle_filter(text, filter)).cloned();
    match op {
        Op::Compare if binary.is_bool => compared(text, binary),
        Op::Compare => operand(text, lhs),
        // What is empty on its left becomes that number.
        Op::Or if rhs.is_constant() => None,
        Op::And | Op::Unless | Op::Or if filter(lhs).is_some() => Found::new(Flaw::Drops, []),
        Op::And | Op::Unless => operand(text, lhs),
        Op::Or => operand(text, lhs).or_else(|| operand(text, rhs)),
        Op::Div | Op::Other | Op::Trim => {
            let found = filter(lhs).and_then(|filter| Found::new(Flaw::Drops, drop_of(&filter)));
            found.or_else(|| operand(text, lhs))
        }
        Op::Add | Op::Sub | Op::Mul => {
            let found = match (filter(lhs), filter(rhs)) {
                (Some(one), Some(other)) => Found::new(Flaw::Drops, [bool_of(&one), bool_of(&other)]),
                (Some(one), None) | (None, Some(one)) => Found::new(Flaw::Drops, drop_of(&one)),
                (None, None) => None,
            };
            found.or_else(|| operand(text, lhs)).or_else(|| operand(text, rhs))
        }
    }
}

/// The comparison without what is compared with: all samples stay.
fn drop_of(filter: &Binary) -> Vec<Edit> {
    let Binary { lhs, rhs, .. } = filter;
    let is_left = rhs.literal().is_some() || lhs.literal().is_none();
    vec![replace(if is_left { lhs.span.end..rhs.span.end } else { lhs.span.start..rhs.span.start }, "")]
}

/// `count` of what passes is never 0, and of a comparison with `bool` it is the number of all.
fn counted(call: &Call) -> Option<Found> {
    let sum = match call.name.as_str() {
        "count" => "sum",
        "count_over_time" => "sum_over_time",
        _ => return None,
    };
    let argument = call.args.first()?;
    let argument = if let Node::Range(inner) = &argument.node { inner } else { argument };
    let rename = replace(call.at.clone(), sum);
    match (&argument.bare().node, argument.comparison()) {
        (_, Some(filter)) if !filter.is_bool => Found::new(Flaw::CountsPassed, [rename, bool_of(filter)]),
        (_, Some(_)) => Found::new(Flaw::CountsAll, [rename]),
        // Which of the two it is about is not known.
        (Node::Binary(both), None) if both.lhs.filter().is_some() => Found::new(Flaw::CountsPassed, []),
        _ => None,
    }
}

/// Samples that an argument drops.
fn dropped(text: &str, call: &Call, argument: &Expr) -> Option<Found> {
    if functions::of_function(&call.name).0 == Value::Absent {
        return None;
    }
    let argument = if let Node::Range(inner) = &argument.node { inner } else { argument };
    let filter = argument.filter().filter(|filter| !is_idle_filter(text, filter))?;
    let edits = if call.name.starts_with("sum") { vec![bool_of(filter)] } else { drop_of(filter) };
    Found::new(Flaw::Drops, edits)
}
