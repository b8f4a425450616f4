//! Comparisons that say something else than is meant where nothing is counted: no request yet, no error ever, or the first
//! sample of a series. The query is not refused, because it is right once there is enough.

use super::{
    edit::{Edit, replace},
    functions::{self, Value},
    outage,
    tree::{Binary, Call, Expr, Node, Op},
};

/// What is doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// NaN, where nothing is divided by nothing.
    Idle,
    /// NaN, of a histogram without samples.
    NoSamples,
    /// A share of what is bad has no value while nothing is.
    Healthy,
    /// The first sample of a series counts nothing.
    FirstSample,
}

impl Doubt {
    /// What is the case.
    pub fn what(self) -> &'static str {
        match self {
            Self::Idle => {
                "without requests the quotient is 0 / 0, which is NaN, and `bool` makes it 0: an idle canary would fail"
            }
            Self::NoSamples => {
                "without requests histogram_quantile() is NaN, and `bool` makes it 0: an idle canary would fail"
            }
            Self::Healthy => {
                "while no request fails, what is divided has no series, so the query returns nothing and a healthy canary \
                 never becomes valid"
            }
            Self::FirstSample => {
                "the first sample of a series counts nothing in rate() and increase(), so an error that a series begins with \
                 is not seen"
            }
        }
    }

    /// What to do where the query to write is not known.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Idle => "filter the denominator, as in a / (b > 0)",
            Self::NoSamples => "filter it, as in (histogram_quantile(0.99, x) >= 0) < bool 0.5, or use valueInRange",
            Self::Healthy => "make it 0 instead of nothing, as in (sum(bad) or vector(0)) / sum(all)",
            Self::FirstSample => {
                "compare the counter itself, which begins with the canary's pods, as in (sum(errors) or vector(0)) == bool 0"
            }
        }
    }
}

/// The first doubt, and how to mend it; without edits if that is not known.
pub fn find(text: &str, tree: &Expr) -> Option<(Doubt, Vec<Edit>)> {
    conditions(tree).into_iter().find_map(|comparison| doubt(text, comparison))
}

/// The comparisons that must all be true. One that is joined to a guard by `and` may well be guarded.
fn conditions(expr: &Expr) -> Vec<&Binary> {
    match &expr.node {
        Node::Paren(inner) | Node::Unary { is_minus: false, inner } => conditions(inner),
        Node::Binary(binary) => match binary.op {
            Op::Compare if binary.is_bool => vec![binary],
            Op::Mul => [conditions(&binary.lhs), conditions(&binary.rhs)].concat(),
            Op::Compare | Op::Or | Op::And | Op::Unless | Op::Trim | Op::Add | Op::Sub | Op::Div | Op::Other => {
                Vec::new()
            }
        },
        Node::Aggregate(call) if functions::of_aggregation(&call.name) == Value::Same => {
            call.args.last().map(conditions).unwrap_or_default()
        }
        Node::Aggregate(_) | Node::Call(_) | Node::Number(_) | Node::Text | Node::Selector(_) | Node::Range(_) => {
            Vec::new()
        }
        Node::Unary { .. } => Vec::new(),
    }
}

fn doubt(text: &str, comparison: &Binary) -> Option<(Doubt, Vec<Edit>)> {
    if let Some(share) = outage::share(text, comparison) {
        if counts_over_time(share.denominator) {
            let span = share.denominator.span.clone();
            let edits = vec![replace(span.start..span.start, "("), replace(span.end..span.end, " > 0)")];
            let more = if share.may_be_empty(text) { share.zero(text) } else { Vec::new() };
            return Some((Doubt::Idle, [more, edits].concat()));
        }
        if share.may_be_empty(text) {
            return Some((Doubt::Healthy, share.zero(text)));
        }
    }
    let side = [&comparison.lhs, &comparison.rhs].into_iter().find(|side| side.literal().is_none())?;
    if matches!(&side.bare().node, Node::Call(call) if call.name == "histogram_quantile") {
        let edits =
            vec![replace(side.span.start..side.span.start, "("), replace(side.span.end..side.span.end, " >= 0)")];
        return Some((Doubt::NoSamples, edits));
    }
    is_none_of_what_grows(text, comparison).then(|| (Doubt::FirstSample, Vec::new()))
}

/// Is it a rate, or a sum of rates, which is 0 while nothing happens?
fn counts_over_time(expr: &Expr) -> bool {
    match &expr.node {
        Node::Paren(inner) => counts_over_time(inner),
        Node::Aggregate(Call { name, args, .. }) => {
            ["sum", "avg", "min", "max"].contains(&name.as_str()) && args.last().is_some_and(counts_over_time)
        }
        Node::Call(call) => ["rate", "irate", "increase"].contains(&call.name.as_str()),
        Node::Number(_) | Node::Text | Node::Selector(_) | Node::Range(_) | Node::Unary { .. } | Node::Binary(_) => {
            false
        }
    }
}

/// `increase(x[1m]) == bool 0`, or less than 1.
fn is_none_of_what_grows(text: &str, comparison: &Binary) -> bool {
    let operator = &text[comparison.at.clone()];
    let bound = comparison.rhs.literal();
    let is_none = matches!(operator, "==" | "<=") && bound == Some(0.0) || operator == "<" && bound == Some(1.0);
    let grows = |name: &str| name == "increase" || operator != "<" && ["rate", "irate"].contains(&name);
    is_none && sums(&comparison.lhs).is_some_and(|call| grows(&call.name))
}

/// The function whose results are summed; `or vector(0)` may be behind it.
fn sums(expr: &Expr) -> Option<&Call> {
    match &expr.node {
        Node::Paren(inner) => sums(inner),
        Node::Aggregate(call) => call.args.last().and_then(sums),
        Node::Binary(Binary { op: Op::Or, lhs, rhs, .. }) if rhs.is_constant() => sums(lhs),
        Node::Call(call) => Some(call),
        Node::Number(_) | Node::Text | Node::Selector(_) | Node::Range(_) | Node::Unary { .. } | Node::Binary(_) => {
            None
        }
    }
}
