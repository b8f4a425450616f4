//! A query that answers true or false by itself: 1 is true, 0 is false, and so are the strings.

use super::{
    outcome::{Evidence, Outcome, labels},
    result::{QueryResult, Sample},
};

/// Any sample that is 0 makes it false; anything that is neither 0 nor 1 leaves it open.
pub fn judge(result: &QueryResult) -> Outcome {
    match result {
        QueryResult::Scalar(value) => one(*value),
        QueryResult::Vector(samples) => all(samples),
        QueryResult::Text(text) => word(text),
    }
}

fn evidence(message: String, value: &str, samples: usize) -> Evidence {
    Evidence { message, value: value.into(), bound: "true".into(), samples }
}

fn one(value: f64) -> Outcome {
    match value {
        1.0 => Outcome::True(evidence("the query is true".into(), "1", 1)),
        0.0 => Outcome::False(evidence("the query is false".into(), "0", 1)),
        other => neither(other),
    }
}

fn all(samples: &[Sample]) -> Outcome {
    let count = samples.len();
    if let Some(bad) = samples.iter().find(|sample| sample.value == 0.0) {
        let message = format!("the query is false for {} (of {count} samples)", labels(&bad.labels));
        return Outcome::False(evidence(message, "0", count));
    }
    match samples.iter().find(|sample| sample.value != 1.0) {
        Some(other) => neither(other.value),
        None if samples.is_empty() => Outcome::empty(),
        None => Outcome::True(evidence("the query is true".into(), "1", count)),
    }
}

fn word(text: &str) -> Outcome {
    match text {
        "true" => Outcome::True(evidence("the query is true".into(), text, 1)),
        "false" => Outcome::False(evidence("the query is false".into(), text, 1)),
        _ => Outcome::Unknown("the answer is a string that is neither true nor false".into()),
    }
}

/// Which number it is changes at each look, so it is not said.
fn neither(value: f64) -> Outcome {
    let what = if value.is_finite() { "a number" } else { "NaN or infinite" };
    Outcome::Unknown(format!(
        "the answer is {what}, neither 0 nor 1; compare with `bool`, or use valueInRange to judge a number"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::judge::given::vector;

    #[test]
    fn one_is_true_and_zero_is_false() {
        let cases = [
            (QueryResult::Scalar(1.0), "true"),
            (QueryResult::Scalar(0.0), "false"),
            (QueryResult::Scalar(-0.0), "false"),
            (QueryResult::Text("true".into()), "true"),
            (QueryResult::Text("false".into()), "false"),
            (vector(&[("a", 1.0), ("b", 1.0)]), "true"),
            (vector(&[("a", 1.0), ("b", 0.0)]), "false"),
            (vector(&[("a", f64::NAN), ("b", 0.0)]), "false"),
        ];
        for (result, expected) in cases {
            assert_eq!(judge(&result).as_str(), expected, "{result:?}");
        }
    }

    #[test]
    fn anything_else_is_unknown() {
        let odd = [0.5, 2.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let answers = odd.iter().flat_map(|value| [QueryResult::Scalar(*value), vector(&[("a", 1.0), ("b", *value)])]);
        for result in answers.chain([QueryResult::Text("True".into()), QueryResult::Text(String::new())]) {
            assert_eq!(judge(&result).as_str(), "unknown", "{result:?}");
        }
    }

    /// In the original, a query that found nothing was success: a typing error promoted.
    #[test]
    fn no_data_is_no_success() {
        assert_eq!(judge(&vector(&[])).as_str(), "unknown");
    }

    #[test]
    fn the_bad_sample_is_named() {
        let Outcome::False(evidence) = judge(&vector(&[("good", 1.0), ("bad", 0.0)])) else { panic!("not false") };
        assert!(evidence.message.contains(r#"{pod="bad"}"#), "{}", evidence.message);
        assert_eq!(evidence.samples, 2);
    }
}
