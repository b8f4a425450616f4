//! Variables of Grafana, which are in a query that was copied from a dashboard. Grafana fills them in; no server knows them.
//!
//! Not here: the variables between `{{` and `}}`, which are rendered before (`promql::template`).

use super::cursor::Failure;
use crate::promql::lexer::{Kind, Token};

/// Is there none of them?
///
/// # Errors
/// [`Failure::Wrong`] with what to write instead.
pub fn none(query: &str, tokens: &[Token]) -> Result<(), Failure> {
    let text = |index: usize| tokens.get(index).map_or("", |token| &query[token.span.clone()]);
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", text);
        let rest = &query[token.span.start..];
        let name = match token.kind {
            Kind::Other => dollar(rest),
            Kind::Text if ["=", "!=", "=~", "!~"].contains(&before) => in_text(text(index)),
            Kind::Text | Kind::Word | Kind::Number | Kind::Symbol => None,
        };
        if let Some(name) = name {
            let is_time = name.contains("__") || ["[", ":"].contains(&before) || before.eq_ignore_ascii_case("offset");
            let instead = if is_time {
                "a duration, as in [1m]"
            } else {
                "its value, or a variable such as {{namespace}} or {{canary.pods}}"
            };
            let why = format!("{name} is a variable of Grafana, which no Prometheus knows; write {instead}");
            return Err(Failure::Wrong { at: token.span.start, why });
        }
    }
    Ok(())
}

/// The variable that the text begins with: `$name` or `${name}`.
fn dollar(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let is_begin = |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if let Some(inner) = name.strip_prefix('{') {
        let end = inner.find('}').filter(|_| is_begin(inner))?;
        return text.get(..end + 3);
    }
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    text.get(..=end).filter(|_| is_begin(name))
}

/// In a string a dollar may be a letter, or the end in a regular expression. What begins with a variable, or has it in braces,
/// can match nothing.
fn in_text(token: &str) -> Option<&str> {
    let inner = token.get(1..token.len().checked_sub(1)?)?;
    dollar(inner).or_else(|| ["${", "$__"].iter().find_map(|begin| dollar(&inner[inner.find(begin)?..])))
}
