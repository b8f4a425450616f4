//! Tables as kubectl draws them: columns three spaces apart, no lines.

/// A table whose rows are all known.
#[must_use]
pub fn draw(head: &[&str], rows: Vec<Vec<String>>) -> String {
    StreamingTable::new(head).rows(rows)
}

/// A table whose rows come one after the other. No column becomes narrower, so that each row is aligned with those before it.
pub struct StreamingTable {
    head: Option<Vec<String>>,
    widths: Vec<usize>,
}

impl StreamingTable {
    /// An empty one; the head is drawn with the first rows.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        Self { head: Some(head.iter().map(ToString::to_string).collect()), widths: vec![0; head.len()] }
    }

    /// Reserves the width of a text that is sure to come, so that later rows are aligned with the head as well.
    #[must_use]
    pub fn with_room(mut self, column: usize, text: &str) -> Self {
        self.widths[column] = width(text);
        self
    }

    /// The next rows.
    pub fn rows(&mut self, rows: Vec<Vec<String>>) -> String {
        let rows = self.head.take().into_iter().chain(rows);
        let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
        for row in &rows {
            self.widths.iter_mut().zip(row).for_each(|(widest, cell)| *widest = (*widest).max(width(cell)));
        }
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &[String]) -> String {
        let padded = |(cell, widest): (&String, &usize)| format!("{cell}{}", " ".repeat(widest - width(cell) + 3));
        let line: String = row.iter().zip(&self.widths).map(padded).collect();
        format!("{}\n", line.trim_end())
    }
}

/// A message may have several lines, a row has one.
fn one_line(cell: &str) -> String {
    cell.lines().map(str::trim_end).collect::<Vec<_>>().join(" ")
}

/// Colours take no room.
fn width(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line() {
        let cell = |text: &str| text.to_owned();
        let text = draw(&["NAME", "MESSAGE"], vec![vec![cell("web"), cell("back-off\nlast exit code 1\n")]]);
        assert_eq!(text, "NAME   MESSAGE\nweb    back-off last exit code 1\n");
    }
}
