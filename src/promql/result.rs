//! From the bytes that a Prometheus sent to a typed result. Whatever they are, it never panics.
//!
//! The crate's types decode vectors and scalars. What they do not know is decoded here: a string, warnings beside the data,
//! and what is wrong with anything else.
//!
//! Not here: what a result means for the canary (`boolean`, `range`, `deviation`, `discrete`).

use std::collections::BTreeMap;

use prometheus_http_query::response::{Data, InstantVector};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::api::text::{clip, shortened};

/// The most bytes of a label's name, of its value and of a string that are kept: more than any name of a pod, and than any
/// value that an item may list.
const LONGEST: usize = 1024;

/// Labels of a sample.
pub type Labels = BTreeMap<String, String>;

/// What an instant query can return.
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

/// Why there is no result. Missing evidence is never success, and by itself never failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Prometheus refused, or something before it did.
    #[error("Prometheus returned {status}{}", fix(*.status))]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// Prometheus refused, and says why.
    #[error("Prometheus returned {status}: {why}{}", fix(*.status))]
    Explained {
        /// The HTTP status.
        status: u16,
        /// Its own text, shortened.
        why: String,
    },
    /// Not the JSON of its API.
    #[error("the response is not from a Prometheus API; check prometheus.url")]
    Foreign,
    /// A range vector.
    #[error("the result is a range vector; the query must return an instant vector or a scalar")]
    Range,
    /// A native histogram among the samples.
    #[error("a sample is a native histogram, not a number; use histogram_quantile() or a similar function")]
    Histogram,
    /// Prometheus says itself that the result may be incomplete.
    #[error("Prometheus warns that the result may be incomplete: {0}")]
    Warned(String),
}

fn fix(status: u16) -> &'static str {
    match status {
        300..=399 => " (redirects are not followed; use the URL that it points to)",
        401 | 403 => " (credentials: see bearerTokenSecretRef and basicAuthSecretRef)",
        404 => " (prometheus.url must be the base URL, without /api/v1)",
        429 => " (too many queries)",
        _ => "",
    }
}

/// Only what is read; anything else in a response is of no interest.
#[derive(Deserialize)]
struct Envelope<'a> {
    status: Status,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
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

/// What the crate's [`Data`] does not decode.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum OtherData {
    String((IgnoredAny, String)),
    Vector(Vec<OtherSample>),
    Matrix(IgnoredAny),
}

#[derive(Deserialize)]
struct OtherSample {
    histogram: Option<IgnoredAny>,
}

/// Reads a response to `/api/v1/query`.
///
/// # Errors
/// [`QueryError`]; it says what is wrong.
pub fn read(status: u16, body: &[u8]) -> Result<QueryResult, QueryError> {
    let envelope: Option<Envelope<'_>> = serde_json::from_slice(body).ok();
    match (status, envelope) {
        (200..=299, Some(Envelope { status: Status::Success, data: Some(data), warnings, .. })) => {
            complete(&warnings).and_then(|()| decode(data.get()))
        }
        (200..=299, None | Some(Envelope { status: Status::Success, .. })) => Err(QueryError::Foreign),
        (_, Some(Envelope { error, .. })) if !error.is_empty() => {
            Err(QueryError::Explained { status, why: shortened(&error, 300) })
        }
        (_, None | Some(_)) => Err(QueryError::Refused { status }),
    }
}

fn complete(warnings: &[String]) -> Result<(), QueryError> {
    let warning = warnings.iter().find(|warning| !is_remark(warning));
    warning.map_or(Ok(()), |warning| Err(QueryError::Warned(shortened(warning, 300))))
}

fn decode(data: &str) -> Result<QueryResult, QueryError> {
    match serde_json::from_str(data) {
        Ok(Data::Scalar(sample)) => Ok(QueryResult::Scalar(sample.value())),
        Ok(Data::Vector(series)) => Ok(QueryResult::Vector(series.into_iter().map(sample).collect())),
        Ok(Data::Matrix(_)) => Err(QueryError::Range),
        Err(_) => decode_other(data),
    }
}

fn decode_other(data: &str) -> Result<QueryResult, QueryError> {
    match serde_json::from_str(data) {
        Ok(OtherData::String((_, text))) => Ok(QueryResult::Text(clip(&text, LONGEST))),
        Ok(OtherData::Vector(samples)) if samples.iter().any(|sample| sample.histogram.is_some()) => {
            Err(QueryError::Histogram)
        }
        Ok(OtherData::Matrix(_)) => Err(QueryError::Range),
        Ok(OtherData::Vector(_)) | Err(_) => Err(QueryError::Foreign),
    }
}

fn sample(series: InstantVector) -> Sample {
    let (labels, sample) = series.into_inner();
    let labels = labels.into_iter().map(|(name, value)| (bounded(name), bounded(value))).collect();
    Sample { labels, value: sample.value() }
}

fn bounded(text: String) -> String {
    if text.len() > LONGEST { clip(&text, LONGEST) } else { text }
}

/// Before Prometheus separated the two, and in Thanos still, remarks on the query are among the warnings. They say
/// nothing about what was found, and come with every response. What is called a warning says that something was left
/// out: samples of a kind that does not fit, buckets without bounds, ranges that are too short.
fn is_remark(warning: &str) -> bool {
    warning.starts_with("PromQL info:")
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
    fn scalars_vectors_and_strings_are_results() {
        let scalar = ok(json!({"resultType": "scalar", "result": [1435781451.781, "1"]}));
        assert_eq!(scalar, Ok(QueryResult::Scalar(1.0)));
        let text = ok(json!({"result": [1, "true"], "resultType": "string"}));
        assert_eq!(text, Ok(QueryResult::Text("true".into())), "whatever the order of the fields");
        let vector = ok(json!({"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [1, "0.5"]}]}));
        let sample = Sample { labels: [("pod".into(), "a".into())].into(), value: 0.5 };
        assert_eq!(vector, Ok(QueryResult::Vector(vec![sample])));
        assert_eq!(ok(json!({"resultType": "vector", "result": []})), Ok(QueryResult::Vector(Vec::new())));
        let body = br#"{"status":"success","data":{"result":[1,"1"],"stats":{},"resultType":"scalar"},"infos":["x"]}"#;
        assert_eq!(read(200, body), Ok(QueryResult::Scalar(1.0)), "whatever else there is");
    }

    /// It is the time of the evaluation, by the server's clock. When a result counts is decided by when its query was sent,
    /// by the controller's.
    #[test]
    fn the_time_of_a_sample_is_not_read() {
        let at =
            |time: f64| ok(json!({"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [time, "1"]}]}));
        assert!(at(0.0).is_ok());
        for time in [1_000_000_000.0, 1e12, -5.0, 0.5] {
            assert_eq!(at(time), at(0.0), "{time}");
        }
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
    fn everything_else_is_an_error_that_says_why() {
        let histogram = json!({"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {"count": "3"}]}]});
        let ranges = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "1"]]}]});
        let histograms =
            json!({"resultType": "matrix", "result": [{"metric": {}, "histograms": [[1, {"count": "3"}]]}]});
        let cases = [
            (ok(json!({"resultType": "matrix", "result": []})), "range vector"),
            (ok(ranges), "range vector"),
            (ok(histograms), "range vector"),
            (ok(histogram), "native histogram"),
            (ok(json!({"resultType": "vector", "result": [{"metric": {}}]})), "not from a Prometheus"),
            (ok(json!({"resultType": "scalar", "result": [1, "one"]})), "not from a Prometheus"),
            (ok(json!({"resultType": "scalar", "result": [1, 1]})), "not from a Prometheus"),
            (ok(json!(null)), "not from a Prometheus"),
            (read(200, b"<html>"), "not from a Prometheus"),
            (read(200, b"{\"status\":\"success\",\"data\":{\"resultType\":\"sca"), "not from a Prometheus"),
            (read(302, b""), "302 (redirects"),
            (read(401, b"Unauthorized"), "401 (credentials"),
            (read(403, b""), "403 (credentials"),
            (read(429, b""), "429"),
            (read(500, b"\xff\xfe"), "500"),
            (read(503, b"no healthy upstream"), "503"),
            (read(422, br#"{"status":"error","errorType":"execution","error":"too many samples"}"#), "422: too many"),
            (read(200, br#"{"status":"error","error":"odd"}"#), "odd"),
        ];
        for (result, why) in cases {
            let error = result.expect_err(why).to_string();
            assert!(error.contains(why), "{error} does not say {why}");
        }
    }

    fn warned(warnings: &[&str]) -> Result<QueryResult, QueryError> {
        let body = json!({"status": "success", "warnings": warnings,
                          "data": {"resultType": "scalar", "result": [1, "1"]}});
        read(200, body.to_string().as_bytes())
    }

    #[test]
    fn a_result_that_may_be_incomplete_is_none() {
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
    fn a_remark_on_the_query_does_not_make_its_result_incomplete() {
        let remarks = [
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:6)",
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (1:21)",
        ];
        assert_eq!(warned(&remarks), Ok(QueryResult::Scalar(1.0)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_result_or_an_error(status in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..512)) {
            drop(read(status, &body));
        }

        #[test]
        fn a_mangled_response_is_a_result_or_an_error(at in 0_usize..120, byte in any::<u8>(), cut in 0_usize..140) {
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
