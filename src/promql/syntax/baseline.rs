//! Does a query compare the canary with a base that contains the canary? A canary's pods are named `<name>-kanary-…`, and often
//! `<name>` is the name of the base: `web-.*` matches both.

use regex::bytes::RegexBuilder;

use super::{
    flaw::{Flaw, Found},
    selectors::{self, Matcher, Selector},
    tree::{Binary, Expr, Node, Op},
};

/// What the Deployments are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// The base.
    pub base: &'a str,
    /// The canary.
    pub canary: &'a str,
}

/// What follows the name of a Deployment in those of its pods; and nothing, for labels with the name of the workload.
const ENDS: [&str; 2] = ["-7d9f8c6b5d-x2x4z", ""];
/// Regular expressions that are worth being tried, in number and in bytes.
const MAX_EXPRESSIONS: usize = 8;
const MAX_BYTES: usize = 128;
/// And in bytes once compiled.
const MAX_SIZE: usize = 1 << 16;

/// What a query reads of the canary, and of a base that contains it.
pub struct Baseline(Vec<(usize, Of)>);

/// What a selector is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// It names the canary.
    Canary,
    /// It names the base, and selects the canary, too.
    Both,
}

impl Baseline {
    /// Looks at each selector once.
    pub fn of(text: &str, tree: &Expr, names: Names<'_>) -> Self {
        let mut tries = 0;
        let of = |selector: Selector| Some((selector.at, of(&selector, names, &mut tries)?));
        Self(selectors::of(text, tree).into_iter().filter_map(of).collect())
    }

    /// A comparison of the canary with a base that contains it.
    pub fn flaw(&self, expr: &Expr) -> Option<Found> {
        if !self.is_beside(expr) {
            return None;
        }
        if let Node::Binary(Binary { op: Op::Compare, lhs, rhs, .. }) = &expr.node {
            let is_only =
                |side: &Expr, of: Of| self.parts(side).next().is_some() && self.parts(side).all(|it| it == of);
            let is_against = |one: &Expr, other: &Expr| is_only(one, Of::Canary) && is_only(other, Of::Both);
            if is_against(lhs, rhs) || is_against(rhs, lhs) {
                return Found::new(Flaw::Base, []);
            }
        }
        expr.children().into_iter().find_map(|child| self.flaw(child))
    }

    /// Does it read the canary, and beside it a base that contains the canary?
    pub fn is_beside(&self, expr: &Expr) -> bool {
        self.parts(expr).any(|of| of == Of::Canary) && self.parts(expr).any(|of| of == Of::Both)
    }

    fn parts(&self, expr: &Expr) -> impl Iterator<Item = Of> {
        let span = expr.span.clone();
        self.0.iter().filter(move |(at, _)| span.contains(at)).map(|(_, of)| *of)
    }
}

fn of(selector: &Selector, names: Names<'_>, tries: &mut usize) -> Option<Of> {
    let mut matchers = selector.matchers.iter();
    let names_canary = |matcher: &&Matcher| matcher.value.contains(names.canary);
    if let Some(named) = matchers.clone().find(names_canary) {
        return named.is_positive().then_some(Of::Canary);
    }
    if matchers.any(|matcher| matcher.operator == "=" && matcher.value == names.base) {
        return None;
    }
    let is_candidate = |value: &&str| value.len() <= MAX_BYTES && value.contains(names.base);
    let values =
        selector.matchers.iter().filter(|matcher| matcher.operator == "=~").map(|matcher| matcher.value.as_str());
    let mut candidates = values.filter(is_candidate).peekable();
    candidates.peek()?;
    let is_of_both = candidates.all(|expression| {
        *tries += 1;
        *tries <= MAX_EXPRESSIONS && matches_both(expression, names)
    });
    is_of_both.then_some(Of::Both)
}

/// As Prometheus reads it: from the beginning of the label to its end, in ASCII.
fn matches_both(expression: &str, names: Names<'_>) -> bool {
    let whole = RegexBuilder::new(&format!("^(?s:{expression})$")).unicode(false).size_limit(MAX_SIZE).build();
    let Ok(whole) = whole else { return false };
    let is = |name: &str, end: &str| whole.is_match(format!("{name}{end}").as_bytes());
    ENDS.iter().any(|end| is(names.base, end) && is(names.canary, end))
}
