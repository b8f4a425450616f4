//! The query to write instead, in the user's own text: template variables, comments and line breaks stay.

use std::ops::Range;

use super::{
    doubts,
    edit::{self, Edit},
    flaw::Found,
    parser, sets,
    tree::Expr,
    truth,
};
use crate::promql::lexer::{self, Kind};

/// Corrections one after the other; a query that needs more is not corrected.
const MAX_ROUNDS: usize = 8;
/// Bytes of a query that is worth being written out.
const MAX_BYTES: usize = 8192;

/// What to change, if anything.
type Mend<'a> = &'a dyn Fn(&str, &Expr) -> Option<Vec<Edit>>;

/// The template without what is wrong with it or doubtful. `render` makes a query of a template.
pub fn corrected(template: &str, is_boolean: bool, render: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    mended(template, render, &|text, tree| {
        let doubted =
            || doubts::find(text, tree).map(|(_, edits)| edits).filter(|edits| is_boolean && !edits.is_empty());
        flaw(text, tree, is_boolean).map(|found| found.edits).or_else(doubted)
    })
}

/// One change after the other, until there is nothing more to change.
fn mended(template: &str, render: &dyn Fn(&str) -> Option<String>, mend: Mend<'_>) -> Option<String> {
    let mut text = template.to_owned();
    for _ in 0..MAX_ROUNDS {
        if text.len() > MAX_BYTES {
            return None;
        }
        let masked = masked(&text)?;
        let Some(edits) = mend(&masked, &tree(&masked)?) else {
            // What was changed must be what will be sent.
            let query = render(&text)?;
            return mend(&query, &tree(&query)?).is_none().then(|| text.trim_end().to_owned());
        };
        let edits: Vec<Edit> = edits.iter().map(|edit| unmasked(edit, &masked, &text)).collect::<Option<_>>()?;
        text = if edits.is_empty() { return None } else { edit::apply(&text, edits)? };
    }
    None
}

/// The first thing that is wrong with a query.
pub fn flaw(query: &str, tree: &Expr, is_boolean: bool) -> Option<Found> {
    sets::flaw(tree).or_else(|| if is_boolean { truth::truth(query, tree) } else { None })
}

fn tree(query: &str) -> Option<Expr> {
    parser::parse(query, &lexer::tokens(query).ok()?).ok()
}

/// A new text that repeats a part of the query repeats its variables.
fn unmasked(edit: &Edit, masked: &str, text: &str) -> Option<Edit> {
    let mut new = edit.text.clone();
    for (at, hidden) in variables(text) {
        let mask = masked.get(at.clone())?;
        if mask != hidden {
            new = new.replace(mask, hidden);
        }
    }
    Some(Edit { at: edit.at.clone(), text: new })
}

/// The template as a query of the same length: what is a variable outside of strings becomes a duration or a name.
fn masked(template: &str) -> Option<String> {
    let tokens = lexer::tokens(template).ok()?;
    let is_in_text = |at: &Range<usize>| {
        let holds = |token: &lexer::Token| token.span.start < at.start && at.end < token.span.end;
        tokens.iter().any(|token| token.kind == Kind::Text && holds(token))
    };
    let outside = variables(template).into_iter().filter(|(at, _)| !is_in_text(at));
    let mut masked = template.to_owned();
    for (count, (at, variable)) in outside.enumerate() {
        let before = template[..at.start].trim_end();
        let is_time = before.ends_with(['[', ':']) || before.to_ascii_lowercase().ends_with("offset");
        // Each has another one, so that it can be found again.
        let mask = if is_time { format!("{count}s") } else { format!("v{count}") };
        let padding = "0".repeat(variable.len().checked_sub(mask.len())?);
        masked.replace_range(at, &if is_time { padding + &mask } else { mask + &padding });
    }
    Some(masked)
}

/// Where variables are.
fn variables(template: &str) -> Vec<(Range<usize>, &str)> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(open) = template[from..].find("{{").map(|at| from + at) {
        let Some(end) = template[open..].find("}}").map(|end| open + end + 2) else { break };
        // Three braces are two.
        let end = end + usize::from(template[open..].starts_with("{{{") && template[end..].starts_with('}'));
        found.push((open..end, &template[open..end]));
        from = end;
    }
    found
}
