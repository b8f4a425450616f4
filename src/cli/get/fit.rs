//! A table that fits into a number of columns: the message is cut first, then images, and then whole columns go.

use std::io::IsTerminal;

use ratatui::crossterm::terminal;

use super::rows::{Column, Layout, Row};
use crate::cli::{output::coloured, table};

/// A message of which so much is left needs no more room.
const ENOUGH: usize = 12;

/// What is cut, in this order, and how much of it stays at least.
const CUTS: [(Column, usize); 6] = [
    (Column::Message, ENOUGH),
    (Column::Image, 16),
    (Column::Traffic, 8),
    (Column::Message, 10),
    (Column::Image, 11),
    (Column::Message, 7),
];

/// Where there is no terminal, a table is as wide as most are.
const USUAL_WIDTH: usize = 80;

/// How wide a table may be.
#[must_use]
pub fn available() -> usize {
    let of_terminal = std::io::stdout().is_terminal().then(terminal::size).and_then(Result::ok);
    of_terminal.map_or(USUAL_WIDTH, |(columns, _)| usize::from(columns))
}

/// The table; without a width nothing is cut.
#[must_use]
pub fn draw(rows: &[Row], layout: Layout, width: Option<usize>) -> String {
    let mut table = Table { columns: layout.columns(), cells: Vec::new(), gap: table::GAP };
    table.cells = rows.iter().map(|row| row.cells(&table.columns, layout.wide)).collect();
    if let Some(width) = width.filter(|_| !layout.wide) {
        table.fit(rows, width);
    }
    if let Some(status) = table.index(Column::Status) {
        table.cells.iter_mut().for_each(|row| row[status] = coloured(&row[status]));
    }
    let heads = table.heads();
    table::draw_with_gap(if layout.no_headers { None } else { Some(&heads) }, table.cells, table.gap)
}

struct Table {
    columns: Vec<Column>,
    cells: Vec<Vec<String>>,
    gap: usize,
}

impl Table {
    fn heads(&self) -> Vec<&'static str> {
        self.columns.iter().map(|column| column.head()).collect()
    }

    fn index(&self, column: Column) -> Option<usize> {
        self.columns.iter().position(|other| *other == column)
    }

    /// The characters that a line has too many.
    fn excess(&self, width: usize) -> usize {
        table::needs(&self.heads(), &self.cells, self.gap).saturating_sub(width)
    }

    fn fit(&mut self, rows: &[Row], width: usize) {
        self.shrink(Column::Message, ENOUGH, width);
        if self.excess(width) > 0 {
            self.gap = 2;
            if let Some(image) = self.index(Column::Image) {
                self.cells.iter_mut().zip(rows).for_each(|(cells, row)| cells[image].clone_from(&row.image_compact));
            }
        }
        for (victim, least) in CUTS {
            self.shrink(victim, least, width);
        }
        for victim in [Column::Traffic, Column::Message, Column::Progress, Column::Image] {
            if let Some(index) = self.index(victim).filter(|_| self.excess(width) > 0) {
                self.columns.remove(index);
                self.cells.iter_mut().for_each(|row| drop(row.remove(index)));
            }
        }
    }

    /// Cuts the texts of a column as far as needed.
    fn shrink(&mut self, victim: Column, least: usize, width: usize) {
        let excess = self.excess(width);
        let Some(index) = self.index(victim).filter(|_| excess > 0) else { return };
        let widest = self.cells.iter().map(|row| table::width(&row[index])).max().unwrap_or_default();
        let most = widest.saturating_sub(excess).max(least);
        self.cells.iter_mut().for_each(|row| row[index] = table::cut(&row[index], most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, image: &str, message: &str) -> Row {
        Row {
            name: name.into(),
            status: "Waiting for approval".into(),
            image: image.into(),
            image_compact: image.into(),
            traffic: "kanary-service".into(),
            progress: "7m10s/10m30s".into(),
            message: message.into(),
            ..Row::default()
        }
    }

    #[test]
    fn a_table_fits() {
        let message = "waiting for approval: kubectl kanary approve web";
        for (name, image, width, heads) in [
            ("web", "web:1 → web:2", 120, "NAME STATUS IMAGE TRAFFIC PROGRESS MESSAGE"),
            ("web", "web:1 → web:2", 80, "NAME STATUS IMAGE TRAFFIC PROGRESS MESSAGE"),
            ("web", "0123456789012345:1 → 0123456789012345:2", 80, "NAME STATUS IMAGE TRAFFIC PROGRESS MESSAGE"),
            ("a-name-that-is-rather-long", "web:1 → web:2", 80, "NAME STATUS IMAGE PROGRESS"),
            ("web", "web:1 → web:2", 20, "NAME STATUS"),
        ] {
            let text = draw(&[row(name, image, message)], Layout::default(), Some(width));
            let text = anstream::adapter::strip_str(&text).to_string();
            let head: Vec<&str> = text.lines().next().unwrap_or_default().split_whitespace().collect();
            assert_eq!(head.join(" "), heads, "{width}: {text}");
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(widest <= width.max(30), "{widest} of {width}: {text}");
            assert!(text.contains(name) && text.contains("Waiting for approval"), "{text}");
        }
        let wide = draw(&[row("web", "web:1 → web:2", message)], Layout { wide: true, ..Layout::default() }, Some(20));
        assert!(wide.contains(message), "{wide}");
    }
}
