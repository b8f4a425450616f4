//! The query as a template: handlebars' `{{variable}}`, strict, escaped for PromQL.
//!
//! Handlebars parses and renders; in between it is checked that there are variables only. Blocks, helpers and partials
//! are refused: a query is text that a person must be able to read, and a partial that includes itself would end the
//! process.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use handlebars::{
    Context, Handlebars, RenderContext, RenderError, RenderErrorReason, Renderable,
    template::{HelperTemplate, Parameter, Template, TemplateElement},
};
use serde_json::json;

use super::memo::Memo;

/// Variables that a template may have; handlebars takes the square of their number.
const MAX_VARIABLES: usize = 256;
/// And backslashes in a row, for the same reason.
const MAX_BACKSLASHES: usize = 64;

/// The variables, as in the table of docs/reference.md.
const VARIABLES: [&str; 9] = [
    "kanary.name",
    "namespace",
    "deployment.name",
    "canary.name",
    "service.name",
    "kanaryService.name",
    "canary.pods",
    "validation.period",
    "validation.elapsed",
];

/// The values of the variables.
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
    #[error("line {line}: unknown variable {name}; available: {}", known())]
    Unknown {
        /// As written.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// It has no value here.
    #[error("line {line}: service.name has no value because spec.serviceName is not set")]
    NoService {
        /// Counted from 1.
        line: usize,
    },
    /// More than a variable.
    #[error("line {line}: only a variable is allowed between {{{{ and }}}}: no block, helper or partial")]
    TooMuch {
        /// Counted from 1.
        line: usize,
    },
    /// Handlebars does not understand it.
    #[error("line {line}: {why}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Handlebars' own text.
        why: String,
    },
}

fn known() -> String {
    VARIABLES.join(", ")
}

/// Strict: a variable without a value is an error. No template that the check accepts names a helper.
static ENGINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(escape);
    engine
});

/// Parsing takes longer than all else in a decision (0.2 ms, twenty times as long as rendering), and the same few
/// templates come again and again.
static PARSED: Memo<Result<Template, Fault>> = Memo::new();
/// What they were rendered as with values that stay the same.
static RENDERED: Memo<Result<String, Fault>> = Memo::new();

/// Makes the query.
///
/// # Errors
/// [`Fault`]; it names the variable and the line.
pub fn render(template: &str, values: &Values) -> Result<String, Fault> {
    let parsed: Arc<Result<Template, Fault>> = PARSED.get(template, || parse(template));
    fill(parsed.as_ref().as_ref().map_err(Clone::clone)?, values)
}

/// The same for values that come again and again: the result is remembered.
///
/// # Errors
/// [`Fault`]
pub fn render_memoized(template: &str, values: &Values) -> Result<String, Fault> {
    let key = format!("{template}\0{values:?}");
    RENDERED.get(&key, || render(template, values)).as_ref().clone()
}

/// The same for a template that does not come again: nothing is remembered.
///
/// # Errors
/// [`Fault`]
pub fn render_once(template: &str, values: &Values) -> Result<String, Fault> {
    fill(&parse(template)?, values)
}

fn fill(template: &Template, values: &Values) -> Result<String, Fault> {
    template.renders(&ENGINE, &context(values), &mut RenderContext::new(None)).map_err(|error| fault(&error))
}

fn context(values: &Values) -> Context {
    let mut variables = json!({
        "kanary": {"name": values.kanary},
        "namespace": values.namespace,
        "deployment": {"name": values.deployment},
        "canary": {"name": values.canary, "pods": any_of(&values.pods)},
        "kanaryService": {"name": values.kanary_service},
        "validation": {"period": values.period, "elapsed": values.elapsed},
    });
    if let Some(service) = &values.service {
        variables["service"] = json!({"name": service});
    }
    Context::from(variables)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of handlebars, and grows")]
fn fault(error: &RenderError) -> Fault {
    let line = error.line_no.unwrap_or(1);
    match error.reason() {
        // All others have a value.
        RenderErrorReason::MissingVariable(_) => Fault::NoService { line },
        reason => Fault::Malformed { line, why: reason.to_string() },
    }
}

/// Handlebars' parser calls itself for each block and parenthesis, and thousands of them end the process. Nothing that it
/// could nest comes to it; nor what it takes the square of the time for.
fn bounded(template: &str) -> Result<(), Fault> {
    let line = |at: usize| template[..at].matches('\n').count() + 1;
    if let Some(at) = template.find(&"\\".repeat(MAX_BACKSLASHES + 1)) {
        let why = format!("more than {MAX_BACKSLASHES} backslashes in a row");
        return Err(Fault::Malformed { line: line(at), why });
    }
    let (mut from, mut count) = (0, 0);
    while let Some(open) = template[from..].find("{{").map(|at| from + at) {
        count += 1;
        if count > MAX_VARIABLES {
            let why = format!("more than {MAX_VARIABLES} variables");
            return Err(Fault::Malformed { line: line(open), why });
        }
        let end = template[open..].find("}}").map_or(template.len(), |at| open + at);
        let inner = &template[open..end];
        // After a backslash it is not a comment.
        let is_comment = inner.starts_with("{{!") && !template[..open].ends_with('\\');
        if !is_comment && inner.contains(['(', '[', '#', '"', '\'', '=']) {
            return Err(Fault::TooMuch { line: line(open) });
        }
        from = end;
    }
    Ok(())
}

fn parse(template: &str) -> Result<Template, Fault> {
    bounded(template)?;
    let mut parsed = Template::compile(template).map_err(|error| Fault::Malformed {
        line: error.pos().map_or(1, |(line, _)| line),
        why: error.reason().to_string(),
    })?;
    let lines: Vec<usize> = parsed.mapping.iter().map(|at| at.0).collect();
    for (element, line) in parsed.elements.iter_mut().zip(lines) {
        accept(element, line)?;
    }
    Ok(parsed)
}

/// Text, comments and variables. Three braces would skip the escaping, so they become two.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of handlebars, and grows")]
fn accept(element: &mut TemplateElement, line: usize) -> Result<(), Fault> {
    match element {
        TemplateElement::RawString(_) | TemplateElement::Comment(_) => Ok(()),
        TemplateElement::Expression(call) => variable(call, line),
        TemplateElement::HtmlExpression(call) => {
            variable(call, line)?;
            *element = TemplateElement::Expression(call.clone());
            Ok(())
        }
        _ => Err(Fault::TooMuch { line }),
    }
}

fn variable(call: &HelperTemplate, line: usize) -> Result<(), Fault> {
    match name(&call.name) {
        Some(name) if call.params.is_empty() && call.hash.is_empty() && !call.block => {
            let unknown = || Fault::Unknown { name: name.to_owned(), line };
            VARIABLES.contains(&name).then_some(()).ok_or_else(unknown)
        }
        Some(_) | None => Err(Fault::TooMuch { line }),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is of handlebars, and grows")]
fn name(parameter: &Parameter) -> Option<&str> {
    match parameter {
        Parameter::Name(_) | Parameter::Path(_) => parameter.as_name(),
        // A literal, a call, or what a later handlebars invents.
        _ => None,
    }
}

/// A regular expression that matches these names and nothing else. No name begins with a dash, so that one matches none:
/// an empty expression would match every series that has no such label.
fn any_of(names: &BTreeSet<String>) -> String {
    let exact = |name: &String| name.replace('.', "[.]");
    if names.is_empty() { "-".into() } else { names.iter().map(exact).collect::<Vec<_>>().join("|") }
}

/// A value never ends the string that it is in, whichever of PromQL's quotes that has: these escapes are the same
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
mod tests;
