//! Tables as kubectl draws them: columns, three spaces, no lines.

use comfy_table::{Table, presets::NOTHING};

/// A table of text; the first row is its head.
#[must_use]
pub fn draw(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(head.iter().map(ToString::to_string).collect::<Vec<_>>());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A table of which nobody knows yet how long it will be. No column becomes narrower, so that a row stands under the ones
/// before it.
pub struct Growing {
    head: Option<Vec<String>>,
    widths: Vec<usize>,
}

impl Growing {
    /// Nothing yet; the head comes with the first rows.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        Self { head: Some(head.iter().map(ToString::to_string).collect()), widths: vec![0; head.len()] }
    }

    /// Leaves room in a column for what is sure to come, so that later rows stand under the head as well.
    #[must_use]
    pub fn with_room(mut self, column: usize, word: &str) -> Self {
        self.widths[column] = seen(word);
        self
    }

    /// More of it.
    pub fn rows(&mut self, rows: Vec<Vec<String>>) -> String {
        let rows: Vec<Vec<String>> = self.head.take().into_iter().chain(rows).collect();
        for row in &rows {
            self.widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(seen(cell)));
        }
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &[String]) -> String {
        let padded = |(cell, width): (&String, &usize)| format!("{cell}{}", " ".repeat(width - seen(cell) + 3));
        let line: String = row.iter().zip(&self.widths).map(padded).collect();
        format!("{}\n", line.trim_end())
    }
}

/// Colours take no room.
fn seen(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).to_string().chars().count()
}
