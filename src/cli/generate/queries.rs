//! Queries for Istio's standard metrics. Healthy is 1, failing is 0, and without requests there is no result.

use serde_json::{Value, json};

/// Requests to the canary, as its own proxy counts them.
const CANARY: &str =
    r#"reporter="destination",destination_workload_namespace="{{namespace}}",destination_workload="{{canary.name}}""#;

/// A limit for a latency percentile: `P99<310`, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantile {
    /// As written, because it becomes part of the item's name.
    percent: String,
    most: f64,
}

impl std::str::FromStr for Quantile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} must be a percentile and its limit in milliseconds, such as P99<310");
        let (percent, most) = text.split_once('<').ok_or_else(wrong)?;
        let percent = percent.trim().strip_prefix(['P', 'p']).ok_or_else(wrong)?;
        let share: f64 = percent.parse().map_err(|_| wrong())?;
        let most: f64 = most.trim_start_matches('=').trim().parse().map_err(|_| wrong())?;
        let sound = share > 0.0 && share < 100.0 && most.is_finite() && most > 0.0;
        sound.then(|| Self { percent: percent.to_owned(), most }).ok_or_else(wrong)
    }
}

/// The minimum share of requests that do not fail: above 0, at most 1.
///
/// # Errors
/// One sentence.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| format!("{text:?} must be a share above 0 and up to 1, such as 0.95"))
}

/// The item that limits a latency percentile. Without requests the percentile is NaN: a range detects that, a comparison
/// would return 0.
#[must_use]
pub fn latency(quantile: &Quantile, prometheus: &str) -> Value {
    let Quantile { percent, most } = quantile;
    let share = percent.parse::<f64>().unwrap_or_default() / 100.0;
    let buckets = format!("rate(istio_request_duration_milliseconds_bucket{{{CANARY}}}[1m])");
    json!({
        "name": format!("latency-p{}", percent.replace('.', "-")),
        "promQL": {
            "prometheus": {"url": prometheus},
            "query": format!("histogram_quantile({share}, sum by (le) ({buckets}))"),
            "valueInRange": {"min": 0, "max": number(*most)},
            "allPodsQuery": true,
        },
    })
}

/// The item that limits the share of requests without a server error. Without a successful request it is 0, not an empty
/// result; without any request it is empty, not NaN, which `bool` would turn into 0.
#[must_use]
pub fn success(least: f64, prometheus: &str) -> Value {
    let rate = |more: &str| format!("sum(rate(istio_requests_total{{{CANARY}{more}}}[1m]))");
    let (good, all) = (rate(r#",response_code!~"5..""#), rate(""));
    json!({
        "name": "success-rate",
        "promQL": {
            "prometheus": {"url": prometheus},
            "query": format!("({good} or vector(0))\n  / ({all} > 0) >= bool {least}"),
        },
    })
}

/// 310 instead of 310.0.
fn number(value: f64) -> Value {
    let text = value.to_string();
    text.parse::<u64>().map_or_else(|_| json!(value), |whole| json!(whole))
}
