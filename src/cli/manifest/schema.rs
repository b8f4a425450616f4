//! What the API server checks before any rule: types, bounds, required and unknown fields.
//!
//! As much of OpenAPI as the CRD uses; it reads the CRD's own schema, so the two cannot differ. `rules` evaluates the CEL
//! rules.

use serde_json::{Map, Value};

use super::typed::shown;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const RULES: &str = "x-kubernetes-validations";

/// What is wrong with a value: one sentence each, beginning with the path of the field.
#[must_use]
pub fn check(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    any(schema, value, path, &mut wrong);
    wrong
}

/// Removes nulls, which the API server treats as absent. Opaque parts stay as they are.
pub fn drop_nulls(schema: &Value, value: &mut Value) {
    let Some(fields) = value.as_object_mut() else {
        let items = value.as_array_mut().into_iter().flatten();
        return items.for_each(|item| drop_nulls(&schema["items"], item));
    };
    if let Some(known) = schema["properties"].as_object() {
        fields.retain(|key, value| !(value.is_null() && known.contains_key(key)));
    }
    for (key, value) in fields {
        drop_nulls(&schema["properties"][key], value);
    }
}

/// The schema without the fields that none of these values has, by default or otherwise, and without transition rules.
pub fn of_creation(schema: &Value, values: &[&Value]) -> Value {
    let mut schema = schema.clone();
    if let Some(rules) = schema[RULES].as_array_mut() {
        rules.retain(|rule| !rule["rule"].as_str().is_some_and(|rule| rule.contains("oldSelf")));
    }
    if let Some(fields) = schema["properties"].as_object_mut() {
        fields.retain(|field, schema| {
            let default = schema["default"].clone();
            let values = values.iter().map(|value| if value[field].is_null() { &default } else { &value[field] });
            let values: Vec<&Value> = values.filter(|value| !value.is_null()).collect();
            *schema = of_creation(schema, &values);
            !values.is_empty()
        });
    }
    if schema["items"].is_object() {
        let items: Vec<&Value> = values.iter().filter_map(|value| value.as_array()).flatten().collect();
        schema["items"] = of_creation(&schema["items"], &items);
    }
    schema
}

fn any(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let Some(type_) = schema["type"].as_str() else { return };
    if !is_a(type_, value) {
        return wrong.push(format!("{path}: must be {} {type_}, not {}", article(type_), shown(value)));
    }
    match value {
        Value::Object(fields) => object(schema, fields, path, wrong),
        Value::Array(items) => array(schema, items, path, wrong),
        Value::String(text) => string(schema, text, path, wrong),
        Value::Number(_) => number(schema, value, path, wrong),
        Value::Bool(_) | Value::Null => {}
    }
}

fn is_a(type_: &str, value: &Value) -> bool {
    match type_ {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => true,
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &str, wrong: &mut Vec<String>) {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for field in required.filter(|field| !fields.contains_key(*field)) {
        wrong.push(format!("{path}.{field}: is required"));
    }
    bounds(schema, ("minProperties", "maxProperties", "entries"), fields.len(), path, wrong);
    let opaque =
        schema[PRESERVE] == true || (schema["properties"].is_null() && schema["additionalProperties"].is_null());
    for (key, value) in fields {
        let (parent, path) = (path, format!("{path}.{key}"));
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) if opaque => {}
            (Value::Null, Value::Null) => wrong.push(format!("{path}: unknown field{}", near(schema, parent, key))),
            (Value::Null, other) if other["type"] == "string" && (value.is_number() || value.is_boolean()) => {
                wrong.push(format!("{path}: must be a string, not {value}; quote it: \"{value}\""));
            }
            (Value::Null, other) => any(other, value, &path, wrong),
            (known, _) => any(known, value, &path, wrong),
        }
    }
}

/// Fields of the first Kanary that have another name or another shape here.
const RENAMED: [(&str, &str); 4] = [
    ("validations", "validation"),
    ("prometheusService", "prometheus.url, with http:// before it"),
    ("podNamekey", "podNameKey"),
    ("activate", "spec.traffic.source: mirror, which needs no switch"),
];

/// The field that was probably meant: one of this name below, one with another name today, or one with a similar name.
fn near(schema: &Value, path: &str, key: &str) -> String {
    let known = schema["properties"].as_object();
    let below = |depth| below(schema, key, depth);
    let renamed = || RENAMED.iter().find(|(old, _)| *old == key).map(|(_, now)| (*now).to_owned());
    let similar = || {
        let score = |name: &String| similar::TextDiff::from_chars(&name.to_lowercase(), &key.to_lowercase()).ratio();
        let all = known.into_iter().flat_map(Map::keys).map(|name| (score(name), name));
        all.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7).map(|(_, name)| name.clone())
    };
    let meant = below(1).or_else(renamed).or_else(similar).or_else(|| below(3));
    meant.map_or_else(String::new, |meant| match meant.contains("[]") {
        true => format!("; did you mean {}.{meant}?", path.trim_start_matches('.')),
        false => format!("; did you mean {meant}?"),
    })
}

/// Where a field of this name is, so many levels below; the items of a list are no level of their own.
fn below(schema: &Value, key: &str, depth: usize) -> Option<String> {
    let children = || schema["properties"].as_object().into_iter().flatten();
    let here = children().find_map(|(name, child)| {
        let has = |schema: &Value| !schema["properties"][key].is_null();
        let is_item = has(&child["items"]);
        (is_item || has(child)).then(|| format!("{name}{}.{key}", if is_item { "[]" } else { "" }))
    });
    here.or_else(|| {
        let deeper = |child| below(child, key, depth.checked_sub(2)? + 1);
        children().find_map(|(name, child)| deeper(child).map(|path| format!("{name}.{path}")))
    })
}

fn array(schema: &Value, items: &[Value], path: &str, wrong: &mut Vec<String>) {
    bounds(schema, ("minItems", "maxItems", "items"), items.len(), path, wrong);
    for (index, item) in items.iter().enumerate() {
        any(&schema["items"], item, &format!("{path}[{index}]"), wrong);
    }
}

fn string(schema: &Value, text: &str, path: &str, wrong: &mut Vec<String>) {
    bounds(schema, ("minLength", "maxLength", "characters"), text.chars().count(), path, wrong);
    if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        wrong.push(format!("{path}: must be a time in RFC 3339 format, such as 2030-01-31T08:00:00Z"));
    }
    let allowed: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !allowed.is_empty() && !allowed.contains(&text) {
        wrong.push(format!("{path}: must be one of {}, not {text:?}", allowed.join(", ")));
    }
}

fn number(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let number = value.as_f64().unwrap_or_default();
    let fits = match schema["format"].as_str() {
        Some("int32") => value.as_i64().is_none_or(|number| i32::try_from(number).is_ok()),
        Some(_) | None => true,
    };
    if !fits {
        wrong.push(format!("{path}: {value} does not fit into 32 bits"));
    }
    if let Some(minimum) = schema["minimum"].as_f64().filter(|minimum| number < *minimum) {
        wrong.push(format!("{path}: must be at least {minimum}, not {value}"));
    }
    if let Some(maximum) = schema["maximum"].as_f64().filter(|maximum| number > *maximum) {
        wrong.push(format!("{path}: must be at most {maximum}, not {value}"));
    }
}

fn bounds(schema: &Value, (least, most, unit): (&str, &str, &str), count: usize, path: &str, wrong: &mut Vec<String>) {
    let bound = |field: &str| schema[field].as_u64().and_then(|bound| usize::try_from(bound).ok());
    if let Some(least) = bound(least).filter(|least| count < *least) {
        wrong.push(format!("{path}: must have at least {least} {unit}, not {count}"));
    }
    if let Some(most) = bound(most).filter(|most| count > *most) {
        wrong.push(format!("{path}: must have at most {most} {unit}, not {count}"));
    }
}

fn article(type_: &str) -> &'static str {
    if type_.starts_with(['a', 'i', 'o']) { "an" } else { "a" }
}
