//! The order of a list: by name as people count, or as `--sort-by` says.

use std::{cmp::Ordering, str::FromStr};

use serde_json::json;

use super::rows::Row;
use crate::cli::{client::Fetched, jsonpath::Template};

/// What `--sort-by` names.
#[derive(Clone, Debug)]
pub enum SortBy {
    /// A column, by its name in lower case.
    Column(String),
    /// The oldest first.
    Age,
    /// The result of a JSONPath.
    Path(Template),
}

/// The columns that are sorted by their text.
const COLUMNS: [&str; 8] = ["name", "namespace", "status", "image", "traffic", "progress", "deployment", "message"];

impl FromStr for SortBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let column = text.to_lowercase();
        if column == "age" {
            return Ok(Self::Age);
        }
        if COLUMNS.contains(&column.as_str()) {
            return Ok(Self::Column(column));
        }
        let path = if text.starts_with('{') { text.to_owned() } else { format!("{{{text}}}") };
        let is_path = text.starts_with(['.', '{', '[']);
        let columns = COLUMNS.join(", ");
        let wrong = || format!("must be one of {columns}, age, or a JSONPath such as .metadata.creationTimestamp");
        if is_path { path.parse().map(Self::Path) } else { Err(wrong()) }
    }
}

/// Sorts by namespace and name, and then by what is named.
pub fn sort(rows: &mut [(Row, Fetched)], by: Option<&SortBy>) {
    rows.sort_by(|(a, _), (b, _)| natural(&a.namespace, &b.namespace).then_with(|| natural(&a.name, &b.name)));
    match by {
        None => {}
        Some(SortBy::Column(column)) => rows.sort_by(|(a, _), (b, _)| natural(a.cell(column), b.cell(column))),
        Some(SortBy::Age) => rows.sort_by_key(|(_, fetched)| created(fetched)),
        Some(SortBy::Path(path)) => {
            rows.sort_by_cached_key(|(_, fetched)| Natural(path.render(&json!(fetched.whole))));
        }
    }
}

fn created(fetched: &Fetched) -> Option<jiff::Timestamp> {
    fetched.whole.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// A text in natural order.
#[derive(PartialEq, Eq)]
struct Natural(String);

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        natural(&self.0, &other.0)
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Numbers in a text count as numbers: web-2 goes before web-10.
#[must_use]
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (first, second) = (piece(left), piece(right));
        if first.is_empty() || second.is_empty() {
            return first.len().cmp(&second.len()).then_with(|| a.cmp(b));
        }
        let both_numbers = first.starts_with(is_digit) && second.starts_with(is_digit);
        let ordering = if both_numbers { by_value(first, second) } else { first.cmp(second) };
        if ordering != Ordering::Equal {
            return ordering;
        }
        (left, right) = (&left[first.len()..], &right[second.len()..]);
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// A number, or a text without one.
fn piece(text: &str) -> &str {
    let is_number = text.starts_with(is_digit);
    text.split_at(text.find(|c| is_digit(c) != is_number).unwrap_or(text.len())).0
}

/// They may have more digits than any integer.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted() {
        let mut names = vec!["web-10", "web-2", "web", "web-02", "api", "web-2b", "9", "10", "web-2-x", "web-a"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["9", "10", "api", "web", "web-02", "web-2", "web-2-x", "web-2b", "web-10", "web-a"]);
    }

    #[test]
    fn an_order_is_a_column_or_a_path() {
        for right in ["NAME", "status", "age", ".metadata.name", "{.status.phase}"] {
            right.parse::<SortBy>().expect(right);
        }
        for wrong in ["", "size", "metadata.name", "{.metadata"] {
            wrong.parse::<SortBy>().expect_err(wrong);
        }
    }
}
