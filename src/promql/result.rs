//! From the bytes that a Prometheus sent to a typed answer. Whatever they are, it never panics.
//!
//! Not here: what an answer means for the canary (`truth`, `range`, `deviation`, `discrete`).

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

/// Labels of a sample.
pub type Labels = BTreeMap<String, String>;

/// What an instant query can answer.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryResult {
    /// A number without labels.
    Scalar(f64),
    /// Any number of samples; it may be empty.
    Vector(Vec<Sample>),
    /// A string literal.
    Text(String),
}

/// One sample of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels, the metric's name among them as `__name__`.
    pub labels: Labels,
    /// Its value; NaN and the infinities are values too.
    pub value: f64,
}

/// Why there is no answer. No evidence is never success, and by itself never failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It refused, or something before it did.
    #[error("Prometheus answers {status}{}", cure(*.status))]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// It refused, and says why.
    #[error("Prometheus answers {status}: {why}{}", cure(*.status))]
    Explained {
        /// The HTTP status.
        status: u16,
        /// In its own words, shortened.
        why: String,
    },
    /// Not the JSON of its API.
    #[error("the answer is not that of a Prometheus API; does the URL lead to one?")]
    Foreign,
    /// A range vector.
    #[error("the answer is a range vector; the query must give an instant vector or a scalar")]
    Range,
    /// A native histogram among the samples.
    #[error("a sample is a native histogram, not a number; use histogram_quantile() or the like")]
    Histogram,
    /// It says itself that the answer may be incomplete.
    #[error("Prometheus warns that the answer may be incomplete: {0}")]
    Warned(String),
}

fn cure(status: u16) -> &'static str {
    match status {
        300..=399 => " (redirects are not followed: give the URL that it leads to)",
        401 | 403 => " (credentials: see bearerTokenSecretRef and basicAuthSecretRef)",
        404 => " (is the URL that of a Prometheus, without /api/v1?)",
        429 => " (too many queries)",
        _ => "",
    }
}

/// Only what is read; anything else in an answer is no business of ours.
#[derive(Deserialize)]
struct Envelope {
    status: Status,
    data: Option<Data>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar((IgnoredAny, Number)),
    Vector(Vec<Item>),
    String((IgnoredAny, String)),
    Matrix(IgnoredAny),
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    metric: Labels,
    value: Option<(IgnoredAny, Number)>,
}

/// A number as Prometheus writes it: in a string, for JSON has neither NaN nor infinities.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Number(f64);

impl TryFrom<String> for Number {
    type Error = std::num::ParseFloatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// Reads a reply to `/api/v1/query`.
///
/// # Errors
/// [`QueryError`]; it says what is wrong.
pub fn read(status: u16, body: &[u8]) -> Result<QueryResult, QueryError> {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    match (status, envelope) {
        (200..=299, Some(Envelope { status: Status::Success, data: Some(data), warnings, .. })) => {
            typed(data, warnings)
        }
        (200..=299, None | Some(Envelope { status: Status::Success, .. })) => Err(QueryError::Foreign),
        (_, Some(Envelope { error, .. })) if !error.is_empty() => {
            Err(QueryError::Explained { status, why: shortened(&error, 300) })
        }
        (_, None | Some(_)) => Err(QueryError::Refused { status }),
    }
}

fn typed(data: Data, warnings: Vec<String>) -> Result<QueryResult, QueryError> {
    if let Some(warning) = warnings.iter().find(|warning| !is_remark(warning)) {
        return Err(QueryError::Warned(shortened(warning, 300)));
    }
    match data {
        Data::Scalar((_, Number(value))) => Ok(QueryResult::Scalar(value)),
        Data::Vector(items) => items.into_iter().map(sample).collect::<Result<_, _>>().map(QueryResult::Vector),
        Data::String((_, text)) => Ok(QueryResult::Text(text)),
        Data::Matrix(_) => Err(QueryError::Range),
    }
}

/// Before Prometheus told them apart, and in Thanos still, remarks on the query stand among the warnings. They say nothing
/// of what was found, and come with every answer. What is called a warning says that something was left out: samples of a
/// kind that does not fit, buckets without bounds, ranges that are too short.
fn is_remark(warning: &str) -> bool {
    warning.starts_with("PromQL info:")
}

fn sample(item: Item) -> Result<Sample, QueryError> {
    let (_, Number(value)) = item.value.ok_or(QueryError::Histogram)?;
    Ok(Sample { labels: item.metric, value })
}

/// At most so many characters: what others say must not fill the status.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most + 1).collect();
    if flat.chars().count() <= most { flat } else { flat.chars().take(most).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn ok(data: serde_json::Value) -> Result<QueryResult, QueryError> {
        read(200, json!({"status": "success", "data": data}).to_string().as_bytes())
    }

    #[test]
    fn scalars_vectors_and_strings_are_answers() {
        let scalar = ok(json!({"resultType": "scalar", "result": [1435781451.781, "1"]}));
        assert_eq!(scalar, Ok(QueryResult::Scalar(1.0)));
        let text = ok(json!({"result": [1, "true"], "resultType": "string"}));
        assert_eq!(text, Ok(QueryResult::Text("true".into())), "whatever the order of the fields");
        let vector = ok(json!({"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [1, "0.5"]}]}));
        let sample = Sample { labels: [("pod".into(), "a".into())].into(), value: 0.5 };
        assert_eq!(vector, Ok(QueryResult::Vector(vec![sample])));
        assert_eq!(ok(json!({"resultType": "vector", "result": []})), Ok(QueryResult::Vector(Vec::new())));
    }

    #[test]
    fn what_json_cannot_say_is_read_as_prometheus_writes_it() {
        let scalar = |text| ok(json!({"resultType": "scalar", "result": [1, text]}));
        assert!(matches!(scalar("NaN"), Ok(QueryResult::Scalar(value)) if value.is_nan()));
        assert_eq!(scalar("+Inf"), Ok(QueryResult::Scalar(f64::INFINITY)));
        assert_eq!(scalar("-Inf"), Ok(QueryResult::Scalar(f64::NEG_INFINITY)));
        assert_eq!(scalar("1e-3"), Ok(QueryResult::Scalar(0.001)));
    }

    #[test]
    fn everything_else_is_in_doubt_and_says_why() {
        let histogram = json!({"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {"count": "3"}]}]});
        let cases = [
            (ok(json!({"resultType": "matrix", "result": []})), "range vector"),
            (ok(histogram), "native histogram"),
            (ok(json!({"resultType": "scalar", "result": [1, "one"]})), "not that of a Prometheus"),
            (ok(json!({"resultType": "scalar", "result": [1, 1]})), "not that of a Prometheus"),
            (ok(json!(null)), "not that of a Prometheus"),
            (read(200, b"<html>"), "not that of a Prometheus"),
            (read(200, b"{\"status\":\"success\",\"data\":{\"resultType\":\"sca"), "not that of a Prometheus"),
            (read(302, b""), "302 (redirects"),
            (read(401, b"Unauthorized"), "401 (credentials"),
            (read(403, b""), "403 (credentials"),
            (read(429, b""), "429"),
            (read(500, b"\xff\xfe"), "500"),
            (read(503, b"no healthy upstream"), "503"),
            (read(422, br#"{"status":"error","errorType":"execution","error":"too many samples"}"#), "422: too many"),
            (read(200, br#"{"status":"error","error":"odd"}"#), "odd"),
        ];
        for (answer, why) in cases {
            let doubt = answer.expect_err(why).to_string();
            assert!(doubt.contains(why), "{doubt} does not say {why}");
        }
    }

    fn warned(warnings: &[&str]) -> Result<QueryResult, QueryError> {
        let body = json!({"status": "success", "warnings": warnings,
                          "data": {"resultType": "scalar", "result": [1, "1"]}});
        read(200, body.to_string().as_bytes())
    }

    #[test]
    fn an_answer_that_may_be_incomplete_is_none() {
        let info =
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:6)";
        let mixed = "PromQL warning: encountered a mix of histograms and floats for metric name \"x\" (1:6)";
        for warning in ["a store is down", mixed, "3 more annotations omitted", ""] {
            for warnings in [vec![warning], vec![info, warning]] {
                assert_eq!(warned(&warnings), Err(QueryError::Warned(warning.into())));
            }
        }
    }

    #[test]
    fn a_remark_on_the_query_does_not_make_its_answer_incomplete() {
        let remarks = [
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:6)",
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (1:21)",
        ];
        assert_eq!(warned(&remarks), Ok(QueryResult::Scalar(1.0)));
    }

    #[test]
    fn what_others_say_is_bounded() {
        assert_eq!(shortened("aäb\ncd", 4), "aäb …");
        assert_eq!(shortened("aäb", 3), "aäb");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_a_doubt(status in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..512)) {
            drop(read(status, &body));
        }

        #[test]
        fn a_mangled_answer_is_an_answer_or_a_doubt(at in 0_usize..120, byte in any::<u8>(), cut in 0_usize..140) {
            let mut body = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"a"},"value":[1,"0.5"]}]}}"#.to_vec();
            let at = at % body.len();
            body[at] = byte;
            body.truncate(cut);
            drop(read(200, &body));
        }

        #[test]
        fn every_number_comes_back(value in any::<f64>()) {
            let body = json!({"status": "success", "data": {"resultType": "scalar", "result": [1, value.to_string()]}});
            let Ok(QueryResult::Scalar(read)) = read(200, body.to_string().as_bytes()) else { panic!("{value}") };
            prop_assert!(read == value || read.is_nan() && value.is_nan());
        }
    }
}
