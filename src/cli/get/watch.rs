//! `get --watch`: the table first, then a row for each change.

use std::collections::BTreeMap;

use futures::StreamExt;
use jiff::Timestamp;
use kube::{api::DynamicObject, runtime::watcher};

use super::{
    arguments::Get,
    fit,
    rows::{self, Column, Row},
};
use crate::{
    api::{KanaryDeployment, Phase, names},
    cli::{
        Error,
        client::{self, Fetched, KIND},
        connection::Connection,
        images::{self, Images},
        output::{self, coloured},
        table::StreamingTable,
        terminal,
        watch_stream::{self, Change},
    },
};

/// Prints until it is interrupted.
///
/// # Errors
/// The first list cannot be read.
pub async fn run(connection: &Connection, arguments: &Get) -> Result<(), Error> {
    if !arguments.is_table() {
        return Err(Error::Usage("--watch prints a table; omit -o, or use -o wide".into()));
    }
    // A name that does not exist is a typing error, not something to wait for.
    let mut known = Vec::new();
    for name in &arguments.names {
        known.push(client::get(connection, name).await?.whole);
    }
    let config = watcher::Config { label_selector: arguments.selector.clone(), ..watcher::Config::default() };
    let api = client::api(connection, arguments.all_namespaces);
    let mut changes = watch_stream::watch(connection.server.clone(), api, config, known);
    let mut list = List::new(connection, arguments);
    while let Some(change) = changes.next().await {
        list.apply(change).await?;
    }
    Ok(())
}

type Id = (String, String);

/// What is listed, and what has been printed of it.
struct List<'a> {
    connection: &'a Connection,
    arguments: &'a Get,
    /// Only these; all if empty.
    names: Vec<String>,
    columns: Vec<Column>,
    /// The last row of each, without its progress.
    rows: BTreeMap<Id, Row>,
    /// The images of each base, as long as it is not written to.
    bases: BTreeMap<Id, Option<Images>>,
    table: StreamingTable,
    /// Rows that wait until the first list is complete.
    waiting: Vec<Vec<String>>,
    is_listed: bool,
    failure: Option<String>,
}

impl<'a> List<'a> {
    fn new(connection: &'a Connection, arguments: &'a Get) -> Self {
        let layout = arguments.layout();
        let columns = layout.columns();
        let heads: Vec<&str> = columns.iter().map(|column| column.head()).collect();
        let table = StreamingTable::new(&heads).with_room(position(&columns, Column::Status), "Validating");
        let table = if layout.no_headers { table.without_head() } else { table };
        Self {
            connection,
            arguments,
            names: arguments.names.iter().map(|name| client::bare(name).to_owned()).collect(),
            columns,
            rows: BTreeMap::new(),
            bases: BTreeMap::new(),
            table: table.within(if layout.wide { None } else { Some(fit::available()) }),
            waiting: Vec::new(),
            is_listed: false,
            failure: None,
        }
    }

    async fn apply(&mut self, change: Change<DynamicObject>) -> Result<(), Error> {
        match change {
            Change::Applied(object) => self.applied(&client::decode(object)).await,
            Change::Deleted(object) => self.deleted(&client::decode(object)),
            Change::Listed => self.is_listed = true,
            // If the first list fails there is nothing to wait for.
            Change::Failed(why) if !self.is_listed => return Err(Error::Failed(format!("list {KIND}s: {why}"))),
            Change::Failed(why) => self.failed(why),
            Change::Recovered => self.failure = None,
        }
        if self.is_listed && !self.waiting.is_empty() {
            output::print(&self.table.rows(std::mem::take(&mut self.waiting)))?;
        }
        Ok(())
    }

    /// A row is printed if one of its columns has changed, but for the progress, which changes all the time.
    async fn applied(&mut self, fetched: &Fetched) {
        if !self.is_wanted(fetched) {
            return;
        }
        let base = match &fetched.kanary {
            Ok(kanary) => self.base(kanary).await,
            Err(_) => None,
        };
        let row = Row::of(fetched, base.as_ref(), Timestamp::now());
        let content = Row { progress: String::new(), ..row.clone() };
        if self.rows.get(&id(fetched)) == Some(&content) {
            return;
        }
        rows::warn(fetched);
        self.rows.insert(id(fetched), content);
        self.waiting.push(self.cells(&row));
    }

    /// It is read again once a promotion may have changed it.
    async fn base(&mut self, kanary: &KanaryDeployment) -> Option<Images> {
        let phase = kanary.status.as_ref().and_then(|status| status.phase);
        let key = (kanary.metadata.namespace.clone().unwrap_or_default(), names::base(kanary));
        if matches!(phase, None | Some(Phase::Promoting | Phase::Succeeded)) {
            self.bases.remove(&key);
        }
        if let Some(known) = self.bases.get(&key) {
            return known.clone();
        }
        let images = images::of_base(self.connection, kanary).await;
        self.bases.insert(key, images.clone());
        images
    }

    /// Deleted, or no longer selected.
    fn deleted(&mut self, fetched: &Fetched) {
        self.rows.remove(&id(fetched));
        if self.is_wanted(fetched) {
            let row = Row { status: "Gone".into(), ..Row::of(fetched, None, Timestamp::now()) };
            self.waiting.push(self.cells(&row));
        }
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let mut cells = row.cells(&self.columns, self.arguments.layout().wide);
        let status = &mut cells[position(&self.columns, Column::Status)];
        *status = coloured(status);
        cells
    }

    fn failed(&mut self, why: String) {
        if self.failure.as_ref() != Some(&why) {
            terminal::complain(&format!("warning: cannot read {KIND}s, retrying: {why}"));
            self.failure = Some(why);
        }
    }

    fn is_wanted(&self, fetched: &Fetched) -> bool {
        let is_named = self.names.is_empty() || self.names.iter().any(|name| name == fetched.name());
        is_named && self.arguments.shows(fetched)
    }
}

/// Where a column is; every layout has those that are asked for.
fn position(columns: &[Column], column: Column) -> usize {
    columns.iter().position(|other| *other == column).unwrap_or_default()
}

fn id(fetched: &Fetched) -> Id {
    (fetched.namespace().to_owned(), fetched.name().to_owned())
}
