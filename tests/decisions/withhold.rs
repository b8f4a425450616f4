//! Which labels a canary pod must not carry.

use kanary::canary::withhold;
use serde_json::{Value, json};

use crate::given::{base, observed, relabel_template, service};

/// Pod labels of the template, selectors of the Services, selector of the base, and the keys that must be withheld.
#[allow(clippy::type_complexity)] // a table
fn cases() -> Vec<(&'static str, Value, Vec<Value>, Value, Vec<&'static str>)> {
    let base = || json!({"matchLabels": {"app": "web"}});
    vec![
        ("one key frees from both", json!({"app": "web"}), vec![json!({"app": "web"})], base(), vec!["app"]),
        (
            "the smallest set, not the first that comes to mind",
            json!({"app": "web", "tier": "front", "team": "a"}),
            vec![json!({"team": "a", "app": "web"}), json!({"tier": "front", "app": "web"})],
            base(),
            vec!["app"],
        ),
        (
            "ties by alphabet",
            json!({"app": "web", "tier": "front"}),
            vec![json!({"app": "web", "tier": "front"})],
            json!({"matchLabels": {"app": "other"}}),
            vec!["app"],
        ),
        (
            "two Services with nothing in common need two keys",
            json!({"a": "1", "b": "2"}),
            vec![json!({"a": "1"}), json!({"b": "2"})],
            json!({"matchLabels": {"c": "3"}}),
            vec!["a", "b"],
        ),
        (
            "a Service that does not select is no reason",
            json!({"app": "new"}),
            vec![json!({"app": "web"})],
            base(),
            vec![],
        ),
        ("a Service without selector selects nothing", json!({"app": "new"}), vec![json!({})], base(), vec![]),
        (
            "expressions of the base count",
            json!({"app": "web", "track": "x"}),
            vec![],
            json!({"matchExpressions": [{"key": "track", "operator": "Exists"}]}),
            vec!["track"],
        ),
        (
            "taking a key away must not make another selector match",
            json!({"app": "web", "old": "no"}),
            vec![json!({"app": "web"})],
            json!({"matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]}),
            vec!["app"],
        ),
    ]
}

#[test]
fn the_smallest_set_that_keeps_pods_out() {
    for (name, labels, services, selector, expected) in cases() {
        let mut seen =
            observed(json!({"template": {"spec": {"template": {"metadata": {"labels": null}}}}}), Value::Null);
        relabel_template(&mut seen, labels);
        seen.base = Some(base(json!({"spec": {"selector": {"matchLabels": null}}})));
        let mut with_selector = (**seen.base.as_ref().expect("base")).clone();
        with_selector.spec.selector = serde_json::from_value(selector).expect("a selector");
        seen.base = Some(with_selector.into());
        seen.services =
            services.into_iter().enumerate().map(|(i, s)| service(&format!("s{i}"), json!({"selector": s}))).collect();
        let withheld = withhold(&seen);
        assert_eq!(withheld.keys.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(withheld.unavoidable, None, "{name}");
    }
}

#[test]
fn a_selector_that_asks_for_absence_only_cannot_be_avoided() {
    let mut seen = observed(json!({}), Value::Null);
    let mut base = (*base(json!({}))).clone();
    base.spec.selector =
        serde_json::from_value(json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}))
            .expect("a selector");
    seen.base = Some(base.into());
    assert_eq!(withhold(&seen).unavoidable.as_deref(), Some("the selector of Deployment web"));
}

#[test]
fn a_choice_stands_while_it_serves() {
    let mut seen = crate::given::with_canary(observed(json!({}), Value::Null));
    assert_eq!(withhold(&seen).keys.len(), 1);
    // The Service goes away: nothing needs to be withheld, but a new choice would make new pods.
    seen.services.clear();
    assert_eq!(withhold(&seen).keys.len(), 1);
}
