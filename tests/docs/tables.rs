//! The tables of a page.

/// A row: the heading above its table, the heads of the columns, and the cells.
pub struct Row {
    pub heading: String,
    pub columns: Vec<String>,
    pub cells: Vec<String>,
}

impl Row {
    /// The cell in a column, if the table has it.
    pub fn cell(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.cells.get(index).map(String::as_str)
    }

    /// What is in backticks in the first cell.
    pub fn names(&self) -> Vec<&str> {
        quoted(self.cells.first().map_or("", String::as_str))
    }
}

/// What is in backticks.
pub fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// All rows of all tables, without heads.
pub fn rows(page: &str) -> Vec<Row> {
    let (mut heading, mut columns, mut rows) = (String::new(), Vec::new(), Vec::new());
    for line in page.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        }
        if !line.starts_with('|') {
            columns.clear();
        } else if columns.is_empty() {
            columns = cells(line);
        } else if !line.starts_with("|---") {
            rows.push(Row { heading: heading.clone(), columns: columns.clone(), cells: cells(line) });
        }
    }
    rows
}

/// A bar in a cell is written `\|`.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').replace("\\|", "\u{0}");
    let line = line.strip_suffix('|').unwrap_or(&line);
    line.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}
