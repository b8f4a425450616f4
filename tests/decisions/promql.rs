//! Evidence from Prometheus: when it is queried, what counts, and what happens without.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kanary::{
    api::{KanaryDeploymentStatus, Phase, Reason},
    decision::{Absence, Observed},
    lifecycle::{due_queries, plan},
    promql::{ClockMark, EgressPolicy, Evidence, Outcome, Query, QueryHistory},
};
use serde_json::{Value, json};

use crate::given::{at, dry_run, merge, observed, pod, pod_of, promoted, status, with_canary};

const QUERY: &str = "errors{workload=\"{{canary.name}}\",pod=~\"{{canary.pods}}\"} < bool 0.01";

/// One item, evaluated for 60 s, with a query every 10 s at most.
fn spec(item: Value) -> Value {
    let mut query = json!({"query": QUERY, "prometheus": {"url": "http://prometheus:9090"}});
    merge(&mut query, item);
    json!({"validation": {"validationPeriod": "60s", "maxIntervalPeriod": "10s",
                          "items": [{"name": "errors", "promQL": query}]}})
}

/// Validating since second 0; seen so many seconds later.
fn seen_at(seconds: i64, item: Value, more: Value) -> Observed {
    let spec = spec(item);
    let mut clock = json!({
        "validationStartedAt": at(0).to_string(), "evidenceSince": at(0).to_string(), "deadline": at(60).to_string(),
        "canary": {"deployment": "try-kanary"},
    });
    merge(&mut clock, more);
    let status = status(&spec, "Validating", clock);
    let mut seen = with_canary(observed(spec, status));
    seen.now = at(seconds);
    seen
}

fn validating(seconds: i64) -> Observed {
    seen_at(seconds, json!({}), json!({}))
}

/// The one query that is due.
fn due_query(seen: &Observed) -> Option<Query> {
    let mut due = due_queries(seen);
    assert!(due.len() <= 1);
    due.pop()
}

fn passed() -> Outcome {
    Outcome::True(evidence("1"))
}

fn failed() -> Outcome {
    Outcome::False(evidence("0"))
}

fn inconclusive() -> Outcome {
    Outcome::Unknown("Prometheus returned 503".into())
}

fn evidence(value: &str) -> Evidence {
    Evidence { message: format!("the query is {value}"), value: value.into(), bound: "true".into(), samples: 3 }
}

/// A query was sent at this second, and has this outcome.
fn evaluated(mut seen: Observed, second: i64, outcome: Outcome) -> Observed {
    evaluate(&mut seen, second, outcome);
    seen
}

fn evaluate(seen: &mut Observed, second: i64, outcome: Outcome) {
    let hash =
        kanary::validation::promql::query_id(&kanary::validation::promql::identity(seen, &query(seen)), seen.status());
    let mut due_query = seen.answers.remove("errors").unwrap_or_default();
    let held = seen.status().held;
    due_query.record(hash, "the query as sent".into(), ClockMark { at: at(second), held }, outcome);
    seen.answers.insert("errors".into(), due_query);
}

/// The last good query was sent at this second, and there was always one before.
fn steady(seen: Observed, second: i64) -> Observed {
    evaluated(evaluated(seen, second - 10, passed()), second, passed())
}

fn query(seen: &Observed) -> kanary::api::PromQl {
    seen.kanary.spec.validation.items[0].prom_ql.clone().expect("an item")
}

fn status_after(seen: &Observed) -> KanaryDeploymentStatus {
    plan(seen).status.map_or_else(|| seen.status().clone(), |tell| tell.status)
}

/// The status is written; time passes.
fn written(mut seen: Observed, now: impl Into<Now>) -> Observed {
    let status = status_after(&seen);
    Arc::make_mut(&mut seen.kanary).status = Some(status);
    seen.now = now.into().0;
    seen
}

/// A second, or any time.
struct Now(Timestamp);

impl From<i64> for Now {
    fn from(second: i64) -> Self {
        Self(at(second))
    }
}

impl From<Timestamp> for Now {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

#[test]
fn the_query_is_sent_after_the_delay_and_then_within_each_interval() {
    let delayed = |seconds| {
        let mut seen = validating(seconds);
        Arc::make_mut(&mut seen.kanary).spec.validation.initial_delay = SignedDuration::from_secs(5);
        seen
    };
    assert_eq!(due_query(&delayed(4)), None);
    assert_eq!(plan(&delayed(4)).requeue_at, Some(at(5)));
    assert!(due_query(&delayed(5)).is_some());
    let seen = written(evaluated(validating(0), 0, passed()), 8);
    assert_eq!(due_query(&seen), None);
    let wake = plan(&seen).requeue_at.expect("it looks again");
    assert!(at(9) <= wake && wake <= at(10), "{wake}: never later than the interval, and not all at once");
    assert!(due_query(&written(seen, 10)).is_some());
}

#[test]
fn the_query_is_sent_at_the_deadline() {
    let seen = written(steady(validating(55), 55), 59);
    assert_eq!((due_query(&seen), plan(&seen).requeue_at), (None, Some(at(60))));
    assert!(due_query(&written(seen, 60)).is_some());
}

#[test]
fn an_inconclusive_query_is_repeated_ever_later() {
    let mut seen = validating(0);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let sent = seen.now;
        seen = written(evaluated(seen, at(0).duration_until(sent).as_secs(), inconclusive()), sent);
        // On the way the clock is paused, which is reported.
        while due_query(&seen).is_none() {
            let wake = plan(&seen).requeue_at.expect("it looks again");
            seen = written(seen, wake);
        }
        waits.push(sent.duration_until(seen.now).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
}

#[test]
fn one_query_at_a_time() {
    let mut seen = validating(10);
    seen.answers.insert("errors".into(), QueryHistory { pending: Some(at(9)), last: None });
    assert_eq!(due_query(&seen), None);
    assert!(plan(&seen).requeue_at > Some(at(20)), "it looks again when the answer is overdue, not in a circle");
}

#[test]
fn nothing_is_queried_while_the_canary_cannot_be_evaluated() {
    let mut away = validating(30);
    away.pods.clear();
    let mut starting = validating(30);
    let mut status = starting.status().clone();
    status.phase = Some(Phase::Starting);
    Arc::make_mut(&mut starting.kanary).status = Some(status);
    for seen in [away, starting] {
        assert_eq!(due_query(&seen), None);
    }
}

#[test]
fn the_query_is_rendered_and_goes_where_the_item_says() {
    let query = due_query(&validating(15)).expect("a query");
    assert_eq!(query.query, "errors{workload=\"try-kanary\",pod=~\"try-kanary-1\"} < bool 0.01");
    assert_eq!(query.url, "http://prometheus:9090");
}

#[test]
fn a_query_knows_for_how_long_the_evidence_counts() {
    let item = || json!({"query": "increase(errors[{{validation.elapsed}}]) < bool 1"});
    let later = json!({"evidenceSince": at(50).to_string(), "deadline": at(110).to_string()});
    let held = json!({"heldSince": at(0).to_string()});
    let cases = [(0, json!({}), "1s"), (15, json!({}), "15s"), (55, later, "5s"), (90, held, "1m30s")];
    for (seconds, more, elapsed) in cases {
        let query = due_query(&seen_at(seconds, item(), more)).expect("a query");
        assert_eq!(query.query, format!("increase(errors[{elapsed}]) < bool 1"));
    }
}

/// Prometheus' response with these values.
fn vector(samples: &[(&str, &str)]) -> Vec<u8> {
    let sample = |(pod, value): &(&str, &str)| json!({"metric": {"pod": pod}, "value": [1, value]});
    let samples: Vec<Value> = samples.iter().map(sample).collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": samples}}).to_string().into_bytes()
}

#[test]
fn a_pod_on_its_way_out_is_not_judged() {
    let item = json!({"query": "errors{pod=~\"{{canary.pods}}\"}", "valueInRange": {"min": 0, "max": 1}});
    let mut seen = seen_at(15, item, json!({}));
    let leaving = json!({"name": "try-kanary-0", "uid": "0", "deletionTimestamp": at(10).to_string()});
    seen.pods.push(pod_of(leaving, json!({}), true, json!({})));
    let query = due_query(&seen).expect("a query");
    assert_eq!(query.query, "errors{pod=~\"try-kanary-1\"}");
    let outcome = query.read(200, &vector(&[("try-kanary-0", "9"), ("try-kanary-1", "0.5")]));
    assert_eq!(outcome.as_str(), "true", "{outcome:?}");
}

#[test]
fn for_an_analyser_an_evaluation_counts_once_however_many_pods_are_bad() {
    let item = json!({"query": "errors", "valueInRange": {"min": 0, "max": 1}, "failureLimit": 1});
    let mut seen = seen_at(10, item, json!({}));
    seen.pods.push(pod("try-kanary-2", json!({}), true, json!({})));
    let bad = vector(&[("try-kanary-1", "8"), ("try-kanary-2", "9")]);
    let all_bad = |seen: Observed, second| {
        let outcome = due_query(&seen).expect("a query").read(200, &bad);
        evaluated(seen, second, outcome)
    };
    let seen = written(all_bad(seen, 10), 20);
    assert_eq!((seen.status().items[0].failures, seen.status().phase), (1, Some(Phase::Validating)));
    let status = status_after(&all_bad(seen, 20));
    assert_eq!((status.items[0].failures, status.phase), (2, Some(Phase::Failing)));
}

#[test]
fn after_an_edit_the_query_is_sent_at_once_if_the_delay_is_over() {
    let edited = json!([{"name": "errors", "kind": "promQL", "verdict": "Unknown", "hash": "of another question"}]);
    for (seconds, is_asked) in [(20, false), (50, true)] {
        let mut seen = seen_at(seconds, json!({}), json!({"items": edited}));
        Arc::make_mut(&mut seen.kanary).spec.validation.initial_delay = SignedDuration::from_secs(30);
        let seen = written(seen, seconds);
        assert_eq!(due_query(&seen).is_some(), is_asked, "{seconds}");
        let due = due_query(&written(seen, 50)).expect("a query").due;
        assert_eq!(due, at(seconds.max(30)));
    }
}

#[test]
fn the_query_is_the_same_whatever_the_time_and_the_pods() {
    let seen = evaluated(validating(30), 25, passed());
    let mut later = seen.clone();
    later.now = at(33);
    later.pods.push(pod("try-kanary-2", json!({}), true, json!({})));
    assert_eq!(status_after(&later).items[0].verdict, kanary::api::Verdict::Valid);
}

#[test]
fn success_needs_a_result_from_the_end() {
    let early = written(steady(validating(59), 59), 60);
    let plan_early = plan(&early);
    assert_eq!(plan_early.status.map(|tell| tell.status.phase), None, "it waits for the last answer, and is silent");
    let late = evaluated(early, 60, passed());
    assert_eq!(status_after(&late).phase, Some(Phase::Promoting));
}

#[test]
fn nothing_but_a_result_makes_success() {
    for outcome in [None, Some(inconclusive()), Some(failed())] {
        let seen = seen_at(60, json!({"failureLimit": 5}), json!({}));
        let seen = steady(seen, 55);
        let seen = match outcome {
            Some(outcome) => evaluated(seen, 60, outcome),
            None => seen,
        };
        assert_eq!(status_after(&seen).phase, Some(Phase::Validating));
    }
}

#[test]
fn a_failed_evaluation_fails_at_once_and_says_all() {
    let status = status_after(&evaluated(validating(30), 30, failed()));
    assert_eq!(status.phase, Some(Phase::Failing));
    let item = &status.items[0];
    assert_eq!((item.value.as_deref(), item.bound.as_deref(), item.samples), (Some("0"), Some("true"), Some(3)));
    assert_eq!(item.query.as_deref(), Some("the query as sent"));
    assert_eq!(status.message.as_deref(), Some("errors: the query is 0; query: the query as sent"));
}

#[test]
fn tolerated_failures_are_counted_once_each_in_all() {
    let item = json!({"failureLimit": 2});
    let mut seen = evaluated(seen_at(10, item, json!({})), 10, failed());
    for (second, failures) in [(10, 1), (11, 1), (12, 1)] {
        seen = written(seen, second);
        assert_eq!(seen.status().items[0].failures, failures, "however often it is looked at");
    }
    assert_eq!(plan(&seen).status, None);
    // A good one in between does not wipe them out.
    seen = written(evaluated(written(seen, 20), 20, passed()), 30);
    assert_eq!(seen.status().items[0].failures, 1);
    seen = written(evaluated(seen, 30, failed()), 40);
    assert_eq!((seen.status().items[0].failures, seen.status().phase), (2, Some(Phase::Validating)));
    assert_eq!(status_after(&evaluated(seen, 40, failed())).phase, Some(Phase::Failing));
}

#[test]
fn a_failure_is_recorded_before_the_next_query() {
    let seen = evaluated(seen_at(10, json!({"failureLimit": 2}), json!({})), 10, failed());
    let mut later = seen.clone();
    later.now = at(25);
    assert_eq!(due_query(&later), None, "or it would be lost with the next answer");
    assert!(due_query(&written(seen, 25)).is_some());
}

#[test]
fn a_restart_forgets_no_failure() {
    let item = json!({"failureLimit": 1});
    let mut seen = written(evaluated(seen_at(10, item, json!({})), 10, failed()), 20);
    seen.answers.clear();
    assert_eq!(status_after(&evaluated(seen, 20, failed())).phase, Some(Phase::Failing));
}

/// It is called by its place in the list, and that may change; what spoke against the canary stays said.
#[test]
fn an_item_that_moves_up_keeps_its_failures() {
    let item = json!({"failureLimit": 1, "query": "errors"});
    let items = |before: &[Value]| {
        let all: Vec<Value> = before.iter().chain([&item]).map(|item| json!({"promQL": item})).collect();
        let mut seen = seen_at(10, json!({}), json!({}));
        let url = json!({"prometheus": {"url": "http://localhost:9090"}});
        let all = all.into_iter().map(|mut item| {
            crate::given::merge(&mut item["promQL"], url.clone());
            serde_json::from_value(item).expect("an item")
        });
        std::sync::Arc::make_mut(&mut seen.kanary).spec.validation.items = all.collect();
        seen
    };
    let mut seen = items(&[json!({"query": "latency", "valueInRange": {"max": 1.0}})]);
    let mut lines = status_after(&seen).items;
    (lines[1].failures, lines[1].last_failure) = (1, Some(at(5)));
    std::sync::Arc::make_mut(&mut seen.kanary).status.as_mut().expect("a status").items = lines;
    let status = seen.kanary.status.clone();
    let mut alone = items(&[]);
    std::sync::Arc::make_mut(&mut alone.kanary).status = status;
    let line = status_after(&alone).items.remove(0);
    assert_eq!((line.name.as_str(), line.failures), ("promQL-0", 1));
}

#[test]
fn a_tolerated_failure_at_the_end_waits_for_a_success() {
    let item = json!({"failureLimit": 5});
    let seen = written(evaluated(steady(seen_at(60, item, json!({})), 55), 60, failed()), 65);
    let status = seen.status();
    assert!(
        status.message.as_deref().is_some_and(|message| message.contains("tolerated failure 1 of 5")),
        "{status:?}"
    );
    assert_eq!(status_after(&evaluated(seen, 65, passed())).phase, Some(Phase::Promoting));
}

#[test]
fn without_results_the_clock_is_paused_from_the_last_one_on() {
    let seen = written(evaluated(validating(10), 10, passed()), 20);
    let seen = written(evaluated(seen, 20, inconclusive()), 30);
    assert_eq!(seen.status().held_since, None, "two intervals are not over");
    let seen = written(evaluated(seen, 30, inconclusive()), 31);
    let status = status_after(&seen);
    assert_eq!(status.held_since, Some(at(10)));
    let message = status.message.clone().unwrap_or_default();
    assert!(message.contains("errors: no conclusive answer since") && message.contains("503"), "{message}");
    let seen = evaluated(written(seen, 40), 40, passed());
    let status = status_after(&seen);
    assert_eq!((status.held_since, status.deadline), (None, Some(at(90))), "30 s did not count");
    assert_eq!(plan(&written(seen, 41)).status, None, "and they do not count once");
}

#[test]
fn a_gap_that_was_not_seen_in_time_does_not_count_either() {
    // The controller was busy for 40 s: it looks again only when the answer is there.
    let seen = evaluated(evaluated(validating(50), 10, passed()), 50, passed());
    let status = status_after(&seen);
    assert_eq!(status.deadline, Some(at(100)));
    let seen = written(seen, 51);
    assert_eq!(seen.status().deadline, Some(at(100)), "and counts once");
    assert_eq!(plan(&seen).status, None);
}

#[test]
fn after_a_restart_the_clock_waits_for_the_first_result() {
    let mut seen = written(evaluated(validating(10), 10, passed()), 20);
    seen.answers.clear();
    seen.absences = vec![Absence { from: at(12), until: at(20) }];
    let status = status_after(&seen);
    assert_eq!(status.held_since, Some(at(20)));
    assert!(
        status.conditions.iter().any(|condition| condition.reason.as_str() == "AwaitingPrometheus"),
        "no reason to warn"
    );
    assert_eq!(due_query(&seen), None, "that the clock is paused is reported first");
    let mut seen = written(seen, 20);
    assert!(due_query(&seen).is_some());
    seen.now = at(21);
    let status = status_after(&evaluated(seen, 20, passed()));
    assert_eq!((status.held_since, status.deadline), (None, Some(at(69))));
}

#[test]
fn results_of_before_and_of_another_query_do_not_count() {
    let before = evaluated(validating(50), 50, failed());
    let others = [json!({"evidenceSince": at(50).to_string(), "deadline": at(110).to_string()}), json!({"run": 2})];
    for other in others {
        let mut seen = seen_at(50, json!({}), other);
        seen.answers.clone_from(&before.answers);
        assert_eq!(status_after(&seen).phase, Some(Phase::Validating));
    }
    let mut edited = seen_at(50, json!({"query": "vector(1)"}), json!({}));
    edited.answers.clone_from(&before.answers);
    assert_eq!(status_after(&edited).phase, Some(Phase::Validating));
}

#[test]
fn the_status_is_not_written_for_a_new_value() {
    let seen = written(evaluated(validating(10), 10, Outcome::True(evidence("0.001"))), 20);
    let again = evaluated(seen, 20, Outcome::True(evidence("0.002")));
    assert_eq!(plan(&again).status, None);
    let mut end = again;
    end.now = at(60);
    let status = status_after(&evaluated(
        evaluated(evaluated(end, 35, passed()), 50, passed()),
        60,
        Outcome::True(evidence("0.003")),
    ));
    assert_eq!((status.phase, status.items[0].value.as_deref()), (Some(Phase::Promoting), Some("0.003")));
}

#[test]
fn a_wrong_query_is_reported_before_anything_is_created() {
    let cases = [
        (json!({"query": "errors{{{canary.nmae}}}"}), "BadQuery", "unknown variable canary.nmae"),
        (json!({"query": "sum(errors"}), "BadQuery", "line 1"),
        (json!({"query": "errors < 0.01"}), "BadQuery", "errors < bool 0.01"),
        (
            json!({"query": "errors < bool 1 and latency < bool 2"}),
            "BadQuery",
            "(errors < bool 1) * (latency < bool 2)",
        ),
        (json!({"query": "errors / requests"}), "BadQuery", "valueInRange"),
        (json!({"query": "count(errors > 5) < bool 1"}), "BadQuery", "sum(errors > bool 5) < bool 1"),
        (json!({"query": "errors[5m]", "valueInRange": {"min": 0, "max": 1}}), "BadQuery", "range vector"),
        (json!({"prometheus": {"url": null}}), "BadPrometheus", "--prometheus-url"),
        (json!({"prometheus": {"url": "http://169.254.169.254"}}), "BadPrometheus", "metadata"),
        (json!({"prometheus": {"url": "http://[::7f00:1]:8080"}}), "BadPrometheus", "own host"),
        (json!({"prometheus": {"url": "http://[2002:a9fe:a9fe::1]"}}), "BadPrometheus", "metadata"),
        (json!({"prometheus": {"headers": {"Host": "x"}}}), "BadPrometheus", "Host"),
        (json!({"prometheus": {"headers": {"Authorization": "x"}}}), "BadPrometheus", "bearerTokenSecretRef"),
        (json!({"prometheus": {"headers": {"a b": "x"}}}), "BadPrometheus", "not a valid header name"),
        (json!({"prometheus": {"headers": {"a": "x\ny"}}}), "BadPrometheus", "not allowed in a header"),
    ];
    for (item, reason, why) in cases {
        let spec = spec(item);
        let status = status(&spec, "Starting", json!({}));
        let seen = observed(spec, status);
        let plan = plan(&seen);
        assert!(plan.actions.is_empty(), "{why}: {:?}", plan.actions);
        let status = plan.status.expect("something to tell").status;
        let errored = status.conditions.iter().find(|condition| condition.reason.as_str() == reason).expect(why);
        assert!(errored.message.contains(why) && errored.message.contains("errors: "), "{}", errored.message);
    }
}

/// The events of a run that begins with this item, once the base was seen.
fn begun(item: Value) -> Vec<(Reason, String)> {
    let spec = spec(item);
    let mut seen = observed(spec, Value::Null);
    seen.dry_run = Some(dry_run(&seen, Ok(promoted("hash-of-v2"))));
    let notices = plan(&seen).status.expect("something to tell").notices;
    notices.into_iter().map(|event| (event.reason, event.note)).collect()
}

/// What is not known here may be valid: a dialect's keyword, or one of the next Prometheus.
#[test]
fn a_query_that_only_the_server_can_check_is_sent() {
    let item = json!({"query": "errors < bool 1 limit 5"});
    let due = due_query(&seen_at(15, item.clone(), json!({}))).expect("a query");
    assert_eq!(due.query, "errors < bool 1 limit 5");
    let told = begun(item);
    assert!(
        told.iter().any(|(reason, note)| *reason == Reason::QueryNotChecked
            && note.contains("errors: query: the query was not checked: line 1")),
        "{told:?}"
    );
    let known = begun(json!({}));
    assert!(known.iter().all(|(reason, _)| *reason != Reason::QueryNotChecked), "{known:?}");
    let constant = begun(json!({"query": "vector(1)"}));
    assert!(constant.iter().any(|(reason, _)| *reason == Reason::QueryDoubtful), "{constant:?}");
}

#[test]
fn before_the_first_query_the_item_says_when_it_is_sent() {
    let message = |seconds| {
        let mut seen = validating(seconds);
        Arc::make_mut(&mut seen.kanary).spec.validation.initial_delay = SignedDuration::from_secs(30);
        status_after(&seen).items[0].message.clone().expect("a message")
    };
    let begins = at(30).strftime("%H:%M:%SZ");
    assert_eq!(message(4), format!("Prometheus is queried from {begins} on (initialDelay)"));
    assert_eq!(message(30), "Prometheus has not answered yet");
    let spec = spec(json!({}));
    let starting = observed(spec.clone(), status(&spec, "Starting", json!({})));
    let told = status_after(&starting).items[0].message.clone();
    assert_eq!(told.as_deref(), Some("Prometheus is queried once validation begins"));
}

/// An edit while the canary is validated: Prometheus was never asked, so it does not owe an answer.
#[test]
fn an_item_that_is_refused_says_so() {
    let item = json!({"query": "errors{n=\"$namespace\"} < bool 0.01"});
    for (more, seconds) in [(item, 15), (json!({"prometheus": {"url": "http://prometheus:9090/graph"}}), 90)] {
        let seen = seen_at(seconds, more, json!({}));
        assert_eq!(due_query(&seen), None);
        let status = status_after(&seen);
        let message = status.items[0].message.clone().expect("a message");
        assert!(message.starts_with("Prometheus is not queried: ") && message.contains("; write"), "{message}");
        let told = json!(status).to_string();
        assert!(!told.contains("not answered"), "{told}");
    }
}

/// The status keeps it until the verdict changes.
#[test]
fn a_value_says_when_it_was_measured() {
    let seen = written(evaluated(validating(10), 10, passed()), 20);
    let message = format!("the query is 1 (at {})", at(10).strftime("%H:%M:%SZ"));
    assert_eq!(seen.status().items[0].message.as_deref(), Some(message.as_str()));
}

#[test]
fn the_operators_prometheus_is_queried_where_none_is_named() {
    let mut seen = seen_at(15, json!({"prometheus": {"url": null}}), json!({}));
    assert_eq!(due_query(&seen), None);
    seen.prometheus = EgressPolicy { url: Some("http://localhost:9090".into()), ..EgressPolicy::default() };
    assert_eq!(due_query(&seen).map(|query| query.url).as_deref(), Some("http://localhost:9090"));
}

/// In the original, a broken image was promoted: pods that were not ready were not judged.
#[test]
fn good_results_do_not_promote_a_canary_that_is_not_available() {
    let mut seen = steady(validating(60), 60);
    seen.pods = vec![pod("try-kanary-1", json!({}), false, json!({}))];
    assert_eq!(status_after(&seen).phase, Some(Phase::Validating));
}

/// In the original, errors of Prometheus were never in the status.
#[test]
fn what_prometheus_says_is_in_the_status() {
    let status = status_after(&evaluated(validating(10), 10, inconclusive()));
    assert_eq!(status.items[0].message.as_deref(), Some("Prometheus returned 503"));
}

/// Samples of another run have the same names: errors of the run before must not fail the next, and what was proven then
/// proves nothing now.
#[test]
fn no_query_looks_back_at_the_run_before() {
    let begins = |query: &str, run: i64, until: Option<i64>| {
        let spec = json!({"validation": {"validationPeriod": "60s", "items": [{"name": "ok", "promQL": {"query": query, "prometheus": {"url": "http://prometheus:9090"}}}]}});
        let mut started = status(&spec, "Starting", json!({"run": run}));
        if let Some(until) = until {
            started["previousRunUntil"] = json!(at(until).to_string());
        }
        let mut seen = with_canary(observed(spec, started));
        seen.dry_run = Some(dry_run(&seen, Ok(promoted("hash-of-v2"))));
        let status = plan(&seen).status.expect("it begins to validate").status;
        assert_eq!(status.phase, Some(Phase::Validating), "{status:?}");
        let deadline = status.deadline.expect("a deadline");
        Arc::make_mut(&mut seen.kanary).status = Some(status);
        let asks_at_once = !due_queries(&seen).is_empty();
        (at(0).duration_until(deadline).as_secs(), asks_at_once)
    };
    let minutes = "sum(rate(errors[2m])) < bool 1";
    assert_eq!(begins(minutes, 1, None), (60, true), "there was none");
    assert_eq!(begins(minutes, 2, Some(-30)), (150, false), "it ended half a minute before");
    assert_eq!(begins(minutes, 2, Some(-3600)), (60, true), "it ended long before");
    assert_eq!(begins(minutes, 2, None), (180, false), "its pods were there until now");
    assert_eq!(begins("up == bool 1", 2, None), (60, true), "it looks at now");
    assert_eq!(
        begins("sum(rate(errors{pod=~\"{{canary.pods}}\"}[2m])) < bool 1", 2, None),
        (60, true),
        "of these pods only"
    );
    assert_eq!(begins("sum(rate(errors[{{validation.elapsed}}])) < bool 1", 2, None), (60, true), "of this run only");
    assert_eq!(begins("sum(rate(errors[{{validation.period}}])) < bool 1", 2, None), (120, false));
}
