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
