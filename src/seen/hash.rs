//! A short name for a piece of JSON: equal for JSON that means the same, whatever the order of its keys.

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The hash of any JSON. A null is as good as absent, as for the API server.
#[must_use]
pub fn of(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(value, &mut hasher);
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of a JSON object.
#[must_use]
pub fn of_map(map: &Map<String, Value>) -> String {
    of(&Value::Object(map.clone()))
}

/// The hash of anything that serializes to JSON.
#[must_use]
pub fn of_any<T: Serialize>(any: &T) -> String {
    of(&serde_json::to_value(any).unwrap_or_default())
}

fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            hasher.update(b"{");
            for (key, value) in entries {
                hasher.update(Value::from(key.as_str()).to_string());
                hasher.update(b":");
                feed(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => hasher.update(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of;

    #[test]
    fn order_and_nulls_do_not_count() {
        assert_eq!(of(&json!({"a": 1, "b": {"c": null, "d": [1, 2]}})), of(&json!({"b": {"d": [1, 2]}, "a": 1})));
    }

    #[test]
    fn everything_else_counts() {
        let all = [
            json!({"a": 1}),
            json!({"a": "1"}),
            json!({"a": [1]}),
            json!({"a": [[1]]}),
            json!([{"a": 1}]),
            json!({"a": true}),
        ];
        let hashes: std::collections::BTreeSet<_> = all.iter().map(of).collect();
        assert_eq!(hashes.len(), all.len());
    }
}
