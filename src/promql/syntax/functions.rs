//! What is known of Prometheus' functions and aggregations. Any other name is one that a server may know.

/// The value of a function or an aggregation, compared with that of its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// One of the argument's values, or the value with other labels: what was 0 or 1 still is.
    Same,
    /// A number, such as a rate, a count or a mean.
    Number,
    /// 1 if there is no sample, else nothing.
    Absent,
    /// Anything.
    Unknown,
}

/// An aggregation; its vector is the last argument.
pub fn of_aggregation(name: &str) -> Value {
    match name {
        "min" | "max" | "topk" | "bottomk" | "limitk" | "limit_ratio" => Value::Same,
        "sum" | "avg" | "count" | "quantile" | "stddev" | "stdvar" | "count_values" => Value::Number,
        _ => Value::Unknown,
    }
}

/// Aggregations that Prometheus has.
pub const AGGREGATIONS: [&str; 14] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
];

/// Functions of a range of samples.
const OF_RANGES: [&str; 28] = [
    "absent_over_time",
    "avg_over_time",
    "changes",
    "count_over_time",
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "first_over_time",
    "holt_winters",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "mad_over_time",
    "max_over_time",
    "min_over_time",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// Which argument is the range of samples.
pub fn range_argument(name: &str) -> Option<usize> {
    OF_RANGES.contains(&name).then_some(usize::from(name == "quantile_over_time"))
}

/// A function of numbers, without labels.
pub fn is_scalar(name: &str) -> bool {
    ["scalar", "time", "pi", "start", "end", "step", "range", "max_of", "min_of"].contains(&name)
}

/// A function, and which argument it is about.
pub fn of_function(name: &str) -> (Value, usize) {
    match name {
        "label_replace" | "label_join" | "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" | "info"
        | "scalar" | "vector" | "abs" | "min_over_time" | "max_over_time" | "last_over_time" | "first_over_time" => {
            (Value::Same, 0)
        }
        "absent" | "absent_over_time" => (Value::Absent, 0),
        // These make 0 and 1 of other numbers, so they may be meant.
        "ceil" | "floor" | "round" | "clamp" | "clamp_min" | "clamp_max" | "sgn" | "present_over_time" => {
            (Value::Unknown, 0)
        }
        "quantile_over_time" | "histogram_quantile" => (Value::Number, 1),
        "histogram_fraction" => (Value::Number, 2),
        "time"
        | "timestamp"
        | "hour"
        | "minute"
        | "month"
        | "year"
        | "day_of_month"
        | "day_of_week"
        | "day_of_year"
        | "days_in_month"
        | "exp"
        | "ln"
        | "log2"
        | "log10"
        | "sqrt"
        | "histogram_avg"
        | "histogram_count"
        | "histogram_sum"
        | "histogram_stddev"
        | "histogram_stdvar"
        | "histogram_quantiles" => (Value::Number, 0),
        name if range_argument(name).is_some() => (Value::Number, 0),
        _ => (Value::Unknown, 0),
    }
}

/// Ends of names that say what is counted, as Prometheus' conventions want them.
const COUNTED: [&str; 12] = [
    "_total",
    "_bucket",
    "_sum",
    "_count",
    "_seconds",
    "_milliseconds",
    "_bytes",
    "_ratio",
    ":ratio",
    "_percent",
    "_celsius",
    "_quantile",
];

/// Does the name of a metric say that it is a number? `job:errors:ratio_rate5m` does too.
pub fn is_number(metric: &str) -> bool {
    COUNTED.iter().any(|end| metric.ends_with(end)) || metric.contains(":ratio_")
}
