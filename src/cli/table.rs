//! Tables as kubectl draws them: columns three spaces apart, no lines.

use super::terminal::visible;

/// Between two columns, as kubectl has it.
pub const GAP: usize = 3;

/// A table whose rows are all known.
#[must_use]
pub fn draw(head: Option<&[&str]>, rows: Vec<Vec<String>>) -> String {
    draw_with_gap(head, rows, GAP)
}

/// The same with another gap between the columns.
#[must_use]
pub fn draw_with_gap(head: Option<&[&str]>, rows: Vec<Vec<String>>, gap: usize) -> String {
    let columns = head.map(<[&str]>::len).or_else(|| rows.first().map(Vec::len)).unwrap_or_default();
    StreamingTable { head: head.map(owned), widths: vec![0; columns], limit: None, gap }.rows(rows)
}

fn owned(head: &[&str]) -> Vec<String> {
    head.iter().map(ToString::to_string).collect()
}

/// How wide the table of these rows is.
#[must_use]
pub fn needs(head: &[&str], rows: &[Vec<String>], gap: usize) -> usize {
    let mut widths: Vec<usize> = head.iter().map(|cell| width(cell)).collect();
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(widest, cell)| *widest = (*widest).max(width(&one_line(cell))));
    }
    widths.iter().sum::<usize>() + gap * widths.len().saturating_sub(1)
}

/// A text of at most `most` characters.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let text = one_line(text);
    if width(&text) <= most {
        return text;
    }
    let kept: Option<String> = most.checked_sub(1).map(|most| text.chars().take(most).collect());
    kept.map_or_else(String::new, |kept| format!("{}…", kept.trim_end()))
}

/// A table whose rows come one after the other. No column becomes narrower, so that each row is aligned with those before it.
pub struct StreamingTable {
    head: Option<Vec<String>>,
    widths: Vec<usize>,
    limit: Option<usize>,
    gap: usize,
}

impl StreamingTable {
    /// An empty one; the head is drawn with the first rows.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        Self { head: Some(owned(head)), widths: vec![0; head.len()], limit: None, gap: GAP }
    }

    /// Reserves the width of a text that is sure to come, so that later rows are aligned with the head as well.
    #[must_use]
    pub fn with_room(mut self, column: usize, text: &str) -> Self {
        self.widths[column] = width(text);
        self
    }

    /// Cuts the last column where a line would become longer.
    #[must_use]
    pub fn within(mut self, limit: Option<usize>) -> Self {
        self.limit = limit;
        self
    }

    /// Without a head.
    #[must_use]
    pub fn without_head(mut self) -> Self {
        self.head = None;
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
        let last = self.widths.len().saturating_sub(1);
        let before: usize = self.widths.iter().take(last).map(|width| width + self.gap).sum();
        let room = self.limit.map(|limit| limit.saturating_sub(before));
        let padded = |(index, (cell, widest)): (usize, (&String, &usize))| match room.filter(|_| index == last) {
            Some(room) => cut(cell, room),
            None => format!("{cell}{}", " ".repeat(widest.saturating_sub(width(cell)) + self.gap)),
        };
        let line: String = row.iter().zip(&self.widths).enumerate().map(padded).collect();
        format!("{}\n", line.trim_end())
    }
}

/// A message may have several lines, a row has one. What is not visible is made so before the widths are measured.
pub fn one_line(cell: &str) -> String {
    visible(cell).lines().map(str::trim_end).collect::<Vec<_>>().join(" ")
}

/// Colours take no room.
#[must_use]
pub fn width(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line() {
        let cell = |text: &str| text.to_owned();
        let text = draw(Some(&["NAME", "MESSAGE"]), vec![vec![cell("web"), cell("back-off\nlast exit code 1\n")]]);
        assert_eq!(text, "NAME   MESSAGE\nweb    back-off last exit code 1\n");
    }
}
