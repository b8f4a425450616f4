//! A query that is true or false by itself: 1 is true, 0 is false, and so are the strings.

use super::{
    outcome::{Evidence, Outcome, labels},
    result::{QueryResult, Sample},
};

/// Any sample that is 0 makes it false; anything that is neither 0 nor 1 leaves it open.
pub fn judge(result: &QueryResult) -> Outcome {
    match result {
        QueryResult::Scalar(value) => one(*value),
        QueryResult::Vector(samples) => all(samples),
        QueryResult::Text(text) => string(text),
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
    let bad: Vec<&Sample> = samples.iter().filter(|sample| sample.value == 0.0).collect();
    if let Some(first) = bad.first() {
        let which = format!(" for {} ({} of {count} samples)", labels(&first.labels), bad.len());
        let message = format!("the query is false{}", if count > 1 { which } else { String::new() });
        return Outcome::False(evidence(message, "0", count));
    }
    match samples.iter().find(|sample| sample.value != 1.0) {
        Some(other) => neither(other.value),
        None if samples.is_empty() => Outcome::empty(),
        None => Outcome::True(evidence("the query is true".into(), "1", count)),
    }
}

fn string(text: &str) -> Outcome {
    match text {
        "true" => Outcome::True(evidence("the query is true".into(), text, 1)),
        "false" => Outcome::False(evidence("the query is false".into(), text, 1)),
        _ => Outcome::Unknown("the result is a string that is neither \"true\" nor \"false\"".into()),
    }
}

/// Which number it is changes each time, so the message does not say it.
fn neither(value: f64) -> Outcome {
    let what = if value.is_finite() { "a number other than 0 and 1" } else { "NaN or infinite, not 0 or 1" };
    Outcome::Unknown(format!("the result is {what}; compare with `bool`, or use valueInRange to evaluate a number"))
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
        let results = odd.iter().flat_map(|value| [QueryResult::Scalar(*value), vector(&[("a", 1.0), ("b", *value)])]);
        for result in results.chain([QueryResult::Text("True".into()), QueryResult::Text(String::new())]) {
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
        assert_eq!(evidence.message, r#"the query is false for {pod="bad"} (1 of 2 samples)"#);
        assert_eq!(evidence.samples, 2);
    }
}
