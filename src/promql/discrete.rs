//! `discreteValueOutOfList`: of all that is counted, the share with a bad label value is small. In real numbers: a rate
//! is rarely a whole one.

use std::collections::BTreeMap;

use super::{
    figures::{Relation, comparison},
    outcome::{About, Evidence, Outcome},
};
use crate::api::{DiscreteValueOutOfList, text::shortened};

/// The most letters of a label's value in a message.
const LONGEST_VALUE: usize = 100;

/// What was counted for one pod, or for all.
#[derive(Default)]
struct Tally<'a> {
    bad: f64,
    all: f64,
    worst: Option<(f64, &'a str)>,
}

impl Tally<'_> {
    fn share(&self) -> f64 {
        100.0 * self.bad / self.all
    }
}

pub(super) fn judge(discrete: &DiscreteValueOutOfList, samples: &[About<'_>]) -> Outcome {
    if samples.iter().any(|about| !about.sample.value.is_finite()) {
        return Outcome::not_finite();
    }
    let mut tallies: BTreeMap<Option<&str>, Tally<'_>> = BTreeMap::new();
    for about in samples {
        if !count(discrete, about, tallies.entry(about.pod).or_default()) {
            let key = &discrete.key;
            return Outcome::Unknown(format!(
                "a sample is negative or has no label {key}; see discreteValueOutOfList.key"
            ));
        }
    }
    if tallies.values().any(|tally| !(100.0 * tally.all).is_finite()) {
        return Outcome::not_finite();
    }
    let busy = tallies.iter().filter(|(_, tally)| tally.all > 0.0);
    match busy.max_by(|(_, one), (_, other)| one.share().total_cmp(&other.share())) {
        None => Outcome::Unknown("nothing was counted, possibly because there is no traffic yet".into()),
        Some((pod, worst)) if tallies.len() > 1 => verdict(discrete, *pod, worst, samples.len()),
        Some((_, worst)) => verdict(discrete, None, worst, samples.len()),
    }
}

fn count<'a>(discrete: &DiscreteValueOutOfList, about: &About<'a>, tally: &mut Tally<'a>) -> bool {
    let value = about.sample.value;
    if value < 0.0 {
        return false;
    }
    let Some(found) = about.sample.labels.get(&discrete.key) else { return false };
    tally.all += value;
    if is_bad(discrete, found) {
        tally.bad += value;
        if tally.worst.as_ref().is_none_or(|(most, _)| value > *most) {
            tally.worst = Some((value, found.as_str()));
        }
    }
    true
}

fn is_bad(discrete: &DiscreteValueOutOfList, value: &String) -> bool {
    match discrete.good_values.as_slice() {
        [] => discrete.bad_values.contains(value),
        good => !good.contains(value),
    }
}

fn verdict(discrete: &DiscreteValueOutOfList, pod: Option<&str>, worst: &Tally<'_>, samples: usize) -> Outcome {
    let key = &discrete.key;
    // Not divided, so that the tolerance itself is not lost to rounding.
    let is_good = 100.0 * worst.bad <= discrete.tolerance_percent * worst.all;
    let relation = if is_good { Relation::AtMost } else { Relation::Above };
    let comparison = comparison(worst.bad / worst.all, relation, discrete.tolerance_percent / 100.0, true);
    let mostly = worst
        .worst
        .as_ref()
        .map(|(_, value)| format!(", mostly {:?}", shortened(value, LONGEST_VALUE)))
        .unwrap_or_default();
    let pod = pod.map(|pod| format!(", pod {pod}")).unwrap_or_default();
    let evidence = Evidence {
        message: format!("{comparison} (tolerancePercent) with a bad {key}{mostly}{pod}"),
        value: format!("{}%", worst.share()),
        bound: format!("at most {}% with a bad {key}", discrete.tolerance_percent),
        samples,
    };
    if is_good { Outcome::True(evidence) } else { Outcome::False(evidence) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{
        judge::given::judged,
        outcome::Outcome,
        result::{QueryResult, Sample},
    };

    fn counts(samples: &[(&str, &str, f64)]) -> QueryResult {
        let sample = |(pod, code, value): &(&str, &str, f64)| Sample {
            labels: [("pod".into(), (*pod).into()), ("code".into(), (*code).into())].into(),
            value: *value,
        };
        QueryResult::Vector(samples.iter().map(sample).collect())
    }

    fn item(more: Value) -> Value {
        let mut discrete = json!({"key": "code", "badValues": ["500", "503"], "tolerancePercent": 1});
        discrete.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({"discreteValueOutOfList": discrete})
    }

    #[test]
    fn as_much_as_tolerated_is_good() {
        let at = |bad: f64| judged(item(json!({})), &counts(&[("a", "200", 99.0), ("a", "500", bad)])).as_str();
        assert_eq!((at(1.0), at(1.01), at(0.0)), ("true", "false", "true"));
    }

    /// In the original, rates were cut to whole numbers: below 1 they counted for nothing, and sparse errors passed.
    #[test]
    fn rates_below_one_count() {
        let result = counts(&[("a", "200", 0.5), ("a", "500", 0.02)]);
        assert_eq!(judged(item(json!({})), &result).as_str(), "false");
        let sparse = counts(&[("a", "200", 0.5), ("a", "500", 0.004)]);
        assert_eq!(judged(item(json!({})), &sparse).as_str(), "true");
    }

    #[test]
    fn good_values_go_before_bad_ones() {
        let good = item(json!({"goodValues": ["200"]}));
        assert_eq!(judged(good.clone(), &counts(&[("a", "404", 1.0)])).as_str(), "false");
        assert_eq!(judged(good, &counts(&[("a", "200", 1.0)])).as_str(), "true");
        assert_eq!(judged(item(json!({})), &counts(&[("a", "404", 1.0)])).as_str(), "true");
    }

    #[test]
    fn each_pod_has_a_share_of_its_own_unless_all_are_one_set() {
        let result = counts(&[("a", "200", 1000.0), ("b", "200", 1.0), ("b", "503", 1.0)]);
        let Outcome::False(evidence) = judged(item(json!({})), &result) else { panic!("not false") };
        assert_eq!(evidence.message, "50 % > 1 % (tolerancePercent) with a bad code, mostly \"503\", pod b");
        assert_eq!(evidence.value, "50%");
        let mut all = item(json!({}));
        all["allPodsQuery"] = json!(true);
        assert_eq!(judged(all, &result).as_str(), "true");
    }

    #[test]
    fn what_cannot_be_counted_is_unknown() {
        let keyless = QueryResult::Vector(vec![Sample { labels: [("pod".into(), "a".into())].into(), value: 1.0 }]);
        for result in [keyless, counts(&[("a", "200", 0.0)]), counts(&[("a", "200", -1.0)])] {
            assert_eq!(judged(item(json!({})), &result).as_str(), "unknown", "{result:?}");
        }
    }
}
