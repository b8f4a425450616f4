//! `get --watch`: the table first, then a row for each change.

use std::collections::BTreeMap;

use futures::StreamExt;
use jiff::Timestamp;
use kube::{api::DynamicObject, runtime::watcher};

use super::{
    arguments::{Get, Output},
    rows::{self, DURATION, STATUS},
};
use crate::cli::{
    Error,
    client::{self, Fetched, KIND},
    connection::Connection,
    output,
    table::StreamingTable,
    watch_stream::{self, Change},
};

/// Prints until it is interrupted.
///
/// # Errors
/// The first list cannot be read.
pub async fn run(connection: &Connection, arguments: &Get) -> Result<(), Error> {
    let wide = is_wide(arguments.output)?;
    // A name that does not exist is a typing error, not something to wait for.
    let mut known = Vec::new();
    for name in &arguments.names {
        known.push(client::get(connection, name).await?.whole);
    }
    let config = watcher::Config { label_selector: arguments.selector.clone(), ..watcher::Config::default() };
    let api = client::api(connection, arguments.all_namespaces);
    let mut changes = watch_stream::watch(connection.server.clone(), api, config, known);
    let names = arguments.names.iter().map(|name| client::bare(name).to_owned()).collect();
    let mut list = List::new(wide, names);
    while let Some(change) = changes.next().await {
        list.apply(change)?;
    }
    Ok(())
}

fn is_wide(output: Option<Output>) -> Result<bool, Error> {
    match output {
        None => Ok(false),
        Some(Output::Wide) => Ok(true),
        Some(Output::Yaml | Output::Json | Output::Name) => {
            Err(Error::Usage("--watch prints a table; omit -o, or use -o wide".into()))
        }
    }
}

type Id = (String, String);

/// What is listed, and what has been printed of it.
struct List {
    wide: bool,
    /// Only these; all if empty.
    names: Vec<String>,
    /// The last row of each, without its duration.
    rows: BTreeMap<Id, Vec<String>>,
    table: StreamingTable,
    /// Rows that wait until the first list is complete.
    waiting: Vec<Vec<String>>,
    is_listed: bool,
    failure: Option<String>,
}

impl List {
    fn new(wide: bool, names: Vec<String>) -> Self {
        Self {
            wide,
            names,
            rows: BTreeMap::new(),
            table: StreamingTable::new(rows::columns(wide)).with_room(STATUS, "Validating"),
            waiting: Vec::new(),
            is_listed: false,
            failure: None,
        }
    }

    fn apply(&mut self, change: Change<DynamicObject>) -> Result<(), Error> {
        match change {
            Change::Applied(object) => self.applied(&client::decode(object)),
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

    /// A row is printed if one of its columns has changed, but for the duration, which changes all the time.
    fn applied(&mut self, fetched: &Fetched) {
        let row = rows::row_of(fetched, self.wide, Timestamp::now());
        let mut content = row.clone();
        content[DURATION] = String::new();
        if !self.is_wanted(fetched) || self.rows.get(&id(fetched)) == Some(&content) {
            return;
        }
        rows::warn(fetched);
        self.rows.insert(id(fetched), content);
        self.waiting.push(row);
    }

    /// Deleted, or no longer selected.
    fn deleted(&mut self, fetched: &Fetched) {
        self.rows.remove(&id(fetched));
        if self.is_wanted(fetched) {
            let mut row = rows::row_of(fetched, self.wide, Timestamp::now());
            row[STATUS] = "Gone".into();
            self.waiting.push(row);
        }
    }

    fn failed(&mut self, why: String) {
        if self.failure.as_ref() != Some(&why) {
            eprintln!("warning: cannot read {KIND}s, retrying: {why}");
            self.failure = Some(why);
        }
    }

    fn is_wanted(&self, fetched: &Fetched) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == fetched.name())
    }
}

fn id(fetched: &Fetched) -> Id {
    (fetched.namespace().to_owned(), fetched.name().to_owned())
}
