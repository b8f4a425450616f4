//! `continuousValueDeviation`: every sample, a ratio to the mean, lies near 1.

use super::{
    figures::{Relation, comparison},
    outcome::{About, Evidence, Outcome},
    worst::{conclude, worst_by},
};
use crate::api::ContinuousValueDeviation;

pub(super) fn judge(deviation: &ContinuousValueDeviation, samples: &[About<'_>]) -> Outcome {
    let distance = |value: f64| (1.0 - value).abs();
    let Some(worst) = worst_by(samples.iter(), distance) else {
        return Outcome::not_finite();
    };
    let value = worst.sample.value;
    let share = deviation.max_deviation_percent / 100.0;
    // |1 − v| ≤ share, written so that the bounds themselves are not lost to rounding.
    let is_good = (1.0 - share..=1.0 + share).contains(&value);
    let relation = if is_good { Relation::AtMost } else { Relation::Above };
    let comparison = comparison(distance(value), relation, share, true);
    let evidence = Evidence {
        message: format!("{comparison} (maxDeviationPercent){}", worst.named(samples.len())),
        value: value.to_string(),
        bound: format!("at most {}% from 1", deviation.max_deviation_percent),
        samples: samples.len(),
    };
    conclude(is_good, samples, evidence)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{
        judge::given::{judged, vector},
        outcome::Outcome,
    };

    #[test]
    fn as_far_as_allowed_is_good_on_both_sides() {
        let cases = [(1.0, "true"), (1.1, "true"), (0.9, "true"), (1.100_001, "false"), (0.899_999, "false")];
        for (value, expected) in cases {
            let item = json!({"continuousValueDeviation": {"maxDeviationPercent": 10}});
            assert_eq!(judged(item, &vector(&[("a", 1.0), ("b", value)])).as_str(), expected, "{value}");
        }
    }

    #[test]
    fn the_message_says_how_far_and_which_pod() {
        let item = json!({"continuousValueDeviation": {"maxDeviationPercent": 10}});
        let samples = vector(&[("a", 1.0), ("b", 0.75), ("c", 1.25)]);
        let Outcome::False(evidence) = judged(item, &samples) else { panic!("not false") };
        assert_eq!(evidence.message, "25 % > 10 % (maxDeviationPercent), pod c");
        assert_eq!((evidence.value.as_str(), evidence.bound.as_str()), ("1.25", "at most 10% from 1"));
    }
}
