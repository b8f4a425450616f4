//! Is the query PromQL, and does it answer what it is taken to answer? Seen before anything is asked.
//!
//! Not here: whether a server knows its functions. Dialects have more of them, and new versions too; the server says so.

use promql_parser::parser::{self, BinModifier, BinaryExpr, Expr, token, value::ValueType};

use super::memo::Memo;

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not PromQL.
    #[error("line {line}: {why}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// In the parser's words.
        why: String,
    },
    /// A range vector.
    #[error(
        "it gives a range vector; an instant vector or a number is needed: wrap it in rate(), increase() or the like"
    )]
    Range,
    /// A string where a number is needed.
    #[error("it gives a string; an instant vector or a number is needed")]
    Text,
    /// It keeps the left value instead of saying true or false.
    #[error(
        "without `bool` a comparison keeps the left value or nothing, so the best canary (0) would be false and a bad one \
         no answer; write: {corrected}"
    )]
    Filters {
        /// The query with `bool`.
        corrected: String,
    },
}

static CHECKED: Memo<Result<(), Fault>> = Memo::new();

/// Checks a query that is written as a template, and what it is rendered as. `is_truth`: it must answer true or false by
/// itself.
///
/// # Errors
/// [`Fault`]; it says what to write instead.
pub fn check(template: &str, is_truth: bool, render: &dyn Fn(&str) -> Option<String>) -> Result<(), Fault> {
    let Some(query) = render(template) else { return Ok(()) };
    // The same text may be checked both ways.
    let key = format!("{is_truth}\0{template}\0{query}");
    CHECKED.get(&key, || find(template, &query, is_truth, render)).as_ref().clone()
}

fn find(template: &str, query: &str, is_truth: bool, render: &dyn Fn(&str) -> Option<String>) -> Result<(), Fault> {
    let tree = match parser::parse(query) {
        Ok(tree) => tree,
        // An unknown function is the server's to refuse.
        Err(why) if why.starts_with("unknown function") => return Ok(()),
        Err(why) => return Err(Fault::Malformed { line: line_of(query, &why), why }),
    };
    match tree.value_type() {
        ValueType::Matrix => Err(Fault::Range),
        ValueType::String if !is_truth => Err(Fault::Text),
        ValueType::Vector if is_truth && filters(&tree) => {
            Err(Fault::Filters { corrected: corrected(template, tree, render) })
        }
        ValueType::Vector | ValueType::Scalar | ValueType::String => Ok(()),
    }
}

/// The parser tells no line: it is the first whose text, cut off there, already fails in the same way.
fn line_of(query: &str, why: &str) -> usize {
    let ends = query.char_indices().filter(|(_, c)| *c == '\n').map(|(at, _)| at);
    let same = |end: usize| parser::parse(&query[..end]).is_err_and(|other| other == why);
    let lines = query.lines().count().max(1);
    ends.enumerate().find(|(_, end)| same(*end)).map_or(lines, |(index, _)| index + 1)
}

/// Is it, at a place whose value is the answer, a comparison that filters?
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

fn corrected(template: &str, mut tree: Expr, render: &dyn Fn(&str) -> Option<String>) -> String {
    mend(&mut tree);
    as_written(template, &tree, render).unwrap_or_else(|| tree.to_string())
}

/// Adds `bool` wherever it is missing.
fn mend(tree: &mut Expr) {
    match tree {
        Expr::Paren(inner) => mend(&mut inner.expr),
        Expr::Binary(binary) => {
            if compares(binary) {
                binary.modifier.get_or_insert_with(BinModifier::default).return_bool = true;
            }
            match binary.op.id() {
                token::T_LOR => {
                    mend(&mut binary.lhs);
                    mend(&mut binary.rhs);
                }
                token::T_LAND | token::T_LUNLESS => mend(&mut binary.lhs),
                _ => {}
            }
        }
        _ => {}
    }
}

/// The text of the user with `bool` in the one place that makes it the mended query; where there are several such
/// places, there is none.
fn as_written(template: &str, mended: &Expr, render: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    const OPERATORS: [&str; 6] = ["==", "!=", ">=", "<=", ">", "<"];
    let ends = |operator: &'static str| template.match_indices(operator).map(move |(at, _)| at + operator.len());
    let with_bool = |end: usize| {
        let (before, after) = template.split_at(end);
        let gap = if after.starts_with(char::is_whitespace) { "" } else { " " };
        format!("{before} bool{gap}{after}")
    };
    let means_it = |candidate: &String| {
        render(candidate).and_then(|query| parser::parse(&query).ok()).is_some_and(|tree| tree == *mended)
    };
    OPERATORS.into_iter().flat_map(ends).map(with_bool).find(means_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, is_truth: bool) -> Result<(), Fault> {
        super::check(query, is_truth, &|text| Some(text.replace("{{namespace}}", "shop")))
    }

    #[test]
    fn what_answers_true_or_false_passes() {
        let good = [
            "a / b < bool 0.01",
            "(sum(rate(x[1m])) or vector(0)) / (sum(rate(y[1m])) > 0) < bool 0.01",
            "(a < bool 1) * (b < bool 2)",
            "up == bool 1 or vector(0)",
            "1 < bool 2",
            "vector(1)",
            "\"true\"",
            "min(up)",
            "rollup_rate(x[5m]) < bool 1",
        ];
        for query in good {
            assert_eq!(check(query, true), Ok(()), "{query}");
        }
    }

    #[test]
    fn a_comparison_without_bool_is_refused_with_the_query_to_write() {
        let cases = [
            ("a / b < 0.01", "a / b < bool 0.01"),
            ("(a/b<0.01)", "(a/b< bool 0.01)"),
            ("a{x=\">\"}\n  >= 0.5", "a{x=\">\"}\n  >= bool 0.5"),
            ("a / (b > 0) < 0.01", "a / (b > 0) < bool 0.01"),
            ("a == 1 or vector(0)", "a == bool 1 or vector(0)"),
            ("a < 1 unless b", "a < bool 1 unless b"),
            ("a > on(pod) b", "a > bool on(pod) b"),
            (
                "# {{namespace}}\nsum(a{n=\"{{namespace}}\"})\n  < 0.01",
                "# {{namespace}}\nsum(a{n=\"{{namespace}}\"})\n  < bool 0.01",
            ),
        ];
        for (query, wanted) in cases {
            assert_eq!(check(query, true), Err(Fault::Filters { corrected: wanted.into() }));
            assert_eq!(check(wanted, true), Ok(()));
        }
    }

    #[test]
    fn two_comparisons_are_corrected_as_well() {
        let Err(Fault::Filters { corrected }) = check("(a < 1) or (b < 2)", true) else { panic!("accepted") };
        assert_eq!(check(&corrected, true), Ok(()), "{corrected}");
    }

    #[test]
    fn an_analyser_may_filter_but_needs_numbers() {
        assert_eq!(check("a / b < 0.01", false), Ok(()));
        assert_eq!(check("\"true\"", false), Err(Fault::Text));
        for is_truth in [true, false] {
            assert_eq!(check("a[5m]", is_truth), Err(Fault::Range));
        }
    }

    #[test]
    fn a_typing_error_is_told_with_its_line() {
        let cases = [("sum(a", 1), ("sum(a)\n/ sum(b))\n< bool 1", 2), ("a\n+\n", 2), ("", 1), ("rate(a)", 1)];
        for (query, expected) in cases {
            let fault = check(query, true).expect_err(query);
            assert!(matches!(fault, Fault::Malformed { line, .. } if line == expected), "{query:?}: {fault}");
        }
    }
}
