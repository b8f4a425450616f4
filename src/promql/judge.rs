//! Judges a result as its item says: by the analyser that the item names, sample by sample of the canary's pods.

use std::collections::BTreeSet;

use super::{
    boolean, deviation, discrete,
    outcome::{About, Outcome},
    range,
    result::{Labels, QueryResult, Sample},
};
use crate::api::PromQl;

/// Judges a result as the item says. `pods` are the canary's: samples of others are not about it.
#[must_use]
pub fn judge(item: &PromQl, pods: &BTreeSet<String>, result: &QueryResult) -> Outcome {
    analysed(item, pods, result).bounded()
}

fn analysed(item: &PromQl, pods: &BTreeSet<String>, result: &QueryResult) -> Outcome {
    if let Some(range) = &item.value_in_range {
        return about(item, pods, result, |samples| range::judge(range, &item.query, samples));
    }
    if let Some(deviation) = &item.continuous_value_deviation {
        return about(item, pods, result, |samples| deviation::judge(deviation, samples));
    }
    if let Some(discrete) = &item.discrete_value_out_of_list {
        return about(item, pods, result, |samples| discrete::judge(discrete, samples));
    }
    boolean::judge(result)
}

/// Hands the samples that are about the canary to an analyser.
fn about(
    item: &PromQl,
    pods: &BTreeSet<String>,
    result: &QueryResult,
    judge: impl FnOnce(&[About<'_>]) -> Outcome,
) -> Outcome {
    let one;
    let samples = match result {
        QueryResult::Vector(samples) => samples.as_slice(),
        QueryResult::Scalar(value) => {
            one = [Sample { labels: Labels::new(), value: *value }];
            &one
        }
        QueryResult::Text(_) => return Outcome::Unknown("the result is a string, not a number".into()),
    };
    if samples.is_empty() {
        return Outcome::empty();
    }
    if item.all_pods_query {
        let all: Vec<_> = samples.iter().map(|sample| About { pod: None, sample }).collect();
        return judge(&all);
    }
    match by_pod(&item.pod_name_key, pods, samples) {
        Ok(ours) => judge(&ours),
        Err(why) => Outcome::Unknown(why),
    }
}

fn by_pod<'a>(key: &str, pods: &BTreeSet<String>, samples: &'a [Sample]) -> Result<Vec<About<'a>>, String> {
    let named = |sample: &'a Sample| sample.labels.get(key).map(|pod| About { pod: Some(pod), sample });
    let Some(all) = samples.iter().map(named).collect::<Option<Vec<_>>>() else {
        return Err(format!(
            "a sample has no label {key} that names its pod; keep it in the query (by ({key})), set podNameKey, or set \
             allPodsQuery: true if the samples are not per pod"
        ));
    };
    let ours: Vec<_> = all.into_iter().filter(|about| about.pod.is_some_and(|pod| pods.contains(pod))).collect();
    let foreign = || format!("no sample is about a canary pod: label {key} names none of them; see podNameKey");
    if ours.is_empty() { Err(foreign()) } else { Ok(ours) }
}

#[cfg(test)]
pub(super) mod given {
    use super::*;

    /// Samples by pod.
    pub fn vector(samples: &[(&str, f64)]) -> QueryResult {
        let sample =
            |(pod, value): &(&str, f64)| Sample { labels: [("pod".into(), (*pod).into())].into(), value: *value };
        QueryResult::Vector(samples.iter().map(sample).collect())
    }

    /// An item, as written in YAML, judges a result about the canary pods a, b and c.
    pub fn judged(item: serde_json::Value, result: &QueryResult) -> Outcome {
        let mut all = serde_json::json!({"query": "x"});
        all.as_object_mut().expect("an object").extend(item.as_object().expect("an object").clone());
        let item: PromQl = serde_json::from_value(all).expect("an item");
        judge(&item, &["a", "b", "c"].map(str::to_owned).into(), result)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{given::*, *};
    use crate::promql::result;

    fn analysers() -> [Value; 3] {
        [
            json!({"valueInRange": {"min": 0, "max": 1}}),
            json!({"continuousValueDeviation": {"maxDeviationPercent": 100}}),
            json!({"discreteValueOutOfList": {"key": "pod", "goodValues": ["a", "b", "c"]}}),
        ]
    }

    #[test]
    fn an_analyser_wants_numbers_of_canary_pods() {
        let nameless = QueryResult::Vector(vec![Sample { labels: Labels::new(), value: 1.0 }]);
        for item in analysers() {
            assert_eq!(judged(item.clone(), &vector(&[("a", 1.0)])).as_str(), "true", "{item}");
            for result in [vector(&[]), nameless.clone(), QueryResult::Scalar(1.0), QueryResult::Text("1".into())] {
                assert_eq!(judged(item.clone(), &result).as_str(), "unknown", "{item} {result:?}");
            }
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert_eq!(judged(item.clone(), &vector(&[("a", value), ("b", 1.0)])).as_str(), "unknown", "{item}");
            }
        }
    }

    #[test]
    fn the_bases_pods_do_not_judge_the_canary() {
        let range = json!({"valueInRange": {"min": 0, "max": 1}});
        assert_eq!(judged(range.clone(), &vector(&[("base-1", 9.0), ("a", 1.0)])).as_str(), "true");
        assert_eq!(judged(range, &vector(&[("base-1", 1.0)])).as_str(), "unknown");
    }

    #[test]
    fn all_samples_may_be_one_set() {
        let range = json!({"valueInRange": {"min": 0, "max": 1}, "allPodsQuery": true});
        assert_eq!(judged(range.clone(), &QueryResult::Scalar(0.5)).as_str(), "true");
        assert_eq!(judged(range, &QueryResult::Scalar(1.5)).as_str(), "false");
    }

    /// In the original all pods became the last one, and so only one was judged.
    #[test]
    fn every_pod_is_judged() {
        let range = json!({"valueInRange": {"min": 0, "max": 1}});
        for bad in 0..3 {
            let mut samples = [("a", 0.5), ("b", 0.5), ("c", 0.5)];
            samples[bad].1 = 2.0;
            let Outcome::False(evidence) = judged(range.clone(), &vector(&samples)) else { panic!("{bad}") };
            assert!(evidence.message.contains(&format!("pod {}", samples[bad].0)), "{}", evidence.message);
        }
    }

    /// In the original NaN passed one analyser and failed another.
    #[test]
    fn no_number_is_no_evidence() {
        for item in analysers() {
            assert_eq!(judged(item.clone(), &vector(&[("a", f64::NAN)])).as_str(), "unknown", "{item}");
        }
    }

    fn huge() -> impl Strategy<Value = String> {
        let letters = prop::sample::select(vec!["x", "\u{1b}", "\u{9b}", "\"", "é", "\u{10ffff}"]);
        (letters, 0_usize..4000).prop_map(|(letter, count)| letter.repeat(count))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// A result is kept for as long as its run, and a copy of it by each observation.
        #[test]
        fn an_outcome_is_small_whatever_the_server_answers(
            (key, value, text) in (huge(), huge(), huge()),
            labels in 1_usize..20,
            number in prop::sample::select(vec![0.0, 1.0, 2.0, -1.0, f64::NAN, f64::MAX, f64::MIN_POSITIVE]),
        ) {
            let mut all: serde_json::Map<String, Value> = (0..labels).map(|n| (format!("{key}{n}"), json!(value))).collect();
            all.extend([("pod".into(), json!("a")), ("code".into(), json!(value))]);
            let sample = json!({"metric": all, "value": [1, number.to_string()]});
            let data = [
                json!({"resultType": "vector", "result": [sample, {"metric": {"pod": value}, "value": [1, "0"]}, sample]}),
                json!({"resultType": "string", "result": [1, text]}),
            ];
            let mut bodies: Vec<Value> = data.iter().map(|data| json!({"status": "success", "data": data})).collect();
            bodies.push(json!({"status": "success", "data": data[0], "warnings": [text]}));
            bodies.push(json!({"status": "error", "error": text}));
            let boolean = json!({"query": "x"});
            let discrete = json!({"discreteValueOutOfList": {"key": "code", "goodValues": ["200"]}});
            for mut item in analysers().into_iter().chain([boolean, discrete]) {
                for all_pods in [false, true] {
                    (item["query"], item["allPodsQuery"]) = ("x".into(), all_pods.into());
                    let item: PromQl = serde_json::from_value(item.clone()).expect("an item");
                    for body in &bodies {
                        let outcome = match result::read(200, body.to_string().as_bytes()) {
                            Ok(result) => judge(&item, &["a".to_owned()].into(), &result),
                            Err(error) => Outcome::Unknown(error.to_string()),
                        };
                        let size = match &outcome {
                            Outcome::True(of) | Outcome::False(of) => of.message.len() + of.value.len() + of.bound.len(),
                            Outcome::Unknown(why) => why.len(),
                        };
                        prop_assert!(size <= 4096, "{size} bytes: {outcome:?}");
                    }
                }
            }
        }
    }
}
