//! What a template makes of an object.

use std::cmp::Ordering;

use serde_json::Value;

use super::piece::{Comparison, Operand, Path, Piece, Step};

/// The text of all pieces; `here` is the object of the innermost range.
pub(super) fn render(pieces: &[Piece], root: &Value, here: &Value) -> String {
    pieces.iter().map(|piece| piece_text(piece, root, here)).collect()
}

fn piece_text(piece: &Piece, root: &Value, here: &Value) -> String {
    match piece {
        Piece::Text(text) => text.clone(),
        Piece::Path(path) => values(path, root, here).into_iter().map(text).collect::<Vec<_>>().join(" "),
        Piece::Range(path, pieces) => {
            values(path, root, here).into_iter().map(|value| render(pieces, root, value)).collect()
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn values<'a>(path: &Path, root: &'a Value, here: &'a Value) -> Vec<&'a Value> {
    let begin = if path.from_root { root } else { here };
    path.steps.iter().fold(vec![begin], |values, step| follow(step, root, values))
}

fn follow<'a>(step: &Step, root: &'a Value, values: Vec<&'a Value>) -> Vec<&'a Value> {
    match step {
        Step::Field(name) => values.into_iter().filter_map(|value| value.get(name)).collect(),
        Step::Index(index) => values.into_iter().filter_map(|value| at(items(value), *index)).collect(),
        Step::Slice(from, to, by) => {
            values.into_iter().flat_map(|value| slice(items(value), *from, *to, *by)).collect()
        }
        Step::All => values.into_iter().flat_map(children).collect(),
        Step::Descend => values.into_iter().flat_map(all_below).collect(),
        Step::Filter(left, right) => {
            let all = values.into_iter().flat_map(items);
            all.filter(|value| holds(left, right.as_ref(), root, value)).collect()
        }
        Step::Union(steps) => steps.iter().flat_map(|step| follow(step, root, values.clone())).collect(),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn position(length: usize, index: i64) -> Option<usize> {
    let from_end = || length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
    if index < 0 { from_end() } else { usize::try_from(index).ok() }
}

fn at(items: &[Value], index: i64) -> Option<&Value> {
    items.get(position(items.len(), index)?)
}

fn slice(items: &[Value], from: Option<i64>, to: Option<i64>, by: i64) -> impl Iterator<Item = &Value> {
    let bound = |index: i64| position(items.len(), index).unwrap_or(0).min(items.len());
    let (from, to) = (from.map_or(0, bound), to.map_or(items.len(), bound));
    let by = usize::try_from(by).unwrap_or(1).max(1);
    items.get(from..to).unwrap_or_default().iter().step_by(by)
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn all_below(value: &Value) -> Vec<&Value> {
    std::iter::once(value).chain(children(value).into_iter().flat_map(all_below)).collect()
}

fn holds(left: &Operand, right: Option<&(Comparison, Operand)>, root: &Value, here: &Value) -> bool {
    let left = operand(left, root, here);
    let Some((comparison, right)) = right else { return left.is_some() };
    let right = operand(right, root, here);
    match (comparison, left, right) {
        (Comparison::Equal, left, right) => left == right,
        (Comparison::NotEqual, left, right) => left != right,
        (_, Some(left), Some(right)) => compares(*comparison, left, right),
        (_, _, _) => false,
    }
}

fn compares(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let ordering = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (left, right) => left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)),
    };
    ordering.is_some_and(|ordering| match comparison {
        Comparison::Less => ordering == Ordering::Less,
        Comparison::LessOrEqual => ordering != Ordering::Greater,
        Comparison::Greater => ordering == Ordering::Greater,
        Comparison::GreaterOrEqual => ordering != Ordering::Less,
        Comparison::Equal => ordering == Ordering::Equal,
        Comparison::NotEqual => ordering != Ordering::Equal,
    })
}

fn operand<'a>(operand: &'a Operand, root: &'a Value, here: &'a Value) -> Option<&'a Value> {
    match operand {
        Operand::Value(value) => Some(value),
        Operand::Path(path) => values(path, root, here).into_iter().next(),
    }
}
