//! Set operations whose right side is never evaluated.

use super::{
    edit::{Edit, around, replace},
    flaw::{Flaw, Found},
    guard::{always_there, is_condition},
    tree::{Expr, Node, Op},
};

/// A set operation whose right side is not evaluated, anywhere: whatever the result is used for.
pub fn flaw(tree: &Expr) -> Option<Found> {
    if let Some(found) = tree.children().into_iter().find_map(flaw) {
        return Some(found);
    }
    let Node::Binary(binary) = &tree.node else { return None };
    let (what, operator, [before, behind]) = match binary.op {
        Op::And if is_condition(&binary.rhs) => (Flaw::And, "*", ["(", ")"]),
        Op::Unless if is_condition(&binary.rhs) => (Flaw::Unless, "*", ["((", ") == bool 0)"]),
        Op::Or if always_there(&binary.lhs) && always_there(&binary.rhs) => (Flaw::Or, "+", ["(", ") > bool 0"]),
        Op::And | Op::Unless | Op::Or | Op::Compare | Op::Trim | Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Other => {
            return None;
        }
    };
    let mut edits = around(&binary.lhs, "(", ")");
    // Each side may have several samples for one of the other.
    let matching = binary.matching.clone();
    edits.push(replace(binary.at.clone(), operator));
    edits.extend(matching.map(|matching| Edit { at: matching.end..matching.end, text: " group_left()".into() }));
    edits.extend(around(&binary.rhs, before, behind));
    Found::new(what, edits)
}
