//! What a query says where nothing is counted.

use super::{super::Doubt::*, *};

/// It is sent, and this is proposed, which is not doubted.
fn doubted(cases: &[(Doubt, &str, &str)]) {
    for (doubt, query, proposed) in cases {
        let remark = Remark::Doubtful { doubt: *doubt, corrected: Some((*proposed).into()) };
        assert_eq!(check(query, true), Ok(Some(remark)), "{query}");
        passes(proposed);
    }
}

/// NaN is not less than anything, so `bool` makes 0 of it, and an idle canary failed.
#[test]
fn an_idle_canary_does_not_fail() {
    doubted(&[
        (
            Idle,
            "(sum(rate(e[1m])) or vector(0)) / sum(rate(r[1m])) < bool 0.01",
            "(sum(rate(e[1m])) or vector(0)) / (sum(rate(r[1m])) > 0) < bool 0.01",
        ),
        (
            Idle,
            r#"sum(rate(x{n="{{namespace}}",code=~"5.."}[1m])) / sum(rate(x{n="{{namespace}}"}[1m])) < bool 0.01"#,
            r#"(sum(rate(x{n="{{namespace}}",code=~"5.."}[1m])) or vector(0)) / (sum(rate(x{n="{{namespace}}"}[1m])) > 0) < bool 0.01"#,
        ),
        (
            Idle,
            "(up == bool 1) * (0.99 <= bool 1 - rate(e[1m]) / rate(r[1m]))",
            "(up == bool 1) * (0.99 <= bool 1 - rate(e[1m]) / (rate(r[1m]) > 0))",
        ),
        (
            NoSamples,
            "histogram_quantile(0.99, sum by (le) (rate(s_bucket[{{validation.elapsed}}]))) < bool 0.31",
            "(histogram_quantile(0.99, sum by (le) (rate(s_bucket[{{validation.elapsed}}]))) >= 0) < bool 0.31",
        ),
        (
            NoSamples,
            "min(histogram_quantile(0.5, rate(s_bucket[1m])) <= bool 1)",
            "min((histogram_quantile(0.5, rate(s_bucket[1m])) >= 0) <= bool 1)",
        ),
    ]);
    let good = [
        "sum(rate(e[1m])) / clamp_min(sum(rate(r[1m])), 1) < bool 0.01",
        "(sum(rate(e[1m])) / sum(rate(r[1m])) < bool 0.01) and on() (sum(rate(r[1m])) > 0)",
        "sum(rate(s_sum[1m])) / (sum(rate(s_count[1m])) > 0) < bool 0.5",
        "sum(rate(e[1m])) / 60 < bool 1",
        "memory_used / memory_limit < bool 0.9",
    ];
    good.into_iter().for_each(passes);
    assert_eq!(check("histogram_quantile(0.9, x)", false), Ok(None), "a range sees NaN");
}

#[test]
fn a_healthy_canary_becomes_valid() {
    doubted(&[(
        Healthy,
        r#"sum(rate(x{code=~"5.."}[1m])) / (sum(rate(x[1m])) > 0) < bool 0.01"#,
        r#"(sum(rate(x{code=~"5.."}[1m])) or vector(0)) / (sum(rate(x[1m])) > 0) < bool 0.01"#,
    )]);
}

/// A counter that is 5 at its first scrape has not increased.
#[test]
fn errors_of_the_first_sample_are_not_seen() {
    let queries = [
        r#"(sum(increase(e{pod=~"{{canary.pods}}"}[30s])) or vector(0)) == bool 0"#,
        "sum(rate(e[1m])) <= bool 0",
        "increase(e[5m]) < bool 1",
    ];
    for query in queries {
        let remark = Remark::Doubtful { doubt: FirstSample, corrected: None };
        assert_eq!(check(query, true), Ok(Some(remark)), "{query}");
    }
    for query in [
        "(sum(e) or vector(0)) == bool 0",
        "increase(e[5m]) < bool 5",
        "rate(e[5m]) < bool 1",
        "increase(e[5m]) > bool 0",
    ] {
        passes(query);
    }
}
