//! `get`: the table of runs.

use std::collections::BTreeMap;

use clap::ValueEnum;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::{
    api::DynamicObject,
    runtime::watcher::{self, Event},
};
use serde_json::json;

use super::{
    Cluster, Error, clock,
    cluster::{self, Connection},
    kanaries::{self, Found, KIND},
    output::{self, BAD, Format, GOOD, WARN, styled},
    table,
};
use crate::{
    api::{KanaryDeployment, Report, names},
    seen::Seen,
};

/// List KanaryDeployments, with how far each run is.
#[derive(clap::Args, Debug)]
pub struct Get {
    /// Only these.
    #[arg(value_name = "NAME", add = super::completion::names())]
    pub names: Vec<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "names")]
    pub all_namespaces: bool,
    /// Only those with these labels.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "names")]
    pub selector: Option<String>,
    /// More columns, or as data.
    #[arg(short, long, value_enum)]
    pub output: Option<Output>,
    /// Then a line for each change.
    #[arg(short, long)]
    pub watch: bool,
}

/// How they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Output {
    Wide,
    Yaml,
    Json,
    Name,
}

/// Runs the verb.
///
/// # Errors
/// Nothing can be read.
pub fn run(cluster: &Cluster, arguments: &Get) -> Result<(), Error> {
    cluster::block_on(async {
        let connection = cluster::connect(cluster).await?;
        if arguments.watch {
            return watch(&connection, arguments).await;
        }
        let found = find(&connection, arguments).await?;
        if found.is_empty() {
            let place = if arguments.all_namespaces {
                "any namespace".into()
            } else {
                format!("namespace {}", connection.namespace)
            };
            eprintln!("No {KIND}s found in {place}.");
            return Ok(());
        }
        output::print(&printed(&found, arguments.output, Timestamp::now())?)
    })
}

async fn find(connection: &Connection, arguments: &Get) -> Result<Vec<Found>, Error> {
    if arguments.names.is_empty() {
        return kanaries::list(connection, arguments.all_namespaces, arguments.selector.as_deref()).await;
    }
    let mut found = Vec::new();
    for name in &arguments.names {
        found.push(kanaries::get(connection, name).await?);
    }
    Ok(found)
}

/// All of them, in the form that is asked for.
///
/// # Errors
/// Never in practice.
pub fn printed(found: &[Found], output: Option<Output>, now: Timestamp) -> Result<String, Error> {
    match (output, found) {
        (None, _) => Ok(text(found.iter().map(|found| &found.kanary), false, now)),
        (Some(Output::Wide), _) => Ok(text(found.iter().map(|found| &found.kanary), true, now)),
        (Some(Output::Name), _) => Ok(found.iter().map(|found| name(&found.kanary)).collect()),
        (Some(Output::Yaml), [one]) => output::written(Format::Yaml, &one.whole),
        (Some(Output::Json), [one]) => output::written(Format::Json, &one.whole),
        (Some(Output::Yaml), many) => output::written(Format::Yaml, &list(many)),
        (Some(Output::Json), many) => output::written(Format::Json, &list(many)),
    }
}

fn name(kanary: &KanaryDeployment) -> String {
    format!("kanarydeployment.kanary.k8s.io/{}\n", kanary.name())
}

fn list(found: &[Found]) -> serde_json::Value {
    let items: Vec<&DynamicObject> = found.iter().map(|found| &found.whole).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

const COLUMNS: [&str; 10] =
    ["NAMESPACE", "NAME", "STATUS", "DEPLOYMENT", "SERVICE", "SCALE", "TRAFFIC", "VALIDATION", "DURATION", "MESSAGE"];

/// The table.
pub fn text<'a>(kanaries: impl Iterator<Item = &'a KanaryDeployment>, wide: bool, now: Timestamp) -> String {
    let columns = if wide { &COLUMNS[..] } else { &COLUMNS[..COLUMNS.len() - 1] };
    table::draw(columns, kanaries.map(|kanary| row(kanary, wide, now)).collect())
}

fn row(kanary: &KanaryDeployment, wide: bool, now: Timestamp) -> Vec<String> {
    let status = kanary.status.clone().unwrap_or_default();
    let report = status.report.unwrap_or_else(|| unseen(kanary));
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

/// No controller has seen it yet.
fn unseen(kanary: &KanaryDeployment) -> Report {
    let traffic = kanary.spec.traffic.source.as_str().to_owned();
    Report { status: "-".into(), scale: "-".into(), traffic, validation: "-".into() }
}

/// A status or a verdict in its colour.
#[must_use]
pub fn coloured(word: &str) -> String {
    match word {
        "Succeeded" | "Valid" | "True" => styled(GOOD, word),
        "Failed" | "Failing" | "Invalid" => styled(BAD, word),
        "Unknown" | "Scheduled" => styled(WARN, word),
        word => word.to_owned(),
    }
}

/// A table first, then a row for each change, as kubectl does. Only what the columns show counts.
async fn watch(connection: &Connection, arguments: &Get) -> Result<(), Error> {
    let wide = match arguments.output {
        None => false,
        Some(Output::Wide) => true,
        Some(Output::Yaml | Output::Json | Output::Name) => {
            return Err(Error::Usage("--watch prints a table; leave -o out, or use -o wide".into()));
        }
    };
    let config = watcher::Config { label_selector: arguments.selector.clone(), ..watcher::Config::default() };
    let api = kanaries::api(connection, arguments.all_namespaces);
    let mut events = watcher::watcher(api, config).boxed();
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    let wanted = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|n| kanaries::bare(n) == name);
    let failed = |error: watcher::Error| Error::Wrong(format!("watch {KIND}s: {error}"));
    while let Some(event) = events.try_next().await.map_err(failed)? {
        let (Event::Apply(object) | Event::InitApply(object)) = event else { continue };
        let Found { kanary, .. } = kanaries::understand(object)?;
        if wanted(kanary.name()) {
            show(&kanary, wide, &mut shown)?;
        }
    }
    Ok(())
}

fn show(kanary: &KanaryDeployment, wide: bool, shown: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let now = Timestamp::now();
    let key = format!("{}/{}", kanary.namespace(), kanary.name());
    // The duration moves by itself.
    let mut cells = row(kanary, wide, now);
    cells.remove(8);
    let content = cells.join("\t");
    if shown.get(&key) == Some(&content) {
        return Ok(());
    }
    let table = text(std::iter::once(kanary), wide, now);
    let (head, line) = table.split_once('\n').unwrap_or_default();
    let text = if shown.is_empty() { format!("{head}\n{line}") } else { line.to_owned() };
    shown.insert(key, content);
    output::print(&text)
}
