//! The check of a query.

use super::*;

fn check(query: &str, is_boolean: bool) -> Result<(), Fault> {
    let render = |text: &str| Some(text.replace("{{namespace}}", "shop"));
    super::check(query, &render(query).expect("a query"), is_boolean, &render)
}

#[test]
fn what_is_true_or_false_passes() {
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
fn a_typing_error_is_reported_with_its_line() {
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
fn what_no_person_could_read_is_not_looked_at_for_long() {
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
fn where_too_much_would_be_tried_the_fix_is_said_all_the_same() {
    let many = check(&format!("{}a", "a<1 or ".repeat(20)), true).expect_err("refused");
    assert_eq!(many, Fault::Filters { corrected: None });
    assert!(many.to_string().ends_with("use `bool` after each one that makes the result"), "{many}");
    let long = check(&format!("a{})", "\n+ a".repeat(70)), true).expect_err("refused");
    assert!(matches!(&long, Fault::Malformed { line: None, .. }), "{long}");
    let large = check(&"1+".repeat(1000), true).expect_err("refused").to_string();
    assert!(large.starts_with("the query has 1000 operators and parentheses (limit 500)"), "{large}");
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
