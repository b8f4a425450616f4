//! `valueInRange`: every sample lies between two bounds, which are good values themselves.

use super::outcome::{About, Evidence, Outcome};
use crate::api::ValueInRange;

pub(super) fn judge(range: &ValueInRange, samples: &[About<'_>]) -> Outcome {
    // The distance to the nearer bound; negative outside.
    let margin = |about: &&About<'_>| (about.sample.value - range.min).min(range.max - about.sample.value);
    let finite = || samples.iter().filter(|about| about.sample.value.is_finite());
    let Some(worst) = finite().min_by(|one, other| margin(one).total_cmp(&margin(other))) else {
        return Outcome::not_finite();
    };
    let (value, count) = (worst.sample.value, samples.len());
    let bound = format!("{} to {}", range.min, range.max);
    let good = (range.min..=range.max).contains(&value);
    let is = if good { "lies in" } else { "is outside" };
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
}
