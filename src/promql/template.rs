//! The query as a template: handlebars' `{{variable}}`, strict, escaped for PromQL.
//!
//! Only variables. Blocks, helpers and partials are refused: a query is text that a person must be able to read, and a
//! partial that includes itself would end the process.

use std::{collections::BTreeSet, sync::Arc};

use handlebars::template::{Parameter, Template, TemplateElement};

use super::memo::Memo;

/// Variables that a template may have; handlebars takes the square of their number.
const MOST_VARIABLES: usize = 256;
/// And backslashes that may stand in a row, for the same reason.
const MOST_BACKSLASHES: usize = 64;

/// A variable of the table in docs/reference.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Kanary,
    Namespace,
    Deployment,
    Canary,
    Service,
    KanaryService,
    Pods,
    Period,
    Elapsed,
}

const VARIABLES: [(&str, Variable); 9] = [
    ("kanary.name", Variable::Kanary),
    ("namespace", Variable::Namespace),
    ("deployment.name", Variable::Deployment),
    ("canary.name", Variable::Canary),
    ("service.name", Variable::Service),
    ("kanaryService.name", Variable::KanaryService),
    ("canary.pods", Variable::Pods),
    ("validation.period", Variable::Period),
    ("validation.elapsed", Variable::Elapsed),
];

/// What the variables stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// `kanary.name`
    pub kanary: String,
    /// `namespace`
    pub namespace: String,
    /// `deployment.name`: the base.
    pub deployment: String,
    /// `canary.name`: the canary Deployment.
    pub canary: String,
    /// `service.name`: the production Service, if one is named.
    pub service: Option<String>,
    /// `kanaryService.name`
    pub kanary_service: String,
    /// `canary.pods`: rendered as a regular expression.
    pub pods: BTreeSet<String>,
    /// `validation.period`, a PromQL duration.
    pub period: String,
    /// `validation.elapsed`, a PromQL duration.
    pub elapsed: String,
}

/// Why a query cannot be made of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such variable.
    #[error("line {line}: there is no variable {name}; there are {}", known())]
    Unknown {
        /// As written.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// It stands for nothing here.
    #[error("line {line}: service.name stands for nothing, for spec.serviceName is not set")]
    NoService {
        /// Counted from 1.
        line: usize,
    },
    /// More than a variable.
    #[error("line {line}: between {{{{ and }}}} only a variable may stand: no block, helper or partial")]
    TooMuch {
        /// Counted from 1.
        line: usize,
    },
    /// Handlebars does not understand it.
    #[error("line {line}: {why}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// In handlebars' words.
        why: String,
    },
}

fn known() -> String {
    VARIABLES.map(|(name, _)| name).join(", ")
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Variable(Variable, usize),
}

/// Compiling takes longer than all else in a decision, and the same few templates come again and again.
static COMPILED: Memo<Result<Vec<Piece>, Fault>> = Memo::new();

/// Makes the query.
///
/// # Errors
/// [`Fault`]; it names the variable and the line.
pub fn render(template: &str, values: &Values) -> Result<String, Fault> {
    let compiled: Arc<Result<Vec<Piece>, Fault>> = COMPILED.get(template, || compile(template));
    let pieces = compiled.as_ref().as_ref().map_err(Clone::clone)?;
    pieces.iter().map(|piece| piece.render(values)).collect()
}

/// The same for a template that does not come again: it is not remembered.
///
/// # Errors
/// [`Fault`]
pub fn render_once(template: &str, values: &Values) -> Result<String, Fault> {
    compile(template)?.iter().map(|piece| piece.render(values)).collect()
}

/// Handlebars' parser calls itself for each block and parenthesis, and thousands of them end the process. Nothing that it
/// could nest comes to it; nor what it takes the square of the time for.
fn bounded(template: &str) -> Result<(), Fault> {
    let line = |at: usize| template[..at].matches('\n').count() + 1;
    if let Some(at) = template.find(&"\\".repeat(MOST_BACKSLASHES + 1)) {
        let why = format!("more than {MOST_BACKSLASHES} backslashes stand in a row");
        return Err(Fault::Malformed { line: line(at), why });
    }
    let (mut from, mut count) = (0, 0);
    while let Some(open) = template[from..].find("{{").map(|at| from + at) {
        count += 1;
        if count > MOST_VARIABLES {
            let why = format!("there are more than {MOST_VARIABLES} variables");
            return Err(Fault::Malformed { line: line(open), why });
        }
        let end = template[open..].find("}}").map_or(template.len(), |at| open + at);
        let inner = &template[open..end];
        // After a backslash it is no comment.
        let is_comment = inner.starts_with("{{!") && !template[..open].ends_with('\\');
        if !is_comment && inner.contains(['(', '[', '#', '"', '\'', '=']) {
            return Err(Fault::TooMuch { line: line(open) });
        }
        from = end;
    }
    Ok(())
}

fn compile(template: &str) -> Result<Vec<Piece>, Fault> {
    bounded(template)?;
    let parsed = Template::compile(template).map_err(|error| Fault::Malformed {
        line: error.pos().map_or(1, |(line, _)| line),
        why: error.reason().to_string(),
    })?;
    let lines = parsed.mapping.iter().map(|at| at.0);
    parsed.elements.iter().zip(lines).filter_map(|(element, line)| piece(element, line)).collect()
}

fn piece(element: &TemplateElement, line: usize) -> Option<Result<Piece, Fault>> {
    Some(match element {
        TemplateElement::RawString(text) => Ok(Piece::Text(text.clone())),
        TemplateElement::Comment(_) => return None,
        TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) if call.params.is_empty() => {
            name(&call.name).map_or(Err(Fault::TooMuch { line }), |name| variable(name, line))
        }
        _ => Err(Fault::TooMuch { line }),
    })
}

fn name(parameter: &Parameter) -> Option<&str> {
    match parameter {
        Parameter::Name(_) | Parameter::Path(_) => parameter.as_name(),
        // A literal, a call, or what a later handlebars invents.
        _ => None,
    }
}

fn variable(name: &str, line: usize) -> Result<Piece, Fault> {
    let found = VARIABLES.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, variable)| Piece::Variable(*variable, line))
        .ok_or_else(|| Fault::Unknown { name: name.to_owned(), line })
}

impl Piece {
    fn render(&self, values: &Values) -> Result<String, Fault> {
        let (variable, line) = match self {
            Piece::Text(text) => return Ok(text.clone()),
            Piece::Variable(variable, line) => (*variable, *line),
        };
        let value = match variable {
            Variable::Kanary => &values.kanary,
            Variable::Namespace => &values.namespace,
            Variable::Deployment => &values.deployment,
            Variable::Canary => &values.canary,
            Variable::Service => values.service.as_ref().ok_or(Fault::NoService { line })?,
            Variable::KanaryService => &values.kanary_service,
            Variable::Pods => &any_of(&values.pods),
            Variable::Period => &values.period,
            Variable::Elapsed => &values.elapsed,
        };
        Ok(escape(value))
    }
}

/// A regular expression that matches these names and nothing else. No name begins with a dash, so that one matches none:
/// an empty expression would match every series that has no such label.
fn any_of(names: &BTreeSet<String>) -> String {
    let exact = |name: &String| name.replace('.', "[.]");
    if names.is_empty() { "-".into() } else { names.iter().map(exact).collect::<Vec<_>>().join("|") }
}

/// A value never ends the string that it stands in, whichever of PromQL's quotes that has: these escapes are the same
/// in both kinds, and within backticks they are mere text.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' | '\'' | '`' | '\n' | '\r' => escaped.push_str(&format!("\\x{:02x}", u32::from(c))),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            kanary: "web".into(),
            namespace: "shop".into(),
            deployment: "web-base".into(),
            canary: "web-kanary".into(),
            service: Some("web-service".into()),
            kanary_service: "web-copy".into(),
            pods: ["web-kanary-b", "web-kanary-a"].map(str::to_owned).into(),
            period: "15m".into(),
            elapsed: "90s".into(),
        }
    }

    #[test]
    fn each_variable_has_its_value() {
        let expected = [
            ("kanary.name", "web"),
            ("namespace", "shop"),
            ("deployment.name", "web-base"),
            ("canary.name", "web-kanary"),
            ("service.name", "web-service"),
            ("kanaryService.name", "web-copy"),
            ("canary.pods", "web-kanary-a|web-kanary-b"),
            ("validation.period", "15m"),
            ("validation.elapsed", "90s"),
        ];
        assert_eq!(expected.len(), VARIABLES.len());
        for (name, value) in expected {
            for template in [format!("a{{x=\"{{{{{name}}}}}\"}}"), format!("a{{x=\"{{{{ {name} }}}}\"}}")] {
                assert_eq!(render(&template, &values()), Ok(format!("a{{x=\"{value}\"}}")), "{template}");
            }
        }
    }

    #[test]
    fn promql_is_left_as_it_is() {
        let query = "sum by (code) (rate(x{a=\"b\",c=~'d.*',e!=`f`}[1m])) / 2 > bool 0.5 # {comment} & <more>";
        assert_eq!(render(query, &values()), Ok(query.into()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("up\n+ {{kanary.nmae}}", "line 2: there is no variable kanary.nmae; there are kanary.name, namespace"),
            ("{{kanary}}", "line 1: there is no variable kanary;"),
            ("up\n\n{{#if namespace}}x{{/if}}", "line 3: between {{ and }} only a variable"),
            ("{{lookup a b}}", "line 1: between"),
            ("{{> partial}}", "line 1: between"),
            ("{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}", "line 1: between"),
            ("up\n{{", "line 2: "),
            ("{{{namespace}}", "line 1: "),
        ];
        for (template, why) in cases {
            let fault = render(template, &values()).expect_err(template).to_string();
            assert!(fault.starts_with(why), "{fault}");
        }
        let nameless = Values { service: None, ..values() };
        assert!(render("\n{{service.name}}", &nameless).expect_err("no Service").to_string().contains("line 2"));
    }

    /// Some of them ended the process.
    #[test]
    fn what_nobody_could_read_is_refused() {
        let nested = |open: &str, close: &str| format!("{}x{}", open.repeat(2000), close.repeat(2000));
        let bad = [
            (format!("\n{{{{a {}}}}}", nested("(a ", ")")), "line 2: between"),
            (format!("{{{{a {}", "(a ".repeat(5000)), "line 1: between"),
            (format!("\\{{{{! {{{{a {}}}}}", nested("(a ", ")")), "line 1: between"),
            (format!("{{{{!a}}}}{{{{a {}}}}}", nested("[", "]")), "line 1: between"),
            (nested("{{#a}}", "{{/a}}"), "line 1: between"),
            (format!("{{{{a {}}}}}", nested("{\"a\":", "}")), "line 1: between"),
            ("{{namespace}}".repeat(1260), "line 1: there are more than 256 variables"),
            ("\\".repeat(16_384), "line 1: more than 64 backslashes"),
            ("{{".repeat(8192), "line 1: "),
            ("{{{{a}}}}".repeat(1800), "line 1: "),
        ];
        for (template, why) in bad {
            let fault = render(&template, &values()).expect_err(why).to_string();
            assert!(fault.starts_with(why), "{fault}");
        }
        assert_eq!(render(&"{{namespace}} ".repeat(200), &values()), Ok("shop ".repeat(200)));
    }

    #[test]
    fn a_comment_may_say_anything() {
        assert_eq!(render("up{{! (see #1, \"x\") }} + 1", &values()), Ok("up + 1".into()));
        assert_eq!(render("up{{!-- (see #1) --}} + 1", &values()), Ok("up + 1".into()));
    }

    #[test]
    fn no_pods_match_nothing() {
        let none = Values { pods: BTreeSet::new(), ..values() };
        assert_eq!(render("{{canary.pods}}", &none), Ok("-".into()));
    }

    #[test]
    fn a_value_cannot_break_out_of_its_string() {
        for quote in ['"', '\'', '`'] {
            let evil = Values { namespace: format!("a{quote}}} or vector(1) # \\{quote}\n"), ..values() };
            for open in ["{{", "{{{"] {
                let close = if open.len() == 2 { "}}" } else { "}}}" };
                let query = render(&format!("up{{a={quote}{open}namespace{close}{quote}}}"), &evil).expect("a query");
                assert_eq!(query.matches(quote).count(), 2, "{query}");
                assert!(promql_parser::parser::parse(&query).is_ok(), "{query}");
            }
        }
    }
}
