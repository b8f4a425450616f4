//! RFC 7386 and the two operations of RFC 6902 that are used, as the API server applies them.

use kanary::lifecycle::Patch;
use serde_json::{Value, json};

/// Applies a patch; a path that leads nowhere is an error.
pub fn apply(object: &mut Value, patch: &Patch) -> Result<(), String> {
    match patch {
        Patch::Merge(patch) => {
            merge(object, patch);
            Ok(())
        }
        Patch::Json(operations) => operations.iter().try_for_each(|operation| step(object, operation)),
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

fn step(object: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |field: &str| operation[field].as_str().unwrap_or_default();
    let (parent, key) = text("path").rsplit_once('/').ok_or("no path")?;
    let key = key.replace("~1", "/").replace("~0", "~");
    let fields = object
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .ok_or_else(|| format!("{} leads nowhere", text("path")))?;
    match text("op") {
        "replace" if !fields.contains_key(&key) => Err(format!("{} is not there", text("path"))),
        "add" | "replace" => {
            fields.insert(key, operation["value"].clone());
            Ok(())
        }
        other => Err(format!("{other} is not used")),
    }
}
