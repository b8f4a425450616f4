//! `continuousValueDeviation`: every sample, a ratio to the mean, lies near 1.

use super::outcome::{About, Evidence, Outcome};
use crate::api::ContinuousValueDeviation;

pub(super) fn judge(deviation: &ContinuousValueDeviation, samples: &[About<'_>]) -> Outcome {
    let finite = || samples.iter().filter(|about| about.sample.value.is_finite());
    let distance = |about: &&About<'_>| (1.0 - about.sample.value).abs();
    let Some(worst) = finite().max_by(|one, other| distance(one).total_cmp(&distance(other))) else {
        return Outcome::not_finite();
    };
    let (value, count) = (worst.sample.value, samples.len());
    let share = deviation.max_deviation_percent / 100.0;
    // |1 − v| ≤ share, written so that the bounds themselves are not lost to rounding.
    let good = (1.0 - share..=1.0 + share).contains(&value);
    let bound = format!("at most {}% from 1", deviation.max_deviation_percent);
    let is = if good { "lies" } else { "does not lie" };
    let message = format!("{value}{} {is} {bound} ({count} samples)", worst.whose());
    let evidence = Evidence { message, value: value.to_string(), bound, samples: count };
    match (good, finite().count() == count) {
        (false, _) => Outcome::False(evidence),
        (true, true) => Outcome::True(evidence),
        (true, false) => Outcome::not_finite(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::judge::given::{judged, vector};

    #[test]
    fn as_far_as_allowed_is_good_on_both_sides() {
        let cases = [(1.0, "true"), (1.1, "true"), (0.9, "true"), (1.100_001, "false"), (0.899_999, "false")];
        for (value, expected) in cases {
            let item = json!({"continuousValueDeviation": {"maxDeviationPercent": 10}});
            assert_eq!(judged(item, &vector(&[("a", 1.0), ("b", value)])).as_str(), expected, "{value}");
        }
    }
}
