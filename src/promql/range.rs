//! `valueInRange`: every sample lies between two bounds, which are good values themselves.

use super::{
    figures::{Relation, comparison, is_share},
    outcome::{About, Evidence, Outcome},
    worst::{conclude, worst_by},
};
use crate::api::ValueInRange;

pub(super) fn judge(range: &ValueInRange, query: &str, samples: &[About<'_>]) -> Outcome {
    // The distance to the nearer bound; negative outside. Of several at the same distance the first decides.
    let margin = |value: f64| (value - range.min).min(range.max - value);
    let Some(worst) = worst_by(samples.iter().rev(), |value| -margin(value)) else {
        return Outcome::not_finite();
    };
    let value = worst.sample.value;
    let (relation, bound, field) = compared(range, value);
    let comparison = comparison(value, relation, bound, is_share(query, [range.min, range.max], value));
    let evidence = Evidence {
        message: format!("{comparison} ({field}){}", worst.named(samples.len())),
        value: value.to_string(),
        bound: format!("{} to {}", range.min, range.max),
        samples: samples.len(),
    };
    conclude((range.min..=range.max).contains(&value), samples, evidence)
}

/// With which bound to compare a value. Of a good one the bound that is not the default says more, else the nearer.
fn compared(range: &ValueInRange, value: f64) -> (Relation, f64, &'static str) {
    let (above, below) = (range.max - value, value - range.min);
    let is_max = range.min == 0.0 || range.max != 1.0 && above <= below;
    match (value > range.max, value < range.min, is_max) {
        (true, _, _) => (Relation::Above, range.max, "max"),
        (_, true, _) => (Relation::Below, range.min, "min"),
        (_, _, true) => (Relation::AtMost, range.max, "max"),
        (_, _, false) => (Relation::AtLeast, range.min, "min"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{
        judge::given::{judged, vector},
        outcome::Outcome,
    };

    #[test]
    fn bounds_are_good_values() {
        let cases = [(0.1, "true"), (0.3, "true"), (0.2, "true"), (0.300_000_1, "false"), (0.099_999, "false")];
        for (value, expected) in cases {
            let item = json!({"valueInRange": {"min": 0.1, "max": 0.3}});
            assert_eq!(judged(item, &vector(&[("a", value)])).as_str(), expected, "{value}");
        }
    }

    #[test]
    fn bad_goes_before_unknown() {
        let item = json!({"valueInRange": {"min": 0, "max": 1}});
        assert_eq!(judged(item, &vector(&[("a", f64::NAN), ("b", 2.0)])).as_str(), "false");
    }

    #[test]
    fn an_infinite_bound_of_a_schema_less_past_is_no_panic() {
        let item = json!({"valueInRange": {"min": -1e308, "max": 1e308}});
        assert_eq!(judged(item, &vector(&[("a", 1e308)])).as_str(), "true");
    }

    #[test]
    fn the_message_says_which_bound_and_which_pod() {
        let cases = [
            (json!({"query": "a / b", "valueInRange": {"max": 0.01}}), 0.245_207, "24.5 % > 1 % (max)"),
            (json!({"query": "a / b", "valueInRange": {"max": 0.01}}), 0.0, "0 % <= 1 % (max)"),
            (json!({"query": "a / b", "valueInRange": {"min": 0.95}}), 0.9, "90 % < 95 % (min)"),
            (json!({"query": "a / b", "valueInRange": {"min": 0.95}}), 0.999, "99.9 % >= 95 % (min)"),
            (json!({"query": "a / b", "valueInRange": {"max": 1}}), 1.5, "1.5 > 1 (max)"),
            (json!({"valueInRange": {"min": 10, "max": 310}}), 300.25, "300 <= 310 (max)"),
        ];
        for (item, value, expected) in cases {
            let (Outcome::True(evidence) | Outcome::False(evidence)) = judged(item, &vector(&[("a", value)])) else {
                panic!("{expected}")
            };
            assert_eq!((evidence.message.as_str(), evidence.value), (expected, value.to_string()));
        }
        let item = json!({"valueInRange": {"min": 0, "max": 5}});
        let Outcome::False(evidence) = judged(item, &vector(&[("a", 1.0), ("b", 7.0)])) else { panic!("not false") };
        assert_eq!(evidence.message, "7 > 5 (max), pod b");
    }

    /// Which of them is named does not change, whatever an analyser compares.
    #[test]
    fn of_several_at_the_same_distance_the_first_decides() {
        let item = json!({"valueInRange": {"min": 0, "max": 1}});
        let Outcome::False(evidence) = judged(item, &vector(&[("a", 2.0), ("b", -1.0)])) else { panic!("not false") };
        assert_eq!(evidence.value, "2");
    }
}
