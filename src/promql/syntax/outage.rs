//! A share of requests whose numerator has no series where none of them is counted: `code!~"5.."` in a total outage, or
//! `code=~"5.."` while all is well. The query returns nothing then, and nothing is no evidence.

use super::{
    edit::{Edit, replace},
    selectors::{self, Matcher, Selector},
    tree::{Binary, Call, Expr, Node, Op},
};

/// A share in a comparison with a number.
pub struct Share<'a> {
    /// What is divided.
    pub numerator: &'a Expr,
    /// By which.
    pub denominator: &'a Expr,
    /// `on(…)` between the two.
    is_matched: bool,
    /// Is the query true if the share is large?
    pub is_large_good: bool,
}

/// The share that is compared, if it is one.
pub fn share<'a>(text: &str, comparison: &'a Binary) -> Option<Share<'a>> {
    let operator = &text[comparison.at.clone()];
    let (side, is_turned) = match (comparison.lhs.literal(), comparison.rhs.literal()) {
        (None, Some(_)) => (&comparison.lhs, false),
        (Some(_), None) => (&comparison.rhs, true),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let is_large_good = match operator {
        ">" | ">=" => !is_turned,
        "<" | "<=" => is_turned,
        _ => return None,
    };
    quotient(side, is_large_good)
}

/// Behind factors, and as the rest of 1.
fn quotient(expr: &Expr, is_large_good: bool) -> Option<Share<'_>> {
    let Node::Binary(Binary { op, lhs, rhs, matching, .. }) = &expr.bare().node else { return None };
    match (op, lhs.literal(), rhs.literal()) {
        (Op::Mul | Op::Div, None, Some(_)) => quotient(lhs, is_large_good),
        (Op::Mul, Some(_), None) => quotient(rhs, is_large_good),
        (Op::Sub, Some(_), None) => quotient(rhs, !is_large_good),
        (Op::Div, None, None) => {
            Some(Share { numerator: factor(lhs), denominator: rhs, is_matched: matching.is_some(), is_large_good })
        }
        _ => None,
    }
}

fn factor(expr: &Expr) -> &Expr {
    let Node::Binary(Binary { op: Op::Mul, lhs, rhs, .. }) = &expr.bare().node else { return expr.bare() };
    match (lhs.literal(), rhs.literal()) {
        (Some(_), _) => factor(rhs),
        (None, Some(_)) => factor(lhs),
        (None, None) => expr.bare(),
    }
}

impl Share<'_> {
    /// May the numerator have no series where the denominator has some? It selects fewer of the same ones.
    pub fn may_be_empty(&self, text: &str) -> bool {
        if !matches!(self.numerator.node, Node::Selector(_) | Node::Aggregate(_) | Node::Call(_))
            || has_default(self.numerator)
        {
            return false;
        }
        let (some, all) = (selectors::of(text, self.numerator), selectors::of(text, self.denominator));
        let is_part = |part: &Selector, whole: &Selector| {
            let has = |one: &Selector, matcher: &Matcher| one.matchers.contains(matcher);
            part.metric == whole.metric
                && part.metric.is_some()
                && whole.matchers.iter().all(|matcher| has(part, matcher))
                && part.matchers.iter().any(|matcher| !has(whole, matcher))
        };
        matches!((&some[..], &all[..]), ([part], [whole]) if is_part(part, whole))
    }

    /// The numerator that is 0 instead of nothing.
    pub fn zero(&self, text: &str) -> Vec<Edit> {
        let zero = if is_ungrouped(text, self.numerator) {
            "vector(0)".to_owned()
        } else if self.is_matched {
            return Vec::new();
        } else {
            let whole = &text[self.denominator.span.clone()];
            match self.denominator.node {
                Node::Paren(_) | Node::Selector(_) | Node::Aggregate(_) | Node::Call(_) => format!("0 * {whole}"),
                Node::Binary(_) | Node::Unary { .. } | Node::Number(_) | Node::Text | Node::Range(_) => {
                    format!("0 * ({whole})")
                }
            }
        };
        let end = self.numerator.span.end;
        vec![
            replace(self.numerator.span.start..self.numerator.span.start, "("),
            replace(end..end, format!(" or {zero})")),
        ]
    }
}

/// Is there something that it is where nothing is counted?
fn has_default(expr: &Expr) -> bool {
    let is_it = match &expr.node {
        Node::Binary(binary) => binary.op == Op::Or,
        Node::Call(call) => ["absent", "absent_over_time", "vector", "scalar"].contains(&call.name.as_str()),
        Node::Number(_) | Node::Text | Node::Selector(_) | Node::Range(_) | Node::Paren(_) | Node::Unary { .. } => {
            false
        }
        Node::Aggregate(_) => false,
    };
    is_it || expr.children().into_iter().any(has_default)
}

/// Is it an aggregation of all to one number, without labels?
fn is_ungrouped(text: &str, expr: &Expr) -> bool {
    let Node::Aggregate(Call { name, at, args }) = &expr.node else { return false };
    let (Some(first), Some(last)) = (args.first(), args.last()) else { return false };
    let is_one = !["topk", "bottomk", "limitk", "limit_ratio", "count_values"].contains(&name.as_str());
    is_one && text[at.end..first.span.start].trim() == "(" && text[last.span.end..expr.span.end].trim() == ")"
}
