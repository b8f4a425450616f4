//! What is read, what is not known, and for how long it is looked at.

use proptest::prelude::*;

use super::{super::Flaw::And, *};

#[test]
fn an_analyser_may_filter_but_needs_numbers() {
    assert_eq!(check("a / b < 0.01", false), Ok(Some(Remark::Drops)));
    assert_eq!(check("a / b > 0", false), Ok(None));
    assert_eq!(check("a / b", false), Ok(None));
    assert_eq!(check("\"true\"", false), Err(Fault::Text));
    for is_boolean in [true, false] {
        assert_eq!(check("a[5m]", is_boolean), Err(Fault::Range));
    }
}

#[test]
fn a_typing_error_is_reported_with_its_line() {
    let cases = [
        ("sum(a", 1),
        ("sum(a)\n/ sum(b))\n< bool 1", 2),
        ("sum(a[5m)", 1),
        ("a\n+\n", 2),
        ("", 1),
        ("rate(a)", 1),
        ("sum(a[5m])", 1),
        ("a\n{b=~\"\\d\"}", 2),
        ("a == \"x", 1),
        ("a + bool b", 1),
        ("1 and a", 1),
    ];
    for (query, expected) in cases {
        let fault = check(query, true).expect_err(query);
        assert!(matches!(fault, Fault::Malformed { line, .. } if line == expected), "{query:?}: {fault}");
    }
}

/// It is pasted from a dashboard: no server knows it, and within a range nobody read it.
#[test]
fn a_variable_of_grafana_is_refused_with_what_to_write() {
    let cases = [
        ("sum(rate(x[$__rate_interval])) > bool 0", "$__rate_interval", "[1m]"),
        ("sum(rate(x[$__interval])) > bool 0", "$__interval", "[1m]"),
        ("sum(rate(x[5m:$step])) > bool 0", "$step", "[1m]"),
        ("increase(x[${__range}]) > bool 0", "${__range}", "[1m]"),
        ("x offset $shift > bool 0", "$shift", "[1m]"),
        ("sum by ($label) (x) > bool 0", "$label", "{{namespace}}"),
        ("x > bool $threshold", "$threshold", "{{namespace}}"),
        ("$metric > bool 0", "$metric", "{{namespace}}"),
        ("x{namespace=\"$namespace\"} > bool 0", "$namespace", "{{namespace}}"),
        ("x{pod=~\"${pod:regex}-.*\"} > bool 0", "${pod:regex}", "{{namespace}}"),
        ("x{pod=~`web-${pod}`} > bool 0", "${pod}", "{{namespace}}"),
    ];
    for (query, name, instead) in cases {
        for is_boolean in [true, false] {
            let fault = check(query, is_boolean).expect_err(query);
            let message = fault.to_string();
            assert!(matches!(fault, Fault::Malformed { .. }) && message.contains(instead), "{query}: {message}");
            assert!(message.contains(&format!(": {name} is a variable of Grafana")), "{query}: {message}");
        }
    }
    let good = [
        "x{pod=~\"web-.*$\"} > bool 0",
        "x{path=\"/odata/$metadata\",price=\"5$\"} > bool 0",
        "label_replace(x, \"a\", \"$1-${2}-$name\", \"b\", \"(.*)\") > bool 0",
    ];
    good.into_iter().for_each(passes);
}

/// A server may know it, so it is not refused here.
#[test]
fn what_is_not_known_is_the_servers_to_refuse() {
    let unknown = [
        ("sum(x) by (y) limit 5", "limit 5"),
        ("a default 0 < bool 1", "default 0 < bool 1"),
        ("rate(x[5i]) < bool 1", "5i]) < bool 1"),
        ("x\n< bol 1", "1"),
        ("a ?? b", "?? b"),
        ("a{b}", "}"),
        ("rate(x[foo]) < bool 1", "foo]) < bool 1"),
        ("rate(x[1m \"2m\"]) < bool 1", "\"2m\"]) < bool 1"),
        ("rate(x[1m:up]) < bool 1", "up]) < bool 1"),
        ("sum by (1) (x) < bool 1", "1) (x) < bool 1"),
    ];
    for (query, near) in unknown {
        for is_boolean in [true, false] {
            let remark = check(query, is_boolean);
            let Ok(Some(Remark::NotChecked { near: found, .. })) = &remark else { panic!("{query}: {remark:?}") };
            assert_eq!(found, near);
        }
    }
    let remark = check("x\n< bol 1", true).expect("accepted").expect("a remark").to_string();
    assert_eq!(remark, "the query was not checked: line 2: not known here: 1; the server decides whether it is valid");
}

#[test]
fn what_reads_no_metric_is_doubted() {
    for query in ["vector(1)", "1 < bool 2", "time() > bool 5"] {
        assert_eq!(check(query, true), Ok(Some(Remark::Constant)), "{query}");
    }
}

#[test]
fn what_prometheus_has_is_known() {
    let known = [
        "rate(x{a=~`web-\\d+`}[1m]) < bool 1_000",
        "increase(x[5m + 2 * 30s] offset -(1m)) < bool 0x1F",
        "rate(x[5m] smoothed) < bool 1",
        "rate(x[5m] anchored) </ 5 < bool 1h30m",
        "max_over_time(x @ start()[5m:step()]) < bool +Inf",
        "rate(x[max(1m, 2 * step()) + 300]) < bool 1",
        "max_over_time(x[5m:])  < bool 1",
        "{\"my.metric\", a=\"b\"} @ end() >= bool on(\"a.b\") group_left(c) fill(0) y",
        "sum by (and, bool) (by) < bool 1 ^ 2",
        "a < bool -1 # the end",
    ];
    known.into_iter().for_each(passes);
}

/// What Prometheus' own parser accepts is refused for what it returns alone, and what that is, is known.
#[test]
fn prometheus_own_expressions_are_read() {
    let lines = include_str!("../expressions.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for (kind, text) in lines.map(|line| line.split_once('\t').expect("two columns")) {
        let query: String = serde_json::from_str(text).expect(text);
        let same = |text: &str| Some(text.to_owned());
        let [truth, numbers] =
            [true, false].map(|is_boolean| super::super::check(candidate(&query, &query, is_boolean), &same));
        match kind {
            "invalid" => continue,
            "matrix" => assert_eq!(numbers, Err(Fault::Range), "{query}"),
            "string" => assert_eq!(numbers, Err(Fault::Text), "{query}"),
            _ => assert!(matches!(numbers, Ok(None | Some(Remark::Constant | Remark::Drops))), "{query}: {numbers:?}"),
        }
        assert!(!matches!(truth, Err(Fault::Malformed { .. } | Fault::Large(_))), "{query}: {truth:?}");
        count += 1;
    }
    assert!(count > 200, "{count}");
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

/// Each took seconds or minutes, or more of the stack than there is.
#[test]
fn what_no_person_could_read_is_not_looked_at_for_long() {
    let large = [
        filled("", "a<1 or ", "a"),
        filled("", "1+", "1"),
        filled("", "1^", "1"),
        filled("", "-", "a"),
        filled("a", " AND a", ""),
        filled("a", "[1m:]", ""),
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
        (filled("x == bool on(", "a,", ") y"), true),
        (filled("min(x,", "a,", "y)"), true),
        (filled("a", "\n", ")"), false),
        (format!("{}a", "a < bool 1 and\n".repeat(160)), false),
        (format!("{}a", "a < 1 or\n".repeat(160)), false),
        (format!("{}a{}", "min(".repeat(100), ")".repeat(100)), true),
        (format!("{}a{}", "(a*".repeat(50), ")".repeat(50)), true),
        (format!("{}a{}", "(a or ".repeat(50), ")".repeat(50)), true),
        (format!("{}a{}", "min(".repeat(490), ")".repeat(490)), false),
        (format!("{}1", "1 +\n".repeat(490)), false),
    ];
    for (query, is_good) in small {
        assert_eq!(check(&query, true).is_ok(), is_good, "{}", &query[..20]);
    }
}

#[test]
fn where_too_much_would_be_tried_the_fix_is_said_all_the_same() {
    let many = check(&format!("{}a", "a < bool 1 and b < bool 2 or ".repeat(9)), true).expect_err("refused");
    assert_eq!(many, Fault::Flawed { flaw: And, corrected: None });
    assert!(many.to_string().ends_with("(A > bool 1) * (B < bool 2)"), "{many}");
    let large = check(&"1+".repeat(1000), true).expect_err("refused").to_string();
    assert!(large.starts_with("the query has 1000 operators and parentheses (limit 500)"), "{large}");
}

/// What is written in queries, in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("a"),
        Just("b"),
        Just("("),
        Just(")"),
        Just("< bool 1"),
        Just("> 5"),
        Just("== bool"),
        Just("and"),
        Just("or"),
        Just("unless"),
        Just("*"),
        Just("+"),
        Just("-"),
        Just("/"),
        Just("1"),
        Just("0"),
        Just("sum("),
        Just("count("),
        Just("absent("),
        Just("{x=\"ä(\"}"),
        Just("[5m]"),
        Just("[5m:]"),
        Just("max_over_time("),
        Just("on(x)"),
        Just("vector(0)"),
        Just("{{kanary.name}}"),
        Just("{{"),
        Just("`"),
        Just("#\n"),
        Just("ä"),
    ];
    prop::collection::vec(words, 0..14).prop_map(|words| words.join(" "))
}

proptest! {
    /// Whatever it is, it is read without a panic; and what is proposed passes.
    #[test]
    fn what_is_proposed_passes(query in soup(), is_boolean: bool) {
        if let Err(Fault::Flawed { corrected: Some(proposed), .. }) = check(&query, is_boolean) {
            prop_assert!(check(&proposed, is_boolean).is_ok(), "{query} → {proposed}");
        }
    }
}
