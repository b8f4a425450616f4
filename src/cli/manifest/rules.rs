//! What the API server would reject without cluster state: the CRD's schema and its CEL rules, evaluated here.

use std::sync::LazyLock;

use kube_cel::{ErrorKind, Validator, compile_schema};
use serde_json::Value;

use super::{schema, typed};
use crate::api::{KanaryDeployment, crd};

/// The CRD's schema.
static SCHEMA: LazyLock<Value> = LazyLock::new(crd::schema);

/// A resource that the API server would accept, as it would read it; else the reasons, one sentence each.
///
/// # Errors
/// Why it would be rejected.
pub fn admit(object: &Value) -> Result<KanaryDeployment, Vec<String>> {
    let schema = &*SCHEMA;
    let mut object = object.clone();
    schema::drop_nulls(schema, &mut object);
    let mut wrong = types(&object);
    wrong.extend(schema::check(&without_status(schema), &spec_only(&object), ""));
    let mut wrong: Vec<String> =
        wrong.into_iter().map(|sentence| sentence.trim_start_matches('.').to_owned()).collect();
    if wrong.is_empty() {
        wrong = broken_rules(schema, &object);
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    typed::read(&object).map_err(|why| vec![why])
}

/// `apiVersion` and the name, which the schema does not check.
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
            wrong.push(format!("metadata.name: {name:?} must consist of lowercase letters, digits, '-' and '.'"));
        }
        Some(_) => {}
    }
    wrong
}

fn spec_only(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|field, _| !matches!(field.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    }
    object
}

fn without_status(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("status");
    }
    schema
}

/// A rule takes longer to compile than to run, so only those that apply to this object are compiled.
fn broken_rules(schema: &Value, object: &Value) -> Vec<String> {
    let rules = compile_schema(&schema::of_creation(schema, &[object]));
    let Err(errors) = Validator::new().validate_compiled(&rules, object, None) else { return Vec::new() };
    let mut sentences: Vec<String> = errors.into_vec().into_iter().map(sentence).collect();
    // The fields of a compiled schema have no order.
    sentences.sort();
    sentences
}

/// The messages of the CRD name the field, unless the rule is about one field only. For items of a list the path is added.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of kube-cel, and grows")]
fn sentence(error: kube_cel::ValidationError) -> String {
    let (message, path) = (error.message, error.field_path);
    match error.kind {
        ErrorKind::ValidationFailure if message.contains("items[]") => format!("{message} ({path})"),
        ErrorKind::ValidationFailure if message.contains("spec.") || message.contains("metadata.") => message,
        ErrorKind::ValidationFailure => format!("{path}: {message}"),
        _ => format!("{path}: the rule cannot be evaluated here: {message}"),
    }
}
