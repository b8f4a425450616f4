//! Is the query PromQL, and does it return what the item needs? Checked before any query is sent.
//!
//! Not here: whether a server knows its functions and its regular expressions. Dialects have more of them, and new
//! versions too; the server reports it.
//!
//! Whoever may write a `KanaryDeployment` chooses the text, and one thread decides for all: whatever it is, checking it
//! takes some milliseconds, and a stack of some kilobytes.

use promql_parser::parser::{self, BinModifier, BinaryExpr, Expr, token, value::ValueType};

use super::{lexer, memo::Memo};

/// Operators and parentheses that a query may have. The parser takes the square of their number in time, and as many
/// frames of the stack: eight thousand took four seconds.
const MAX_OPERATORS: usize = 500;
/// With more comparisons than these the corrected query is not worked out: each takes a parse.
const MAX_COMPARISONS: usize = 8;
/// And in more lines than these the wrong one is not searched for.
const MAX_LINES: usize = 64;

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not PromQL.
    #[error("{}{why}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Malformed {
        /// Counted from 1, if it is known.
        line: Option<usize>,
        /// The parser's own text.
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
    /// It filters instead of returning true or false.
    #[error(
        "a comparison without `bool` filters samples instead of returning 0 or 1, so a healthy 0 would read as false and \
         a failing canary as \"no data\"; use{}",
        .corrected.as_ref().map_or_else(|| " `bool` after each one that makes the result".into(), |it| format!(": {it}"))
    )]
    Filters {
        /// The query with `bool`, if it could be worked out.
        corrected: Option<String>,
    },
}

static CHECKED: Memo<Result<(), Fault>> = Memo::new();

/// Checks a query: the template, and what it was rendered as. `is_boolean`: it must be true or false by itself.
/// `render` renders a template that is tried in its place.
///
/// # Errors
/// [`Fault`]; it says what to write instead.
pub fn check(
    template: &str,
    query: &str,
    is_boolean: bool,
    render: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Fault> {
    // The same text may be checked both ways.
    let key = format!("{is_boolean}\0{template}\0{query}");
    CHECKED.get(&key, || examine(template, query, is_boolean, render)).as_ref().clone()
}

fn examine(
    template: &str,
    query: &str,
    is_boolean: bool,
    render: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Fault> {
    let operators = lexer::operator_count(query);
    if operators > MAX_OPERATORS {
        return Err(Fault::Large(operators));
    }
    let tree = match parse(query) {
        Ok(tree) => tree,
        Err(why) if is_for_the_server(&why) => return Ok(()),
        Err(why) => return Err(Fault::Malformed { line: line_of(query, &why), why }),
    };
    match tree.value_type() {
        ValueType::Matrix => Err(Fault::Range),
        ValueType::String if !is_boolean => Err(Fault::Text),
        ValueType::Vector if is_boolean && filters(&tree) => {
            Err(Fault::Filters { corrected: corrected(template, tree, render) })
        }
        ValueType::Vector | ValueType::Scalar | ValueType::String => Ok(()),
    }
}

/// The parser compiles every regular expression that it finds: hundreds of them take minutes and gigabytes. It is shown
/// none.
fn parse(query: &str) -> Result<Expr, String> {
    parser::parse(&lexer::without_regexes(query))
}

/// Does the server decide? It does on an unknown function; and without the regular expressions it is unknown whether a
/// selector selects everything.
fn is_for_the_server(why: &str) -> bool {
    ["unknown function", "vector selector must contain at least one non-empty matcher"]
        .iter()
        .any(|begin| why.starts_with(begin))
}

/// The parser reports no line: it is the first whose text, cut off there, already fails in the same way.
fn line_of(query: &str, why: &str) -> Option<usize> {
    let lines = query.lines().count().max(1);
    if lines > MAX_LINES {
        return None;
    }
    let ends = query.char_indices().filter(|(_, c)| *c == '\n').map(|(at, _)| at);
    let same = |end: usize| parse(&query[..end]).is_err_and(|other| other == why);
    Some(ends.enumerate().find(|(_, end)| same(*end)).map_or(lines, |(index, _)| index + 1))
}

/// Is it, at a place whose value is the result, a comparison that filters?
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of promql-parser, and grows")]
fn filters(tree: &Expr) -> bool {
    match tree {
        Expr::Paren(inner) => filters(&inner.expr),
        Expr::Binary(binary) => compares(binary) || passes(binary).into_iter().any(filters),
        _ => false,
    }
}

fn compares(binary: &BinaryExpr) -> bool {
    binary.op.is_comparison_operator() && !binary.return_bool()
}

/// The sides of a set operation whose values it passes on.
fn passes(binary: &BinaryExpr) -> Vec<&Expr> {
    match binary.op.id() {
        token::T_LOR => vec![&binary.lhs, &binary.rhs],
        token::T_LAND | token::T_LUNLESS => vec![&binary.lhs],
        _ => Vec::new(),
    }
}

/// Adds `bool` wherever it is missing.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of promql-parser, and grows")]
fn add_bool(tree: &mut Expr) {
    match tree {
        Expr::Paren(inner) => add_bool(&mut inner.expr),
        Expr::Binary(binary) => {
            if compares(binary) {
                binary.modifier.get_or_insert_with(BinModifier::default).return_bool = true;
            }
            match binary.op.id() {
                token::T_LOR => {
                    add_bool(&mut binary.lhs);
                    add_bool(&mut binary.rhs);
                }
                token::T_LAND | token::T_LUNLESS => add_bool(&mut binary.lhs),
                _ => {}
            }
        }
        _ => {}
    }
}

fn with_bool_added(mut tree: Expr) -> Expr {
    add_bool(&mut tree);
    tree
}

/// The user's text with `bool` in the places that make it the corrected query. From the last place on, because then those
/// before it stay where they are.
fn corrected(template: &str, mut tree: Expr, render: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let places = lexer::comparisons(template);
    if places.len() > MAX_COMPARISONS {
        return None;
    }
    let goal = with_bool_added(tree.clone());
    let mut text = template.to_owned();
    for place in places.into_iter().rev() {
        let candidate = with_bool(&text, place);
        let parsed = render(&candidate).and_then(|query| parse(&query).ok());
        // It is another query, and lacks nothing but further ones.
        if let Some(nearer) = parsed.filter(|parsed| *parsed != tree && with_bool_added(parsed.clone()) == goal) {
            (text, tree) = (candidate, nearer);
        }
    }
    (tree == goal).then_some(text)
}

fn with_bool(template: &str, end: usize) -> String {
    let (before, after) = template.split_at(end);
    let gap = if after.starts_with(char::is_whitespace) { "" } else { " " };
    format!("{before} bool{gap}{after}")
}

#[cfg(test)]
mod tests;
