//! What the API server would refuse without looking at the cluster: the CRD's schema and its CEL rules, evaluated here.

use std::sync::LazyLock;

use kube_cel::{ErrorKind, Validator, compile_schema};
use serde_json::Value;

use super::schema;
use crate::api::{KanaryDeployment, crd};

/// The CRD's schema.
static SCHEMA: LazyLock<Value> = LazyLock::new(crd::schema);

/// A resource that the API server would take, as it would read it; else what it would say, one sentence each.
///
/// # Errors
/// The refusals.
pub fn admit(object: &Value) -> Result<KanaryDeployment, Vec<String>> {
    let schema = &*SCHEMA;
    let mut object = object.clone();
    schema::drop_nulls(schema, &mut object);
    let mut wrong = types(&object);
    wrong.extend(schema::check(&without_metadata(schema), &without(&object), ""));
    let mut wrong: Vec<String> =
        wrong.into_iter().map(|sentence| sentence.trim_start_matches('.').to_owned()).collect();
    if wrong.is_empty() {
        wrong = broken_rules(schema, &object);
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    serde_json::from_value(object).map_err(|error| vec![error.to_string()])
}

/// `apiVersion`, `kind` and the name, which are no business of the schema.
fn types(object: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if object["apiVersion"] != "kanary.k8s.io/v1alpha1" {
        wrong.push("apiVersion: must be kanary.k8s.io/v1alpha1".to_owned());
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    match name {
        None => wrong.push("metadata.name: is required".into()),
        Some(name) if name.is_empty() || !name.chars().all(sound) => {
            wrong.push(format!("metadata.name: {name:?} must be lowercase letters, digits, '-' or '.'"));
        }
        Some(_) => {}
    }
    wrong
}

fn without(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|field, _| !matches!(field.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    }
    object
}

fn without_metadata(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("status");
    }
    schema
}

/// A rule takes longer to compile than to run, so only those that have something to say of this object are.
fn broken_rules(schema: &Value, object: &Value) -> Vec<String> {
    let rules = compile_schema(&schema::of_creation(schema, &[object]));
    let Err(errors) = Validator::new().validate_compiled(&rules, object, None) else { return Vec::new() };
    let mut sentences: Vec<String> = errors.into_vec().into_iter().map(sentence).collect();
    // The fields of a compiled schema come in no order.
    sentences.sort();
    sentences
}

/// Our messages name the field themselves, unless the rule is about one field only. Of a list's items they name none.
fn sentence(error: kube_cel::ValidationError) -> String {
    let (message, path) = (error.message, error.field_path);
    match error.kind {
        ErrorKind::ValidationFailure if message.contains("items[]") => format!("{message} ({path})"),
        ErrorKind::ValidationFailure if message.contains("spec.") || message.contains("metadata.") => message,
        ErrorKind::ValidationFailure => format!("{path}: {message}"),
        _ => format!("{path}: the rule cannot be evaluated here: {message}"),
    }
}
