//! What the page of metrics shows.

use super::*;
use crate::promql::Evidence;

#[test]
fn every_phase_has_a_series_and_every_answer_counts() {
    let metrics = Metrics::new();
    metrics.answered(&Outcome::Unknown("no answer".into()));
    metrics.sent(Duration::from_millis(3));
    metrics.query_lagged(SignedDuration::from_millis(4));
    metrics.query_lagged(SignedDuration::from_millis(-4));
    let page = metrics.text(true, true, &[Phase::Validating, Phase::Validating]);
    for line in [
        "kanary_leader 1",
        "kanary_watch_broken 1",
        "kanary_runs{phase=\"Validating\"} 2",
        "kanary_runs{phase=\"Failed\"} 0",
        "kanary_queries_total{outcome=\"unknown\"} 1",
        "kanary_query_duration_seconds_count 1",
        "kanary_query_lag_seconds_bucket{le=\"0.003\"} 1",
        "kanary_query_lag_seconds_bucket{le=\"0.005\"} 2",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} in {page}");
    }
}

#[test]
fn an_item_has_a_value_while_it_is_evaluated() {
    let metrics = Metrics::new();
    let kanary = Key { namespace: "shop".into(), name: "try".into() };
    let page = || metrics.text(true, false, &[]);
    let evidence = |value: &str| Evidence { value: value.into(), ..Evidence::default() };
    metrics.item_evaluated(&kanary, "errors", &Outcome::False(evidence("0.25")));
    metrics.item_evaluated(&kanary, "healthy", &Outcome::True(evidence("true")));
    let line = |item: &str, value: &str| {
        format!("kanary_item_value{{namespace=\"shop\",kanary=\"try\",item=\"{item}\"}} {value}\n")
    };
    assert!(page().contains(&line("errors", "0.25")) && page().contains(&line("healthy", "1.0")), "{}", page());
    metrics.item_evaluated(&kanary, "errors", &Outcome::Unknown("no answer".into()));
    assert!(!page().contains("errors") && page().contains("healthy"));
    metrics.forget(&kanary, ["errors", "healthy"]);
    assert!(!page().contains("kanary_item_value{"));
}

#[test]
fn only_the_leader_reports_canaries() {
    let metrics = Metrics::new();
    let kanary = Key { namespace: "shop".into(), name: "try".into() };
    let evaluate = || {
        metrics.item_evaluated(
            &kanary,
            "errors",
            &Outcome::True(Evidence { value: "1".into(), ..Evidence::default() }),
        );
    };
    let reports = |page: &str| ["kanary_item_value{", "kanary_runs{"].map(|series| page.contains(series));
    evaluate();
    assert_eq!(reports(&metrics.text(true, false, &[Phase::Validating])), [true, true]);
    let former = metrics.text(false, false, &[Phase::Validating]);
    assert_eq!(reports(&former), [false, false]);
    assert!(former.contains("kanary_leader 0\n") && former.contains("kanary_watch_broken 0\n"), "{former}");
    assert_eq!(reports(&metrics.text(true, false, &[])), [false, true], "the value was another leader's to remove");
    evaluate();
    assert_eq!(reports(&metrics.text(true, false, &[])), [true, true]);
}
