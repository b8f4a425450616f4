//! `get`: the table of runs.

mod arguments;
mod rows;
mod watch;

pub use arguments::{Get, Output};
use jiff::Timestamp;
use kube::api::DynamicObject;
pub use rows::text;
use serde_json::json;

use super::{
    Error,
    client::{self, Fetched, KIND},
    cluster_flags::ClusterFlags,
    connection::{self, Connection},
    output::{self, Format},
};

/// Runs the verb.
///
/// # Errors
/// Nothing can be read.
pub fn run(flags: &ClusterFlags, arguments: &Get) -> Result<(), Error> {
    connection::block_on(async {
        let connection = connection::connect(flags).await?;
        match arguments.watch {
            true => watch::run(&connection, arguments).await,
            false => list(&connection, arguments).await,
        }
    })
}

async fn list(connection: &Connection, arguments: &Get) -> Result<(), Error> {
    let fetched = fetch(connection, arguments).await?;
    let is_data = matches!(arguments.output, Some(Output::Yaml | Output::Json));
    if fetched.is_empty() && !is_data {
        eprintln!("No {KIND}s found in {}.", place(connection, arguments));
        return Ok(());
    }
    output::print(&printed(&fetched, arguments.output, arguments.names.len() == 1, Timestamp::now())?)?;
    if matches!(arguments.output, None | Some(Output::Wide)) {
        fetched.iter().for_each(rows::warn);
    }
    Ok(())
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
///
/// # Errors
/// Never in practice.
pub fn printed(fetched: &[Fetched], output: Option<Output>, by_name: bool, now: Timestamp) -> Result<String, Error> {
    let data = |format| match (by_name, fetched) {
        (true, [one]) => output::written(format, &one.whole),
        (true | false, many) => output::written(format, &as_list(many)),
    };
    match output {
        None => Ok(rows::table(fetched, false, now)),
        Some(Output::Wide) => Ok(rows::table(fetched, true, now)),
        Some(Output::Name) => Ok(fetched.iter().map(name).collect()),
        Some(Output::Yaml) => data(Format::Yaml),
        Some(Output::Json) => data(Format::Json),
    }
}

fn name(fetched: &Fetched) -> String {
    format!("kanarydeployment.kanary.k8s.io/{}\n", fetched.name())
}

fn as_list(fetched: &[Fetched]) -> serde_json::Value {
    let items: Vec<&DynamicObject> = fetched.iter().map(|fetched| &fetched.whole).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
