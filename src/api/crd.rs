//! The CustomResourceDefinition, generated from the types; `crds/kanarydeployments.yaml` is its checked-in copy.

use kube::CustomResourceExt;
use serde_json::Value;

use super::KanaryDeployment;

const HEADER: &str = "# Generated from src/api by `kanary crd`; tests/crds.rs checks that it is fresh.\n";

/// The YAML that `kubectl apply` takes.
///
/// # Errors
/// Never in practice: the types serialize.
pub fn yaml() -> Result<String, serde_saphyr::ser_error::Error> {
    // The schema is deep: at two spaces a level, and with long rules wrapped, half of the file would be white.
    let options = serde_saphyr::ser_options! { indent_step: 1, prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(&definition(), options)?;
    Ok(format!("{HEADER}{}", yaml.replace("- \n", "-\n")))
}

/// The CustomResourceDefinition.
#[must_use]
pub fn definition() -> Value {
    let mut crd = serde_json::to_value(KanaryDeployment::crd()).unwrap_or_default();
    tidy(&mut crd);
    crd
}

/// The schema that a resource must keep to, its CEL rules included.
#[must_use]
pub fn schema() -> Value {
    definition().pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default()
}

/// An optional field is one that may be absent; `null` would only be a second way to write that. A whole number is written
/// as one, because readers of YAML differ about `1.0`. And a description is one paragraph, however its source is wrapped:
/// `kubectl explain` wraps it again.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.retain(|key, value| key != "nullable" || !value.is_boolean());
            if let Some(Value::String(description)) = map.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Number(number) => {
            let whole =
                number.as_f64().filter(|number| number.fract() == 0.0).and_then(|n| n.to_string().parse::<i64>().ok());
            if let Some(whole) = whole {
                *number = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
