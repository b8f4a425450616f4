//! docs/reference.md lists exactly the fields of the CustomResourceDefinition, with their defaults and values.

use std::collections::{BTreeMap, BTreeSet};

use kanary::api::{ConditionType, Reason, names};
use serde_json::{Map, Value};
use strum::IntoEnumIterator;

use crate::{
    read,
    tables::{self, Row, quoted},
};

/// What the schema says of a field.
struct Field {
    default: Option<String>,
    is_required: bool,
    values: Vec<String>,
}

fn reference() -> Vec<Row> {
    tables::rows(&read("docs/reference.md"))
}

/// All fields of spec and status, by path; `[]` stands for the members of a list.
fn schema() -> BTreeMap<String, Field> {
    let crd: Value = serde_saphyr::from_str(&read("crds/kanarydeployments.yaml")).expect("YAML");
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut fields = BTreeMap::new();
    collect(&root["spec"], "spec", &mut fields);
    collect(&root["status"], "status", &mut fields);
    assert!(fields.len() > 100, "{} fields", fields.len());
    fields
}

fn collect(schema: &Value, path: &str, fields: &mut BTreeMap<String, Field>) {
    let none = Map::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, inner) in schema["properties"].as_object().unwrap_or(&none) {
        let path = format!("{path}.{name}");
        let strings = inner["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let field = Field {
            default: Some(&inner["default"]).filter(|it| !it.is_null() && !it.is_object()).map(plain),
            is_required: required.contains(&Value::from(name.as_str())),
            values: strings.map(str::to_owned).collect(),
        };
        fields.insert(path.clone(), field);
        collect(inner, &path, fields);
        collect(&inner["items"], &format!("{path}[]"), fields);
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The rows about fields, by path: the heading above a table names what its fields are in, once or several times.
fn documented() -> Vec<(String, Row)> {
    let mut fields = Vec::new();
    for row in reference().into_iter().filter(|row| row.columns.first().is_some_and(|column| column == "field")) {
        let [name] = row.names()[..] else { panic!("one field a row: {:?}", row.cells) };
        let parents: Vec<String> = quoted(&row.heading).into_iter().map(|parent| format!("{parent}.{name}")).collect();
        for path in parents {
            let (heading, columns, cells) = (row.heading.clone(), row.columns.clone(), row.cells.clone());
            fields.push((path, Row { heading, columns, cells }));
        }
    }
    fields
}

#[test]
fn every_field_is_documented_and_every_documented_field_exists() {
    let (schema, documented) = (schema(), documented());
    let listed: BTreeSet<&String> = documented.iter().map(|(path, _)| path).collect();
    assert_eq!(listed.len(), documented.len(), "a field is listed twice");
    let missing: Vec<_> = schema.keys().filter(|path| !listed.contains(path)).collect();
    let unknown: Vec<_> = listed.into_iter().filter(|path| !schema.contains_key(*path)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "docs/reference.md lacks {missing:?}, and has {unknown:?} too much"
    );
}

#[test]
fn defaults_are_those_of_the_schema() {
    let schema = schema();
    for (path, row) in documented() {
        let Some((field, told)) = schema.get(&path).zip(row.cell("default")) else { continue };
        assert_eq!(field.is_required && field.default.is_none(), told == "required", "{path}: required or not");
        if let Some(default) = &field.default {
            assert_eq!(quoted(told), [default.as_str()], "{path}: the default");
        }
    }
}

#[test]
fn values_are_those_of_the_schema() {
    let schema = schema();
    for (path, row) in documented().into_iter().filter(|(path, _)| path.starts_with("spec")) {
        let told = quoted(row.cell("meaning").unwrap_or_default());
        for value in schema.get(&path).map(|field| &field.values[..]).unwrap_or_default() {
            assert!(told.contains(&value.as_str()), "{path}: does not mention `{value}`");
        }
    }
}

/// Pieces of YAML on the pages are items of a KanaryDeployment; README.md's is checked with the examples.
#[test]
fn what_the_guides_show_has_fields_that_exist() {
    let schema = schema();
    let page = read("docs/promql.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "docs/promql.md shows an item");
    for block in blocks {
        let items: Value = serde_saphyr::from_str(block).expect("YAML");
        for item in items.as_array().expect("a list of items") {
            exists(item, "spec.validation.items[]", &schema);
        }
    }
}

fn exists(value: &Value, path: &str, schema: &BTreeMap<String, Field>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        assert!(schema.contains_key(&path), "there is no field {path}");
        exists(inner, &path, schema);
    }
}

/// The names in the first column of the tables that begin with this column.
fn first_names(page: &str, column: &str) -> Vec<String> {
    let rows = tables::rows(&read(page)).into_iter();
    let rows = rows.filter(|row| row.columns.first().is_some_and(|first| first == column));
    let mut names: Vec<String> = rows.flat_map(|row| row.names().first().map(|name| (*name).to_owned())).collect();
    names.sort();
    names
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn the_reasons_are_those_of_the_code() {
    for row in reference().iter().filter(|row| row.columns.first().is_some_and(|column| column == "reason")) {
        assert_eq!((row.names().len(), row.cells.len()), (1, 4), "one reason, four cells: {:?}", row.cells);
    }
    let known = Reason::iter().filter(|reason| !matches!(reason, Reason::Other(_)));
    assert_eq!(first_names("docs/reference.md", "reason"), sorted(known.map(|reason| reason.to_string())));
}

#[test]
fn the_conditions_are_those_of_the_code() {
    let known = ConditionType::iter().map(|type_| format!("{type_:?}"));
    assert_eq!(first_names("docs/reference.md", "condition"), sorted(known));
}

#[test]
fn the_alerts_are_those_of_the_rules() {
    let rules: Value = serde_saphyr::from_str(&read("prometheus/rules.yaml")).expect("YAML");
    let groups = rules["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
    let alerts = rules.filter_map(|rule| rule["alert"].as_str().map(str::to_owned));
    assert_eq!(first_names("docs/operations.md", "alert"), sorted(alerts));
}

#[test]
fn labels_and_annotations_are_those_of_the_code() {
    let expected = [
        names::CANARY_LABEL,
        names::APPLIED_HASH,
        names::WITHHELD_LABELS,
        names::PRODUCTION_LABELS,
        names::PROMOTED_BY,
        names::CREATED_BY,
        names::MIRROR_FINALIZER,
        names::PROMETHEUS_LABEL,
        names::ABSENCES,
        names::CHANGE_CAUSE,
    ];
    let rows = reference();
    let keys = rows.iter().filter(|row| row.columns.first().is_some_and(|column| column == "key"));
    let listed: BTreeSet<&str> = keys.flat_map(|row| row.names()).collect();
    assert_eq!(listed, expected.into());
}
