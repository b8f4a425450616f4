//! Is the query PromQL, and does it answer what it is taken to answer? Object before anything is asked.
//!
//! Not here: whether a server knows its functions and its regular expressions. Dialects have more of them, and new
//! versions too; the server says so.
//!
//! Whoever may write a `KanaryDeployment` chooses the text, and one thread decides for all: whatever it is, looking at it
//! takes some milliseconds, and a stack of some kilobytes.

use promql_parser::parser::{self, BinModifier, BinaryExpr, Expr, token, value::ValueType};

use super::{lexer, memo::Memo};

/// Operators and parentheses that a query may have. The parser takes the square of their number, and as many frames of
/// the stack: eight thousand took four seconds.
const MAX_OPERATORS: usize = 500;
/// With more comparisons than these it is not worked out what to write instead: each takes a parse.
const MAX_COMPARISONS: usize = 8;
/// And in more lines than these the wrong one is not looked for.
const MAX_LINES: usize = 64;

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not PromQL.
    #[error("{}{why}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Malformed {
        /// Counted from 1, if it is known.
        line: Option<usize>,
        /// In the parser's words.
        why: String,
    },
    /// Too many operators and parentheses.
    #[error(
        "it has {0} operators and parentheses, and more than {MAX_OPERATORS} are not looked at; let recording rules compute \
         parts of it"
    )]
    Large(usize),
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
         no answer; write{}",
        .corrected.as_ref().map_or_else(|| " `bool` after each one that makes the answer".into(), |it| format!(": {it}"))
    )]
    Filters {
        /// The query with `bool`, if it could be worked out.
        corrected: Option<String>,
    },
}

static CHECKED: Memo<Result<(), Fault>> = Memo::new();

/// Checks a query: the template, and what it was rendered as. `is_boolean`: it must answer true or false by itself.
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
    CHECKED.get(&key, || find(template, query, is_boolean, render)).as_ref().clone()
}

fn find(template: &str, query: &str, is_boolean: bool, render: &dyn Fn(&str) -> Option<String>) -> Result<(), Fault> {
    let operators = lexer::operator_count(query);
    if operators > MAX_OPERATORS {
        return Err(Fault::Large(operators));
    }
    let tree = match parse(query) {
        Ok(tree) => tree,
        Err(why) if is_servers(&why) => return Ok(()),
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

/// Is it the server's to refuse? An unknown function is; and without the regular expressions nobody can tell whether a
/// selector selects everything.
fn is_servers(why: &str) -> bool {
    ["unknown function", "vector selector must contain at least one non-empty matcher"]
        .iter()
        .any(|begin| why.starts_with(begin))
}

/// The parser tells no line: it is the first whose text, cut off there, already fails in the same way.
fn line_of(query: &str, why: &str) -> Option<usize> {
    let lines = query.lines().count().max(1);
    if lines > MAX_LINES {
        return None;
    }
    let ends = query.char_indices().filter(|(_, c)| *c == '\n').map(|(at, _)| at);
    let same = |end: usize| parse(&query[..end]).is_err_and(|other| other == why);
    Some(ends.enumerate().find(|(_, end)| same(*end)).map_or(lines, |(index, _)| index + 1))
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

/// Adds `bool` wherever it is missing.
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

/// The text of the user with `bool` in the places that make it the mended query. From the last place on, for then those
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
mod tests {
    use super::*;

    fn check(query: &str, is_boolean: bool) -> Result<(), Fault> {
        let render = |text: &str| Some(text.replace("{{namespace}}", "shop"));
        super::check(query, &render(query).expect("a query"), is_boolean, &render)
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
            assert_eq!(check(query, true), Err(Fault::Filters { corrected: Some(wanted.into()) }));
            assert_eq!(check(wanted, true), Ok(()));
        }
    }

    #[test]
    fn two_comparisons_are_corrected_as_well() {
        let wanted = "(a < bool 1) or (b / (c > 0)\n  < bool 2)";
        let fault = Fault::Filters { corrected: Some(wanted.into()) };
        assert_eq!(check(&wanted.replace(" bool", ""), true), Err(fault));
        assert_eq!(check(wanted, true), Ok(()));
    }

    #[test]
    fn an_analyser_may_filter_but_needs_numbers() {
        assert_eq!(check("a / b < 0.01", false), Ok(()));
        assert_eq!(check("\"true\"", false), Err(Fault::Text));
        for is_boolean in [true, false] {
            assert_eq!(check("a[5m]", is_boolean), Err(Fault::Range));
        }
    }

    #[test]
    fn a_typing_error_is_told_with_its_line() {
        let cases = [("sum(a", 1), ("sum(a)\n/ sum(b))\n< bool 1", 2), ("a\n+\n", 2), ("", 1), ("rate(a)", 1)];
        for (query, expected) in cases {
            let fault = check(query, true).expect_err(query);
            assert!(matches!(fault, Fault::Malformed { line, .. } if line == Some(expected)), "{query:?}: {fault}");
        }
    }

    /// As long as a query may be.
    fn filled(begin: &str, unit: &str, end: &str) -> String {
        let count = (16_384 - begin.len() - end.len()) / unit.len();
        format!("{begin}{}{end}", unit.repeat(count))
    }

    fn nested(open: &str, inner: &str, close: &str) -> String {
        let count = (16_384 - inner.len()) / (open.len() + close.len());
        format!("{}{inner}{}", open.repeat(count), close.repeat(count))
    }

    /// Each took seconds or minutes.
    #[test]
    fn what_nobody_could_read_is_not_looked_at_for_long() {
        let large = [
            filled("", "a<1 or ", "a"),
            filled("", "1+", "1"),
            filled("", "1^", "1"),
            filled("", "-", "a"),
            filled("a", " AND a", ""),
            filled("", "a\n+", ")"),
            nested("(", "a", ")"),
            nested("sum(", "a", ")"),
        ];
        for query in large {
            assert!(matches!(check(&query, true), Err(Fault::Large(_))), "{}", &query[..20]);
        }
        let small = [
            (filled("x{", "a=~\"\\\\w{120}\",", "}"), true),
            (filled("x{", "a=\"b\",", "}"), true),
            (filled("x{a=~\"", "\\\\w", "\"}"), true),
            (filled("x + on(", "a,", ") y"), true),
            (filled("a", "\n", ")"), false),
            (format!("{}a", "a < 1 or\n".repeat(60)), false),
            (format!("{})", "a +\n".repeat(60)), false),
            (format!("{}1", "1 +\n".repeat(490)), true),
        ];
        for (query, is_good) in small {
            assert_eq!(check(&query, true).is_ok(), is_good, "{}", &query[..20]);
        }
    }

    #[test]
    fn where_too_much_would_be_tried_the_cure_is_told_all_the_same() {
        let many = check(&format!("{}a", "a<1 or ".repeat(20)), true).expect_err("refused");
        assert_eq!(many, Fault::Filters { corrected: None });
        assert!(many.to_string().ends_with("write `bool` after each one that makes the answer"), "{many}");
        let long = check(&format!("a{})", "\n+ a".repeat(70)), true).expect_err("refused");
        assert!(matches!(&long, Fault::Malformed { line: None, .. }), "{long}");
        let large = check(&"1+".repeat(1000), true).expect_err("refused").to_string();
        assert!(large.starts_with("it has 1000 operators and parentheses, and more than 500"), "{large}");
    }

    #[test]
    fn a_regular_expression_is_the_servers_to_read() {
        for query in ["a{b=~\"(\"} < bool 1", "{b=~\"\\\\C\",c!~'x'} < bool 1", "{b!~\".*\"}"] {
            assert_eq!(check(query, true), Ok(()), "{query}");
        }
        let wanted = "a{b=~\"4..\",c!~\"x\"} < bool 1";
        let fault = Fault::Filters { corrected: Some(wanted.into()) };
        assert_eq!(check(&wanted.replace(" bool", ""), true), Err(fault));
    }
}
