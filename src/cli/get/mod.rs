//! `get`: the table of runs.

mod arguments;
mod fit;
mod rows;
mod sort;
mod watch;

pub use arguments::{Get, Output};
pub use fit::draw;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::api::DynamicObject;
pub use rows::{Layout, Row};
use serde_json::{Value, json};

use super::{
    Error,
    client::{self, Fetched, KIND},
    cluster_flags::ClusterFlags,
    connection::{self, Connection},
    images, output, terminal,
};

/// Bases that are read at a time.
const AT_ONCE: usize = 8;

/// Runs the verb.
///
/// # Errors
/// Nothing can be read.
pub fn run(flags: &ClusterFlags, arguments: &Get) -> Result<(), Error> {
    connection::block_on(async {
        match arguments.watch {
            true => watch::run(&connection::connect(&flags.for_watching()).await?, arguments).await,
            false => list(&connection::connect(flags).await?, arguments).await,
        }
    })
}

async fn list(connection: &Connection, arguments: &Get) -> Result<(), Error> {
    let mut fetched = fetch(connection, arguments).await?;
    fetched.retain(|fetched| arguments.shows(fetched));
    if fetched.is_empty() && !matches!(arguments.output, Some(Output::Data(_) | Output::JsonPath(_))) {
        let which = if arguments.failed { " that failed" } else { "" };
        terminal::complain(&format!("No {KIND}s{which} found in {}.", place(connection, arguments)));
        return Ok(());
    }
    let rows = in_order(connection, fetched, arguments).await;
    output::print(&printed(&rows, arguments)?)?;
    if arguments.is_table() {
        rows.iter().for_each(|(_, fetched)| rows::warn(fetched));
    }
    Ok(())
}

async fn in_order(connection: &Connection, fetched: Vec<Fetched>, arguments: &Get) -> Vec<(Row, Fetched)> {
    let now = Timestamp::now();
    let is_table = arguments.is_table();
    let row = async |fetched: Fetched| {
        let base = match &fetched.kanary {
            Ok(kanary) if is_table => images::of_base(connection, kanary).await,
            Ok(_) | Err(_) => None,
        };
        (Row::of(&fetched, base.as_ref(), now), fetched)
    };
    let mut rows: Vec<(Row, Fetched)> = stream::iter(fetched).map(row).buffered(AT_ONCE).collect().await;
    sort::sort(&mut rows, arguments.sort_by.as_ref());
    rows
}

fn place(connection: &Connection, arguments: &Get) -> String {
    match arguments.all_namespaces {
        true => "any namespace".into(),
        false => format!("namespace {}", connection.namespace),
    }
}

async fn fetch(connection: &Connection, arguments: &Get) -> Result<Vec<Fetched>, Error> {
    if arguments.names.is_empty() {
        return client::list(connection, arguments.all_namespaces, arguments.selector.as_deref()).await;
    }
    let mut fetched = Vec::new();
    for name in &arguments.names {
        fetched.push(client::get(connection, name).await?);
    }
    Ok(fetched)
}

/// All of them in the requested format. One that is requested by name is not a list, as with kubectl.
fn printed(rows: &[(Row, Fetched)], arguments: &Get) -> Result<String, Error> {
    let data = || match (arguments.names.len(), rows) {
        (1, [(_, one)]) => json!(one.whole),
        (_, many) => as_list(many),
    };
    let table = || rows.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>();
    match &arguments.output {
        None | Some(Output::Wide) => Ok(draw(&table(), arguments.layout(), Some(fit::available()))),
        Some(Output::Name) => Ok(rows.iter().map(|(_, fetched)| name(fetched)).collect()),
        Some(Output::Data(format)) => output::written(*format, &data()),
        Some(Output::JsonPath(template)) => Ok(template.render(&data())),
    }
}

fn name(fetched: &Fetched) -> String {
    format!("kanarydeployment.kanary.k8s.io/{}\n", fetched.name())
}

fn as_list(rows: &[(Row, Fetched)]) -> Value {
    let items: Vec<&DynamicObject> = rows.iter().map(|(_, fetched)| &fetched.whole).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
