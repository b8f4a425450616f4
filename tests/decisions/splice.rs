//! For all routes: what the mirror adds is removed again, and what other clients write meanwhile stays.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mirror::{carry_out, cleared, ensured, http_route, mirroring, virtual_service};

/// How the two kinds of routes differ.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    provider: &'static str,
    rules: &'static str,
    entries: &'static str,
}

const ISTIO: Dialect = Dialect { provider: "istio", rules: "http", entries: "mirrors" };
const GATEWAY: Dialect = Dialect { provider: "gateway-api", rules: "rules", entries: "filters" };

impl Dialect {
    fn entry(self, service: &str) -> Value {
        match self.provider {
            "istio" => json!({"destination": {"host": service}}),
            _ => json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": service, "port": 80}}}),
        }
    }

    fn rule(self, name: usize, services: &[&str], entries: &[&str], more: bool) -> Value {
        let backend = |service: &&str| match self.provider {
            "istio" => json!({"destination": {"host": service}, "weight": 10}),
            _ => json!({"name": service, "port": 80, "weight": 10}),
        };
        let field = if self.provider == "istio" { "route" } else { "backendRefs" };
        let mut rule = json!({"name": format!("r{name}"), field: services.iter().map(backend).collect::<Vec<_>>()});
        if self.provider == "istio" {
            // Without it, no request would take the next one.
            rule["match"] = json!([{"uri": {"prefix": format!("/{name}")}}]);
        }
        if !entries.is_empty() {
            rule[self.entries] = entries.iter().map(|service| self.entry(service)).collect();
        }
        if more {
            rule["timeouts"] = json!({"request": "1s", "of the future": [1, {"a": null}]});
        }
        rule
    }

    fn route(self, rules: Vec<Value>) -> Value {
        let spec = json!({"hosts": ["web"], "parentRefs": [{"name": "edge"}], self.rules: rules, "more": {"x": 1}});
        if self.provider == "istio" { virtual_service("web", spec) } else { http_route("web", spec) }
    }

    /// All rules that point to production are named, so that a split is not an obstacle.
    fn settings(self, route: &Value, percentage: i32) -> Value {
        let rules = route["spec"][self.rules].as_array().expect("rules");
        let names: Vec<&Value> =
            rules.iter().filter(|rule| points_to_production(rule)).map(|rule| &rule["name"]).collect();
        json!({
            "provider": self.provider, "percentage": percentage,
            "virtualService": {"name": "web", "routes": names}, "httpRoute": {"name": "web", "rules": names},
        })
    }
}

fn points_to_production(rule: &Value) -> bool {
    let to = rule
        .get("route")
        .or_else(|| rule.get("backendRefs"))
        .and_then(Value::as_array)
        .expect("where it points_to_production");
    to.iter().any(|to| to["name"] == "web" || to["destination"]["host"] == "web")
}

fn a_rule(dialect: Dialect) -> impl Strategy<Value = Value> {
    let service = prop::sample::select(vec!["web", "web", "old", "other"]);
    let foreign = prop::sample::select(vec!["audit", "shadow"]);
    let parts = (prop::collection::vec(service, 1..3), prop::collection::vec(foreign, 0..3), any::<bool>(), 0..9_usize);
    parts.prop_map(move |(services, entries, more, name)| dialect.rule(name, &services, &entries, more))
}

/// A route with at least one rule that points to production; names are unique.
fn a_route(dialect: Dialect) -> impl Strategy<Value = Value> {
    prop::collection::vec(a_rule(dialect), 1..5).prop_map(move |mut rules| {
        rules.push(dialect.rule(0, &["web"], &[], false));
        for (index, rule) in rules.iter_mut().enumerate() {
            rule["name"] = json!(format!("r{index}"));
        }
        dialect.route(rules)
    })
}

/// What another client does meanwhile.
#[derive(Clone, Debug)]
enum Edit {
    Retries(usize),
    First(usize),
    Last(usize),
    Remove(usize),
    Insert(usize),
}

fn an_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..6_usize).prop_map(Edit::Retries),
        (0..6_usize).prop_map(Edit::First),
        (0..6_usize).prop_map(Edit::Last),
        (0..6_usize).prop_map(Edit::Remove),
        (0..6_usize).prop_map(Edit::Insert),
    ]
}

fn edited(dialect: Dialect, mut route: Value, edits: &[Edit]) -> Value {
    let entries = |rule: &mut Value, at_end: bool| {
        let list = rule.as_object_mut().expect("a rule").entry(dialect.entries).or_insert_with(|| json!([]));
        let list = list.as_array_mut().expect("a list");
        list.insert(if at_end { list.len() } else { 0 }, dialect.entry("late"));
    };
    for edit in edits {
        let rules = route["spec"][dialect.rules].as_array_mut().expect("rules");
        let count = rules.len();
        match edit {
            Edit::Insert(at) => rules.insert(at % (count + 1), dialect.rule(99, &["web"], &["audit"], true)),
            _ if count == 0 => {}
            Edit::Retries(at) => rules[at % count]["retries"] = json!({"attempts": 7}),
            Edit::First(at) => entries(&mut rules[at % count], false),
            Edit::Last(at) => entries(&mut rules[at % count], true),
            Edit::Remove(at) => drop(rules.remove(at % count)),
        }
    }
    route["metadata"]["resourceVersion"] = json!("9");
    route
}

fn with_mirror(settings: Value, route: &Value) -> Value {
    let mut objects = [route.clone()];
    let actions = ensured(&mirroring(settings.clone(), &objects));
    carry_out(&mut objects, &actions);
    let again = ensured(&mirroring(settings, &objects));
    assert_eq!(again, [], "it is as it should be");
    let [route] = objects;
    route
}

fn without_mirror(settings: Value, route: &Value) -> Value {
    let mut objects = [route.clone()];
    let actions = cleared(&mirroring(settings, &objects));
    carry_out(&mut objects, &actions);
    let [route] = objects;
    route
}

fn carries(dialect: Dialect, rule: &Value) -> usize {
    let entries = rule[dialect.entries].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter(|entry| entry.to_string().contains("try-kanary")).count()
}

fn a_dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(ISTIO), Just(GATEWAY)]
}

proptest! {
    #[test]
    fn what_is_added_is_removed_again((dialect, route) in a_dialect().prop_flat_map(|d| (Just(d), a_route(d))), percentage in 0..=100) {
        let settings = dialect.settings(&route, percentage);
        let carrying = with_mirror(settings.clone(), &route);
        for rule in carrying["spec"][dialect.rules].as_array().expect("rules") {
            prop_assert_eq!(carries(dialect, rule), usize::from(points_to_production(rule)));
        }
        prop_assert_eq!(without_mirror(settings, &carrying), route);
    }

    #[test]
    fn what_others_write_meanwhile_stays(
        (dialect, route) in a_dialect().prop_flat_map(|d| (Just(d), a_route(d))),
        edits in prop::collection::vec(an_edit(), 1..5),
    ) {
        let settings = dialect.settings(&route, 50);
        let carrying = with_mirror(settings.clone(), &route);
        let meanwhile = edited(dialect, carrying, &edits);
        prop_assert_eq!(without_mirror(settings, &meanwhile), edited(dialect, route, &edits));
    }

    #[test]
    fn a_ramp_ends_where_a_jump_does((dialect, route) in a_dialect().prop_flat_map(|d| (Just(d), a_route(d))), ramp in prop::collection::vec(0..=100, 1..4)) {
        let mut ramped = route.clone();
        for percentage in &ramp {
            ramped = with_mirror(dialect.settings(&route, *percentage), &ramped);
        }
        prop_assert_eq!(ramped, with_mirror(dialect.settings(&route, ramp[ramp.len() - 1]), &route));
    }
}
