//! What a query must not say, and what to write instead.

use super::{super::Flaw::*, *};

#[test]
fn what_is_true_or_false_passes() {
    let good = [
        "a / b < bool 0.01",
        "(sum(rate(x[1m])) or vector(0)) / (sum(rate(y[1m])) > 0) < bool 0.01",
        "(a < bool 1) * (b < bool 2)",
        "up == bool 1 or vector(0)",
        "\"true\"",
        "min(up)",
        "1 - up",
        "errors",
        "job:ok:bool",
        "rollup_rate(x[5m]) < bool 1",
        "min_over_time((x < bool 5)[5m:])",
        "sgn(x)",
    ];
    good.into_iter().for_each(passes);
}

/// Filters that decide which samples count, not which are good.
#[test]
fn a_guard_may_filter() {
    let good = [
        "(a < bool 1) and on() (b > 100)",
        "(a < bool 1) and on() b",
        "(a < bool 1) unless on() (b > 5)",
        "(a < bool 1) and ((b < bool 2) == 1)",
        "((a < bool 1) and on() (hour() < 8)) or ((a < bool 2) and on() (hour() >= 8))",
        "absent(x) or (x < bool 5)",
        "(x < bool 5) or absent(x)",
        "sum(rate(x[1m])) / count(up == 1) < bool 5",
        "(count(x > 5) or vector(0)) < bool 3",
        "sum(x > bool 5) / count(x > bool 5) < bool 0.1",
        "avg(x > 0) < bool 0.5",
        "(x > 0) < bool 0.5",
        "max(x == x) < bool 0.5",
        "a < bool (b > 5)",
    ];
    good.into_iter().for_each(passes);
}

#[test]
fn a_comparison_without_bool_is_refused_with_the_query_to_write() {
    refused(&[
        (Filters, "a / b < 0.01", "a / b < bool 0.01"),
        (Filters, "(a/b<0.01)", "(a/b< bool 0.01)"),
        (Filters, "a{x=\">\"}\n  >= 0.5", "a{x=\">\"}\n  >= bool 0.5"),
        (Filters, "a / (b > 0) < 0.01", "a / (b > 0) < bool 0.01"),
        (Filters, "a == 1 or vector(0)", "a == bool 1 or vector(0)"),
        (Filters, "a < 1 unless b", "a < bool 1 unless b"),
        (Filters, "a > on(pod) b", "a > bool on(pod) b"),
        (Filters, "min(a < 1)", "min(a < bool 1)"),
        (Filters, "(a > 1) * (b < 2)", "(a > bool 1) * (b < bool 2)"),
        (Filters, "a{b=~\"4..\",c!~`x\\d`} < 1", "a{b=~\"4..\",c!~`x\\d`} < bool 1"),
        (
            Filters,
            "# {{namespace}}\nsum(a{n=\"{{namespace}}\"})\n  < 0.01",
            "# {{namespace}}\nsum(a{n=\"{{namespace}}\"})\n  < bool 0.01",
        ),
        (Filters, "a_{{kanary.name}} < 1", "a_{{kanary.name}} < bool 1"),
    ]);
}

/// Where the right side has a sample whatever it says, it is not evaluated.
#[test]
fn the_right_side_of_a_set_operation_is_no_condition() {
    refused(&[
        (And, "A > bool 0.99\n  and\nB < bool 0.5", "(A > bool 0.99)\n  *\n(B < bool 0.5)"),
        (And, "(A > bool 1) and on(pod) (B < bool 2)", "(A > bool 1) * on(pod) group_left() (B < bool 2)"),
        (And, "a < bool 1 and b < bool 2 and c < bool 3", "((a < bool 1) * (b < bool 2)) * (c < bool 3)"),
        (And, "A and (vector(9) < bool 0.5)", "A * (vector(9) < bool 0.5)"),
        (And, "min(a < bool 1 and b < bool 2)", "min((a < bool 1) * (b < bool 2))"),
        (And, "A and -(B < bool 2) * -1 == bool 1", "A * (-(B < bool 2) * -1 == bool 1)"),
        (And, "A and ((b < bool 2) and c > 5)", "A * ((b < bool 2) and c > 5)"),
        (Unless, "(A > bool 1) unless B > bool 2", "(A > bool 1) * ((B > bool 2) == bool 0)"),
        (Unless, "(A > bool 1) unless (B > bool 2)", "(A > bool 1) * ((B > bool 2) == bool 0)"),
        (Or, "a<bool 1 or b<bool 2", "(a<bool 1) + (b<bool 2) > bool 0"),
        (Or, "(a<bool 1) or on() (b<bool 2)", "(a<bool 1) + on() group_left() (b<bool 2) > bool 0"),
    ]);
    without_proposal(And, &["A and b / (c < bool 2)"]);
    // An analyser does not see it either.
    assert!(matches!(check("latency and errors < bool 1", false), Err(Fault::Flawed { flaw: And, .. })));
}

/// With one `bool` alone a slow canary would be no data, and never fail.
#[test]
fn two_comparisons_without_bool_are_both_conditions() {
    refused(&[
        (Filters, "A > 0.99 and B < 0.5", "(A > bool 0.99) * (B < bool 0.5)"),
        (Filters, "a < 1 or b < 2", "(a < bool 1) + (b < bool 2) > bool 0"),
        (Filters, "a < 1 unless b > 2", "(a < bool 1) * ((b > bool 2) == bool 0)"),
        (Filters, "A < 0.01 and on() B > 0", "A < bool 0.01 and on() B > 0"),
        (
            Filters,
            "increase(e[{{validation.elapsed}}]) < 5 and e{n=\"{{namespace}}\"} < 2",
            "(increase(e[{{validation.elapsed}}]) < bool 5) * (e{n=\"{{namespace}}\"} < bool 2)",
        ),
    ]);
}

#[test]
fn a_number_is_no_truth() {
    let numbers = [
        "sum(rate(e[1m])) / sum(rate(r[1m]))",
        "histogram_quantile(0.9, x)",
        "rate(x[1m])",
        "sum(up)",
        "count(x > 5)",
        "1 - a / b",
        "-up",
        "a + b",
        "errors_total",
        "job:errors:ratio_rate5m",
        "scalar(a / b)",
        "sort(a / b)",
        "max(a / b) or vector(0)",
        "avg_over_time((x < bool 5)[5m:])",
        "0.5",
        "time()",
    ];
    without_proposal(Number, &numbers);
    let message = check("a / b", true).expect_err("refused").to_string();
    assert!(message.contains("`< bool 0.01`") && message.contains("valueInRange"), "{message}");
}

#[test]
fn truths_of_several_samples_are_one_truth() {
    refused(&[
        (Share, "avg(x < bool 5)", "min(x < bool 5)"),
        (Share, "sum by (pod) (up == bool 1)", "min by (pod) (up == bool 1)"),
        (Share, "count(x < bool 5)", "min(x < bool 5)"),
        (Share, "group(x < 5)", "min(x < bool 5)"),
        (Sum, "(a > bool 1) + (b > bool 2)", "(a > bool 1) + (b > bool 2) > bool 0"),
        (Absent, "absent(x{n=\"{{namespace}}\"})", "(count(x{n=\"{{namespace}}\"}) or vector(0)) == bool 0"),
        (
            Alerts,
            "ALERTS{n=\"{{namespace}}\"} unless on() b",
            "((count(ALERTS{n=\"{{namespace}}\"}) or vector(0)) == bool 0) unless on() b",
        ),
        (Absent, "absent(x) == bool 1", "((count(x) or vector(0)) == bool 0) == bool 1"),
        (Absent, "absent_over_time(x[5m])", "(count(count_over_time(x[5m])) or vector(0)) == bool 0"),
    ]);
}

#[test]
fn what_is_compared_drops_no_sample() {
    refused(&[
        (CountsPassed, "count(x > 5) > bool 0", "sum(x > bool 5) > bool 0"),
        (CountsPassed, "count by (pod) (x > 0) / 5 < bool 1", "sum by (pod) (x > bool 0) / 5 < bool 1"),
        (CountsPassed, "count_over_time((x > 5)[5m:]) < bool 3", "sum_over_time((x > bool 5)[5m:]) < bool 3"),
        (CountsAll, "count(x > bool 5) < bool 3", "sum(x > bool 5) < bool 3"),
        (Drops, "sum(a > b) < bool 3", "sum(a > bool b) < bool 3"),
        (Drops, "max(x < 1) < bool 0.5", "max(x) < bool 0.5"),
        (Drops, "max(1 > x) < bool 0.5", "max(x) < bool 0.5"),
        (Drops, "(x < 5) * 1000 < bool 300", "(x) * 1000 < bool 300"),
        (Drops, "(a > 1) + (b > 2) > bool 0", "(a > bool 1) + (b > bool 2) > bool 0"),
        (Passed, "(x > 5) == bool 1", "(x > bool 5) == bool 1"),
        (Passed, "a > 1 == bool 1", "a > bool 1 == bool 1"),
        (Passed, "(x > 5) > bool 0", "(x > bool 5) > bool 0"),
        (Chain, "0.9 < bool r < bool 1", "(0.9 < bool r) * (r < bool 1)"),
        (Chain, "x > 1 < bool 5", "(x > bool 1) * (x < bool 5)"),
        (Filters, "1 < x < 5", "(1 < bool x) * (x < bool 5)"),
    ]);
    without_proposal(CountsPassed, &["count(e > 5 and f > 3) < bool 1"]);
    without_proposal(
        Always,
        &["sum(rate(e[1m])) >= bool 0", "0 <= bool errors_total", "errors_total > bool -1", "(a < bool 1) >= bool 0"],
    );
}

#[test]
fn what_repeats_a_part_repeats_its_variables() {
    refused(&[(
        Chain,
        "1 < bool increase(e[{{validation.elapsed}}]) < bool 5",
        "(1 < bool increase(e[{{validation.elapsed}}])) * (increase(e[{{validation.elapsed}}]) < bool 5)",
    )]);
}

/// Whatever the canary does, the base does as well.
#[test]
fn a_base_that_contains_the_canary_is_no_base() {
    let both = [
        r#"sum(rate(e{pod=~"{{canary.pods}}"}[1m])) <= bool sum(rate(e{pod=~"{{deployment.name}}-.*"}[1m]))"#,
        r#"sum(rate(e{pod=~"{{deployment.name}}-.+"}[1m])) * 1.1 > bool sum(rate(e{pod=~"{{canary.name}}-.*"}[1m]))"#,
        r#"(up == bool 1) * (l{pod=~"{{canary.pods}}"} < bool 1.2 * scalar(avg(l{n="shop",pod=~"web.*"})))"#,
        r#"e{destination_workload="{{canary.name}}"} < bool on() e{destination_workload=~"web.*"}"#,
        r#"e{pod=~`{{canary.pods}}`} < bool on() e{pod=~`{{deployment.name}}-\w+-[\w-]+`}"#,
    ];
    without_proposal(Base, &both);
    let message = check(both[0], true).expect_err("refused").to_string();
    assert!(message.contains(r#"use pod=~"{{deployment.name}}-[a-z0-9]+-[a-z0-9]+""#), "{message}");
    let beside = [
        r#"e{pod=~"{{canary.pods}}"} / on() e{pod=~"{{deployment.name}}-.*"} < bool 1.1"#,
        r#"sum(r{pod=~"{{canary.pods}}"}) / sum(r{pod=~"web-.*"}) > bool 0.05"#,
    ];
    for query in beside {
        assert_eq!(check(query, true), Ok(Some(Remark::Base)), "{query}");
        assert_eq!(check(query.split(" < bool").next().unwrap_or_default(), false).map(|it| it.is_some()), Ok(true));
    }
    let good = [
        r#"e{pod=~"{{canary.pods}}"} <= bool on() e{pod=~"{{deployment.name}}-[a-z0-9]+-[a-z0-9]+"}"#,
        r#"e{pod=~"{{canary.pods}}"} <= bool on() e{pod=~"{{deployment.name}}-[0-9a-f]{8,10}-[a-z0-9]{5}"}"#,
        r#"e{pod=~"{{canary.pods}}"} <= bool on() e{pod=~"{{deployment.name}}-.*",pod!~"{{canary.name}}-.*"}"#,
        r#"e{pod=~"{{canary.pods}}"} <= bool on() e{pod=~"({{deployment.name}}|{{canary.name}})-.*"}"#,
        r#"e{pod=~"{{canary.pods}}"} <= bool on() e{deployment="{{deployment.name}}",pod=~"{{deployment.name}}-.*"}"#,
        r#"e{pod=~"{{canary.pods}}"} <= bool on() e{pod=~"shop-.*"}"#,
        r#"sum(rate(e{app="web",pod=~"web-.*"}[1m])) < bool 1"#,
        r#"sum(rate(e{pod=~"web-kanary-.*"}[1m])) < bool 1"#,
        r#"up{pod=~"{{canary.pods}}"} == bool on() up{pod=~"web-(.*"}"#,
    ];
    good.into_iter().for_each(passes);
}

/// In a total outage there is no good request, and no series of good requests: the query returned nothing, for ever.
#[test]
fn a_share_of_what_is_good_is_zero_in_a_total_outage() {
    refused(&[
        (
            Starved,
            r#"sum(rate(x{n="a",code!~"5.."}[1m])) / sum(rate(x{n="a"}[1m])) >= bool 0.99"#,
            r#"(sum(rate(x{n="a",code!~"5.."}[1m])) or vector(0)) / (sum(rate(x{n="a"}[1m])) > 0) >= bool 0.99"#,
        ),
        (
            Starved,
            r#"100 * (sum(rate(x{code="200"}[1m])) / sum(rate(x[1m]))) > bool 99"#,
            r#"100 * ((sum(rate(x{code="200"}[1m])) or vector(0)) / (sum(rate(x[1m])) > 0)) > bool 99"#,
        ),
        (
            Starved,
            r#"0.99 < bool sum(rate(x{code="200"}[1m])) * 100 / (sum(rate(x[1m])) > 0) / 100"#,
            r#"0.99 < bool (sum(rate(x{code="200"}[1m])) or vector(0)) * 100 / (sum(rate(x[1m])) > 0) / 100"#,
        ),
        (
            Starved,
            r#"min(sum by (pod) (rate(x{n="{{namespace}}",code="200"}[1m])) / (sum by (pod) (rate(x{n="{{namespace}}"}[1m])) > 0) > bool 0.9)"#,
            r#"min((sum by (pod) (rate(x{n="{{namespace}}",code="200"}[1m])) or 0 * (sum by (pod) (rate(x{n="{{namespace}}"}[1m])) > 0)) / (sum by (pod) (rate(x{n="{{namespace}}"}[1m])) > 0) > bool 0.9)"#,
        ),
        (
            Filters,
            r#"sum(rate(x{code!~"5.."}[1m])) / sum(rate(x[1m])) >= 0.95"#,
            r#"(sum(rate(x{code!~"5.."}[1m])) or vector(0)) / (sum(rate(x[1m])) > 0) >= bool 0.95"#,
        ),
        (
            Starved,
            r#"1 - sum(rate(x{code="200"}[1m])) / sum(rate(x[1m])) < bool 0.01"#,
            r#"1 - (sum(rate(x{code="200"}[1m])) or vector(0)) / (sum(rate(x[1m])) > 0) < bool 0.01"#,
        ),
    ]);
    without_proposal(Starved, &[r#"x{code="200"} / on(pod) x > bool 0.9"#]);
    let good = [
        r#"(sum(rate(x{code!~"5.."}[1m])) or vector(0)) / (sum(rate(x[1m])) > 0) >= bool 0.99"#,
        r#"sum(rate(ok_total[1m])) / (sum(rate(all_total[1m])) > 0) >= bool 0.99"#,
        r#"sum(rate(x{n="b"}[1m])) / (sum(rate(x{n="a"}[1m])) > 0) >= bool 0.99"#,
        r#"1 - (sum(rate(x{code=~"5.."}[1m])) or vector(0)) / (sum(rate(x[1m])) > 0) >= bool 0.99"#,
        r#"sum(rate(x{n="a"}[1m])) / (sum(rate(x{n="a"}[1m] offset 1h)) > 0) >= bool 0.5"#,
    ];
    good.into_iter().for_each(passes);
}
