//! The validation on the screen of a watch: for each item its verdict and why, and with more room its query and its values.

use ratatui::{
    style::{Color, Stylize},
    text::{Line, Span},
};

use super::{sparkline, state::State};
use crate::{
    api::{ItemKind, Verdict},
    cli::describe::items::Evaluated,
};

/// The name and the verdict before the text.
const MARGIN: usize = 25;
/// No text of an item takes more lines.
const MOST_LINES: usize = 3;

/// An item in one line; longer texts are cut.
pub fn in_one_line(item: &Evaluated, width: usize) -> Vec<Line<'static>> {
    vec![head(item, text(item), width)]
}

/// An item with everything.
pub fn in_full(state: &State, item: &Evaluated, width: usize) -> Vec<Line<'static>> {
    let room = width.saturating_sub(MARGIN).max(1);
    let mut wrapped = wrap(&text(item), room).into_iter();
    let mut lines = vec![head(item, wrapped.next().unwrap_or_default(), width)];
    let below = |text: String| Line::from(format!("{}{text}", " ".repeat(MARGIN)));
    lines.extend(wrapped.map(below));
    if let Some(values) = state.values.get(&item.name).filter(|values| values.len() > 1) {
        let bars = sparkline::draw(values, bounds(item), room.min(40));
        lines.push(below(format!("{bars}  {}", item.bound())).cyan());
    }
    if let Some(query) = item.query() {
        lines.extend(wrap(&query, room).into_iter().map(below).map(Stylize::dim));
    }
    lines
}

fn text(item: &Evaluated) -> String {
    let status = item.status.as_ref();
    let value = status.and_then(|status| status.value.clone()).map(|value| format!("{value}  ")).unwrap_or_default();
    format!("{value}{}", status.and_then(|status| status.message.clone()).unwrap_or_default())
}

fn head(item: &Evaluated, text: String, width: usize) -> Line<'static> {
    let (word, colour) = match item.status.as_ref().map(|status| status.verdict) {
        Some(Verdict::Valid) => ("Valid", Color::Green),
        Some(Verdict::Invalid) => ("Invalid", Color::Red),
        Some(Verdict::Unknown) => ("Unknown", Color::Yellow),
        None => ("-", Color::Reset),
    };
    let text = crate::cli::table::cut(&text, width.saturating_sub(MARGIN).max(1));
    Line::from(vec![format!("{:<16} ", item.name).into(), Span::styled(format!("{word:<8}"), colour), text.into()])
}

/// The range in which values are good, if they are numbers.
fn bounds(item: &Evaluated) -> Option<(f64, f64)> {
    let ItemKind::PromQl(query) = item.item.kind() else { return None };
    query.value_in_range.as_ref().map(|range| (range.min, range.max))
}

/// The words of a text in lines of at most this width; the last of them is cut.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.extend(pieces(word, width)),
        }
    }
    if lines.len() > MOST_LINES {
        let rest = lines.split_off(MOST_LINES - 1).join(" ");
        lines.push(crate::cli::table::cut(&rest, width));
    }
    lines
}

/// A word that is longer than a line.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(width.max(1)).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped() {
        assert_eq!(wrap("waiting for a manual verdict", 12), ["waiting for", "a manual", "verdict"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh…"]);
        assert_eq!(wrap("one two three four five", 5), ["one", "two", "thre…"]);
        assert_eq!(wrap("", 5), Vec::<String>::new());
    }
}
