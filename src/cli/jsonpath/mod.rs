//! JSONPath templates as kubectl knows them: `{.metadata.name}`, `{range .items[*]}{.metadata.name}{"\n"}{end}`,
//! `{.status.conditions[?(@.type=="Ready")].status}`. What is missing is an empty text, as in `kubectl get`.

mod eval;
mod parse;
mod piece;

use std::str::FromStr;

use piece::Piece;
use serde_json::Value;

/// A template.
#[derive(Clone, Debug)]
pub struct Template(Vec<Piece>);

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // kubectl takes a bare path as well.
        let text = if text.contains('{') || text.is_empty() { text.to_owned() } else { format!("{{{text}}}") };
        parse::template(&text).map(Self)
    }
}

impl Template {
    /// The template, filled in.
    #[must_use]
    pub fn render(&self, object: &Value) -> String {
        eval::render(&self.0, object, object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list() -> Value {
        let item = |name: &str, ready: &str, run: i64| {
            json!({
                "metadata": {"name": name, "labels": {"a.b/c": name}}, "status": {"run": run, "conditions": [
                    {"type": "Ready", "status": ready}, {"type": "Stalled", "status": "False"},
                ]},
            })
        };
        json!({"kind": "List", "items": [item("web", "True", 2), item("api", "False", 10)]})
    }

    #[test]
    fn templates_are_filled_in_as_by_kubectl() {
        for (template, expected) in [
            ("{.kind}", "List"),
            (".kind", "List"),
            ("{$.kind}", "List"),
            ("kind={.kind};", "kind=List;"),
            ("{.items[*].metadata.name}", "web api"),
            ("{.items[0].metadata.name}", "web"),
            ("{.items[-1].metadata.name}", "api"),
            ("{.items[0:1].metadata.name}", "web"),
            ("{.items[::2].metadata.name}", "web"),
            ("{.items[0,1].status.run}", "2 10"),
            ("{.items[*]['kind','metadata']['name','labels']['a.b/c']}", "web api"),
            ("{..name}", "web api"),
            ("{.items[*].metadata.labels.a\\.b/c}", "web api"),
            ("{.items[0].metadata.labels['a.b/c']}", "web"),
            ("{.items[?(@.metadata.name==\"api\")].status.run}", "10"),
            ("{.items[?(@.status.run>2)].metadata.name}", "api"),
            ("{.items[?(@.status.run != 2)].metadata.name}", "api"),
            ("{.items[0].status.conditions[?(@.type=='Ready')].status}", "True"),
            ("{.items[?(@.missing)].metadata.name}", ""),
            ("{range .items[*]}{.metadata.name}{\"\\t\"}{.status.run}{\"\\n\"}{end}", "web\t2\napi\t10\n"),
            ("{range .items[*]}{$.kind}{'/'}{.metadata.name} {end}", "List/web List/api "),
            ("{.items[0].metadata}", "{\"labels\":{\"a.b/c\":\"web\"},\"name\":\"web\"}"),
            ("{.missing.field}", ""),
            ("{.items[7].x}", ""),
            ("", ""),
        ] {
            let read: Template = template.parse().unwrap_or_else(|why| panic!("{template}: {why}"));
            assert_eq!(read.render(&list()), expected, "{template}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for wrong in
            ["{.kind", "{kind}", "{.items[}", "{.items[?(@.a==)]}", "{end}", "{range .items[*]}", "{\"a}", "{.a[x]}"]
        {
            wrong.parse::<Template>().expect_err(wrong);
        }
    }
}
