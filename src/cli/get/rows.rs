//! One row of the table for each run.

use jiff::Timestamp;

use crate::{
    api::{KanaryDeployment, Report, names},
    cli::{client::Fetched, clock, output::coloured, table},
    objects::Object,
};

const COLUMNS: [&str; 10] =
    ["NAMESPACE", "NAME", "STATUS", "DEPLOYMENT", "SERVICE", "SCALE", "TRAFFIC", "VALIDATION", "DURATION", "MESSAGE"];
/// The index of the column STATUS.
pub const STATUS: usize = 2;
/// The index of the column DURATION.
pub const DURATION: usize = 8;

/// The head of the table.
#[must_use]
pub fn columns(wide: bool) -> &'static [&'static str] {
    if wide { &COLUMNS } else { &COLUMNS[..COLUMNS.len() - 1] }
}

/// The table of decoded runs.
pub fn text<'a>(kanaries: impl Iterator<Item = &'a KanaryDeployment>, wide: bool, now: Timestamp) -> String {
    table::draw(columns(wide), kanaries.map(|kanary| row(kanary, wide, now)).collect())
}

/// The table.
#[must_use]
pub fn table(fetched: &[Fetched], wide: bool, now: Timestamp) -> String {
    table::draw(columns(wide), fetched.iter().map(|fetched| row_of(fetched, wide, now)).collect())
}

/// Says on standard error why one cannot be decoded.
pub fn warn(fetched: &Fetched) {
    if let Err(why) = &fetched.kanary {
        eprintln!("warning: {why}");
    }
}

/// The row of one; if it cannot be decoded, its name alone, so that the others are listed.
#[must_use]
pub fn row_of(fetched: &Fetched, wide: bool, now: Timestamp) -> Vec<String> {
    if let Ok(kanary) = &fetched.kanary {
        return row(kanary, wide, now);
    }
    let mut cells = vec![fetched.namespace().to_owned(), fetched.name().to_owned()];
    cells.resize(columns(wide).len(), "?".to_owned());
    cells
}

fn row(kanary: &KanaryDeployment, wide: bool, now: Timestamp) -> Vec<String> {
    let status = kanary.status.clone().unwrap_or_default();
    let report = status.report.unwrap_or_else(|| unprocessed(kanary));
    let Report { status: word, scale, traffic, validation } = report;
    let mut cells = vec![
        kanary.namespace().to_owned(),
        kanary.name().to_owned(),
        coloured(&word),
        names::base(kanary),
        kanary.spec.service_name.clone().unwrap_or_else(|| "-".into()),
        scale,
        traffic,
        validation,
        clock::progress(kanary, now).column(),
    ];
    if wide {
        cells.push(status.message.unwrap_or_default());
    }
    cells
}

/// No controller has processed it yet.
fn unprocessed(kanary: &KanaryDeployment) -> Report {
    let traffic = kanary.spec.traffic.source.as_str().to_owned();
    Report { status: "-".into(), scale: "-".into(), traffic, validation: "-".into() }
}
