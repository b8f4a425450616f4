//! YAML as kubectl reads it: documents as JSON, plain words by version 1.1 (`scalar`).
//!
//! Stricter in one thing: of two equal keys kubectl silently takes the last, which is never meant.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::scalar;

/// More values than a file needs; aliases could make any number of them.
const MOST_VALUES: usize = 1_000_000;

/// All documents of a text. What is JSON, but not YAML, is taken as well.
///
/// # Errors
/// The line, and what is wrong there.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    let options = granit_parser::options! { emit_comments: false };
    let parser = Parser::new_from_str_with_options(text.trim_start_matches('\u{feff}'), options);
    let mut reader = Reader { parser, anchors: BTreeMap::new(), values: 0, path: Vec::new() };
    reader.documents().or_else(|why| json(text).ok_or(why))
}

/// Several objects may follow each other without a separator.
fn json(text: &str) -> Option<Vec<Value>> {
    text.trim_start().starts_with('{').then_some(())?;
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().ok()
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Value>,
    values: usize,
    /// Where it is in the document.
    path: Vec<String>,
}

type Next<'a> = (Event<'a>, Span);

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of granit-parser, and grows")]
impl<'a> Reader<'a> {
    fn documents(&mut self) -> Result<Vec<Value>, String> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => {
                    documents.push(self.value((event, span))?);
                }
                Event::DocumentStart(..) => self.anchors.clear(),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Next<'a>, String> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(wrong_yaml(&error)),
            None => Err("ends too early".into()),
        }
    }

    fn value(&mut self, (event, span): Next<'a>) -> Result<Value, String> {
        self.count(1, &span.start)?;
        let (value, anchor) = match event {
            Event::Scalar(word, style, anchor, tag) => {
                let value = scalar_of(&word, style, tag.as_deref()).map_err(|why| self.at(&span.start, &why))?;
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping()?, anchor),
            Event::Alias(id) => return self.alias(id, &span.start),
            _ => return Err(self.at(&span.start, "a value is missing")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn alias(&mut self, id: usize, at: &Marker) -> Result<Value, String> {
        let Some(value) = self.anchors.get(&id).cloned() else {
            return Err(self.at(at, "the alias is inside of what it stands for"));
        };
        self.count(size(&value), at)?;
        Ok(value)
    }

    fn count(&mut self, more: usize, at: &Marker) -> Result<(), String> {
        self.values = self.values.saturating_add(more);
        if self.values > MOST_VALUES { Err(self.at(at, "more than a million values")) } else { Ok(()) }
    }

    fn sequence(&mut self) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            let next = self.next()?;
            if next.0 == Event::SequenceEnd {
                return Ok(items.into());
            }
            self.path.push(format!("[{}]", items.len()));
            items.push(self.value(next)?);
            self.path.pop();
        }
    }

    fn mapping(&mut self) -> Result<Value, String> {
        let mut fields = Map::new();
        // What a merge brings may be said again.
        let mut given = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            let (key, is_merge) = match event {
                Event::MappingEnd => return Ok(fields.into()),
                Event::Scalar(word, style, _, tag) => {
                    let is_plain = style == ScalarStyle::Plain && tag.is_none();
                    let key = if is_plain { scalar::key(&word) } else { Ok(word.to_string()) };
                    (key.map_err(|why| self.at(&span.start, &why))?, is_plain && word == "<<")
                }
                _ => return Err(self.at(&span.start, "a key must be a text, not a list or an object")),
            };
            let next = self.next()?;
            self.path.push(if self.path.is_empty() { key.clone() } else { format!(".{key}") });
            let value = self.value(next)?;
            if is_merge {
                self.merge(&mut fields, value, &span.start)?;
            } else if let Some(line) = given.insert(key.clone(), span.start.line()) {
                let field = self.path.concat();
                return Err(format!("line {}: {field} is set already in line {line}; remove one", span.start.line()));
            } else {
                fields.insert(key, value);
            }
            self.path.pop();
        }
    }

    /// Of several objects the first goes before the next; and as in kubectl, all go before the keys above.
    fn merge(&self, fields: &mut Map<String, Value>, value: Value, at: &Marker) -> Result<(), String> {
        let merged = match value {
            Value::Array(objects) => objects.into_iter().rev().collect(),
            object @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                vec![object]
            }
        };
        for object in merged {
            let Value::Object(object) = object else {
                return Err(self.at(at, "<< must be followed by an object, or a list of objects"));
            };
            fields.extend(object);
        }
        Ok(())
    }

    fn at(&self, at: &Marker, why: &str) -> String {
        let field = self.path.concat();
        match field.is_empty() {
            true => format!("line {}: {why}", at.line()),
            false => format!("line {}: {field}: {why}", at.line()),
        }
    }
}

fn wrong_yaml(error: &ScanError) -> String {
    let at = error.marker();
    format!("line {}, column {}: is not YAML: {}", at.line(), at.col() + 1, error.info())
}

/// The number of values in a value.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 1,
        Value::Object(fields) => fields.values().map(size).sum::<usize>() + 1,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

fn scalar_of(word: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let is_a = |type_| tag.is_some_and(|tag| tag.is_yaml_core_schema_tag(type_));
    match tag {
        None if style == ScalarStyle::Plain => scalar::resolve(word),
        Some(tag) if tag.is_yaml_core_schema() && !is_a("str") => {
            let value = scalar::resolve(word)?;
            let fits = match &value {
                Value::Null => is_a("null"),
                Value::Bool(_) => is_a("bool"),
                Value::Number(number) => is_a("float") || is_a("int") && !number.is_f64(),
                Value::String(_) | Value::Array(_) | Value::Object(_) => false,
            };
            if fits { Ok(value) } else { Err(format!("{word} does not have the type that its tag says")) }
        }
        None | Some(_) => Ok(word.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_read_as_by_kubectl() {
        for (text, expected) in [
            (
                "a: 0644\nb: '0644'\nc: \"yes\"\nd: yes\ne: |\n  0644\n",
                json!([{"a": 420, "b": "0644", "c": "yes", "d": true, "e": "0644\n"}]),
            ),
            (
                "mode: !!str 0644\nsize: !!int '12'\nother: !mine 12\n",
                json!([{"mode": "0644", "size": 12, "other": "12"}]),
            ),
            ("on: 1\n'on': 2\n1: a\n", json!([{"true": 1, "on": 2, "1": "a"}])),
            ("# nothing\n---\na: 1\n---\n---\n- 2\n...\n", json!([{"a": 1}, null, [2]])),
            (
                "p: &p {a: 1, b: 2}\nq: *p\nr: {<<: *p, b: 3}\n",
                json!([{"p": {"a": 1, "b": 2}, "q": {"a": 1, "b": 2}, "r": {"a": 1, "b": 3}}]),
            ),
            (
                "p: &p {a: 1}\nq: &q {a: 2, b: 2}\nr:\n  <<: [*p, *q]\n",
                json!([{"p": {"a": 1}, "q": {"a": 2, "b": 2}, "r": {"a": 1, "b": 2}}]),
            ),
            ("\u{feff}a:\n", json!([{"a": null}])),
            ("{\"a\": 1.0,\n\t\"b\": \"\\/\"}\n{\"c\": 2}", json!([{"a": 1.0, "b": "/"}, {"c": 2}])),
        ] {
            assert_eq!(documents(text).map(Value::from), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_field() {
        for (text, expected) in [
            (
                "a: 1\nb:\n  c: 1\n  d:\n  - e: 1\n    f: 2\n    e: 3\n",
                "line 7: b.d[0].e is set already in line 5; remove one",
            ),
            ("true: 1\nyes: 2\n", "line 2: true is set already in line 1; remove one"),
            ("a:\n  b: .nan\n", "line 2: a.b: .nan is not a number in JSON; quote it if it is a text"),
            ("a: !!int x\n", "line 1: a: x does not have the type that its tag says"),
            ("~: 1\n", "line 1: \"~\" as a key is null; quote it if it is a text"),
            ("replicas: {{ .Values.replicas }}\n", "line 1: replicas: a key must be a text, not a list or an object"),
            ("a: &a [*a]\n", "line 1: a[0]: the alias is inside of what it stands for"),
            ("<<: 1\n", "line 1: <<: << must be followed by an object, or a list of objects"),
        ] {
            assert_eq!(documents(text), Err(expected.to_owned()), "{text}");
        }
        let error = documents("a: [\n").expect_err("not YAML");
        assert!(error.starts_with("line ") && error.contains("is not YAML: "), "{error}");
    }

    #[test]
    fn aliases_do_not_multiply_without_end() {
        let lists = (1..12).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", ")));
        let text = format!("l0: &l0 [x, x]\n{}", lists.collect::<String>());
        let error = documents(&text).expect_err("too much");
        assert!(error.contains("more than a million values"), "{error}");
    }
}
