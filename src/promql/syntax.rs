//! Is the query PromQL, does it return what the item needs, and is it false when the canary is bad? Checked before any
//! query is sent.
//!
//! Not here: whether a server knows its functions and its regular expressions. Dialects have more of them, and new
//! versions too. What is not known here is not refused: the server reports it.
//!
//! Whoever may write a `KanaryDeployment` chooses the text, and one thread decides for all: whatever it is, checking it
//! takes some milliseconds, and a stack of some kilobytes.

mod baseline;
mod correct;
mod cursor;
mod doubts;
mod edit;
mod flaw;
mod functions;
mod guard;
mod modifiers;
mod operands;
mod outage;
mod parser;
mod selectors;
mod sets;
mod tree;
mod truth;
mod types;
mod variables;

use baseline::Baseline;
pub use baseline::Names;
use cursor::Failure;
pub use doubts::Doubt;
pub use flaw::Flaw;

use self::tree::{Expr, Type};
use super::{lexer, memo::Memo};
use crate::api::text;

/// Operators and parentheses that a query may have: so deep may its tree be.
const MAX_OPERATORS: usize = 500;

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No server can read it.
    #[error("line {line}: {why}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// One sentence.
        why: String,
    },
    /// Too many operators and parentheses.
    #[error(
        "the query has {0} operators and parentheses (limit {MAX_OPERATORS}); let recording rules compute parts of it"
    )]
    Large(usize),
    /// A range vector.
    #[error(
        "the query returns a range vector, but an instant vector or a scalar is required; wrap it in rate(), increase() \
         or a similar function"
    )]
    Range,
    /// A string where a number is needed.
    #[error("the query returns a string, but an instant vector or a scalar is required")]
    Text,
    /// It would say something else than is meant.
    #[error("{}; {}", .flaw.what(), .corrected.as_ref().map_or_else(|| .flaw.hint().into(), |it| format!("use: {it}")))]
    Flawed {
        /// What is wrong.
        flaw: Flaw,
        /// The query to write instead, if it could be worked out.
        corrected: Option<String>,
    },
}

/// What a user should know of a query that is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Not all of it is known here.
    NotChecked {
        /// Counted from 1.
        line: usize,
        /// The text from there on.
        near: String,
    },
    /// It reads no metric.
    Constant,
    /// It returns only what passes a comparison, and numbers are evaluated.
    Drops,
    /// What it selects of the base is the canary, too.
    Base,
    /// It says something else where nothing is counted.
    Doubtful {
        /// What.
        doubt: Doubt,
        /// The query to write instead, if it could be worked out.
        corrected: Option<String>,
    },
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotChecked { line, near } => write!(
                f,
                "the query was not checked: line {line}: not known here: {near}; the server decides whether it is valid"
            ),
            Self::Constant => f.write_str("the query reads no metric, so its result does not depend on the canary"),
            Self::Drops => f.write_str(
                "a comparison without `bool` drops samples, so these are not evaluated; remove it if it is not meant as a \
                 filter",
            ),
            Self::Base => write!(f, "{}; {}", Flaw::Base.what(), Flaw::Base.hint()),
            Self::Doubtful { doubt, corrected: None } => write!(f, "{}; {}", doubt.what(), doubt.hint()),
            Self::Doubtful { doubt, corrected: Some(corrected) } => write!(f, "{}; use: {corrected}", doubt.what()),
        }
    }
}

type Checked = Result<Option<Remark>, Fault>;

static CHECKED: Memo<Checked> = Memo::new();

/// A query that is to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// As the user wrote it.
    pub template: &'a str,
    /// What it was rendered as.
    pub query: &'a str,
    /// Must it be true or false by itself?
    pub is_boolean: bool,
    /// What its Deployments are called.
    pub names: Names<'a>,
}

/// Checks a query. `render` renders a template that is tried in its place.
///
/// # Errors
/// [`Fault`]; it says what to write instead.
pub fn check(candidate: Candidate<'_>, render: &dyn Fn(&str) -> Option<String>) -> Checked {
    // The same text may be checked both ways, and beside other names.
    let Candidate { template, query, is_boolean, names } = candidate;
    let key = format!("{is_boolean}\0{}\0{}\0{template}\0{query}", names.base, names.canary);
    CHECKED.get(&key, || examine(candidate, render)).as_ref().clone()
}

fn examine(candidate: Candidate<'_>, render: &dyn Fn(&str) -> Option<String>) -> Checked {
    let Candidate { template, query, is_boolean, names } = candidate;
    let line = |at: usize| query.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let malformed = |at, why| Fault::Malformed { line: line(at), why };
    let tokens = lexer::tokens(query).map_err(|unreadable| malformed(unreadable.at, unreadable.why))?;
    let operators = lexer::operator_count(query, &tokens);
    if operators > MAX_OPERATORS {
        return Err(Fault::Large(operators));
    }
    let tree = match parser::parse(query, &tokens) {
        Ok(tree) => tree,
        Err(Failure::Wrong { at, why }) => return Err(malformed(at, why)),
        Err(Failure::Unknown { at }) => {
            return Ok(Some(Remark::NotChecked { line: line(at), near: near(query, at) }));
        }
    };
    if let Err(Failure::Wrong { at, why }) = types::check(&tree) {
        return Err(malformed(at, why));
    }
    match types::of(&tree) {
        Some(Type::Range) => return Err(Fault::Range),
        Some(Type::Text) if !is_boolean => return Err(Fault::Text),
        Some(Type::Text) => return Ok(None),
        Some(Type::Scalar | Type::Vector) | None => {}
    }
    if let Some(found) = correct::flaw(query, &tree, is_boolean) {
        let corrected = correct::corrected(template, is_boolean, render);
        return Err(Fault::Flawed { flaw: found.flaw, corrected });
    }
    let baseline = Baseline::of(query, &tree, names);
    match baseline.flaw(&tree).filter(|_| is_boolean) {
        Some(found) => Err(Fault::Flawed { flaw: found.flaw, corrected: None }),
        None => Ok(remark(candidate, &tree, &baseline, render)),
    }
}

fn remark(
    candidate: Candidate<'_>,
    tree: &Expr,
    baseline: &Baseline,
    render: &dyn Fn(&str) -> Option<String>,
) -> Option<Remark> {
    let Candidate { template, query, is_boolean, .. } = candidate;
    let drops = |filter| !is_boolean && !guard::is_idle_filter(query, filter);
    match () {
        () if !tree.reads() && types::of(tree).is_some() => Some(Remark::Constant),
        () if tree.filter().is_some_and(drops) => Some(Remark::Drops),
        () if baseline.is_beside(tree) => Some(Remark::Base),
        () if !is_boolean => None,
        () => {
            let (doubt, edits) = doubts::find(query, tree)?;
            let corrected = if edits.is_empty() { None } else { correct::corrected(template, true, render) };
            Some(Remark::Doubtful { doubt, corrected })
        }
    }
}

/// Some of the text.
fn near(query: &str, at: usize) -> String {
    text::shortened(query.get(at..).unwrap_or_default().lines().next().unwrap_or_default(), 40)
}

#[cfg(test)]
mod tests;
