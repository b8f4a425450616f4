//! RFC 7386 and RFC 6902, as the API server applies them.

use kanary::decision::Patch;
use serde_json::{Value, json};

/// Applies a patch; a path that leads nowhere is an error.
pub fn apply(object: &mut Value, patch: &Patch) -> Result<(), String> {
    match patch {
        Patch::Merge(patch) => {
            merge(object, patch);
            Ok(())
        }
        Patch::Json(operations) => {
            let patch: json_patch::Patch = serde_json::from_value(json!(operations)).map_err(|why| why.to_string())?;
            json_patch::patch(object, &patch).map_err(|why| why.to_string())
        }
    }
}

pub fn merge(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let target = object.as_object_mut().expect("it is an object now");
    for (key, value) in fields {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}
