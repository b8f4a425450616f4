//! A short name for a piece of JSON: equal for JSON that means the same, whatever the order of its keys.

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The hash of any JSON. A null is as good as absent, as for the API server.
#[must_use]
pub fn of(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(value, &mut hasher);
    name(hasher)
}

/// The hash of a JSON object.
#[must_use]
pub fn of_map(map: &Map<String, Value>) -> String {
    let mut hasher = Sha256::new();
    feed_map(map, &mut hasher);
    name(hasher)
}

/// The hash of anything that serializes to JSON.
#[must_use]
pub fn of_any<T: Serialize>(any: &T) -> String {
    of(&serde_json::to_value(any).unwrap_or_default())
}

/// The hash of some texts in their order.
#[must_use]
pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    texts.into_iter().for_each(|text| feed_text(text, &mut hasher));
    name(hasher)
}

fn name(hasher: Sha256) -> String {
    let digest = hasher.finalize();
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

fn feed_map(map: &Map<String, Value>, hasher: &mut Sha256) {
    let mut entries: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    hasher.update(b"{");
    for (key, value) in entries {
        feed_text(key, hasher);
        hasher.update(b":");
        feed(value, hasher);
        hasher.update(b",");
    }
    hasher.update(b"}");
}

/// With its length before it, so that no text can pass for the end of itself.
fn feed_text(text: &str, hasher: &mut Sha256) {
    hasher.update(text.len().to_le_bytes());
    hasher.update(b"\"");
    hasher.update(text);
}

fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(map) => feed_map(map, hasher),
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        Value::String(text) => feed_text(text, hasher),
        Value::Null | Value::Bool(_) | Value::Number(_) => hasher.update(value.to_string()),
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
