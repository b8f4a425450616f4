//! A simulated Prometheus, in which every query passes, for every pod of the canary.

use serde_json::{Map, Value, json};

use crate::{
    api::{DiscreteValueOutOfList, PromQl},
    promql::{Outcome, Query},
};

/// The outcome of a query, read as the controller would.
#[must_use]
pub fn answer(query: &Query) -> Outcome {
    query.read(200, body(query).to_string().as_bytes())
}

fn body(query: &Query) -> Value {
    let item = &query.prom_ql;
    let sample = |pod: &String| {
        let mut labels = Map::from_iter([(item.pod_name_key.clone(), json!(pod))]);
        labels.extend(item.discrete_value_out_of_list.as_ref().map(|list| (list.key.clone(), json!(good(list)))));
        json!({"metric": labels, "value": [0, value(item).to_string()]})
    };
    let samples: Vec<Value> = query.pods.iter().map(sample).collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": samples}})
}

/// True, the middle of the range, the mean, or a number of requests of a good kind.
fn value(item: &PromQl) -> f64 {
    item.value_in_range.as_ref().map_or(1.0, |range| f64::midpoint(range.min, range.max))
}

fn good(list: &DiscreteValueOutOfList) -> String {
    list.good_values.first().cloned().unwrap_or_else(|| "good".into())
}
