//! `get`: the table of runs.

use std::collections::BTreeMap;

use clap::ValueEnum;
use futures::StreamExt;
use jiff::Timestamp;
use kube::{api::DynamicObject, runtime::watcher};
use serde_json::json;

use super::{
    Cluster, Error, clock,
    cluster::{self, Connection},
    follow::{News, follow},
    kanaries::{self, Found, KIND},
    output::{self, BAD, Format, GOOD, WARN, styled},
    table::{self, Growing},
};
use crate::{
    api::{KanaryDeployment, Report, names},
    objects::Object,
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
        let is_data = matches!(arguments.output, Some(Output::Yaml | Output::Json));
        if found.is_empty() && !is_data {
            let place = if arguments.all_namespaces {
                "any namespace".into()
            } else {
                format!("namespace {}", connection.namespace)
            };
            eprintln!("No {KIND}s found in {place}.");
            return Ok(());
        }
        output::print(&printed(&found, arguments.output, arguments.names.len() == 1, Timestamp::now())?)?;
        let is_table = matches!(arguments.output, None | Some(Output::Wide));
        found.iter().filter(|_| is_table).for_each(complain);
        Ok(())
    })
}

fn complain(found: &Found) {
    if let Err(why) = &found.kanary {
        eprintln!("warning: {why}");
    }
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

/// All of them, in the form that is asked for. One that is asked for by its name is no list, as kubectl has it.
///
/// # Errors
/// Never in practice.
pub fn printed(found: &[Found], output: Option<Output>, by_name: bool, now: Timestamp) -> Result<String, Error> {
    let data = |format| match (by_name, found) {
        (true, [one]) => output::written(format, &one.whole),
        (true | false, many) => output::written(format, &list(many)),
    };
    match output {
        None => Ok(table(found, false, now)),
        Some(Output::Wide) => Ok(table(found, true, now)),
        Some(Output::Name) => Ok(found.iter().map(name).collect()),
        Some(Output::Yaml) => data(Format::Yaml),
        Some(Output::Json) => data(Format::Json),
    }
}

fn name(found: &Found) -> String {
    format!("kanarydeployment.kanary.k8s.io/{}\n", found.name())
}

fn list(found: &[Found]) -> serde_json::Value {
    let items: Vec<&DynamicObject> = found.iter().map(|found| &found.whole).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

const COLUMNS: [&str; 10] =
    ["NAMESPACE", "NAME", "STATUS", "DEPLOYMENT", "SERVICE", "SCALE", "TRAFFIC", "VALIDATION", "DURATION", "MESSAGE"];
const STATUS: usize = 2;
const DURATION: usize = 8;

fn columns(wide: bool) -> &'static [&'static str] {
    if wide { &COLUMNS } else { &COLUMNS[..COLUMNS.len() - 1] }
}

/// The table.
pub fn text<'a>(kanaries: impl Iterator<Item = &'a KanaryDeployment>, wide: bool, now: Timestamp) -> String {
    table::draw(columns(wide), kanaries.map(|kanary| row(kanary, wide, now)).collect())
}

fn table(found: &[Found], wide: bool, now: Timestamp) -> String {
    table::draw(columns(wide), found.iter().map(|found| row_of(found, wide, now)).collect())
}

/// One that is not understood hides no other.
fn row_of(found: &Found, wide: bool, now: Timestamp) -> Vec<String> {
    let unknown = || {
        let known = [found.namespace().to_owned(), found.name().to_owned()];
        let rest = columns(wide).iter().skip(known.len()).map(|_| "?".to_owned());
        known.into_iter().chain(rest).collect()
    };
    found.kanary.as_ref().map_or_else(|_| unknown(), |kanary| row(kanary, wide, now))
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
    // Whoever waits for a name that is not there has mistyped it.
    let mut named = Vec::new();
    for name in &arguments.names {
        named.push(kanaries::get(connection, name).await?.whole);
    }
    let config = watcher::Config { label_selector: arguments.selector.clone(), ..watcher::Config::default() };
    let mut news = follow(kanaries::api(connection, arguments.all_namespaces), config, named);
    let wanted =
        |found: &Found| arguments.names.is_empty() || arguments.names.iter().any(|n| kanaries::bare(n) == found.name());
    let mut shown = Shown { wide, rows: BTreeMap::new() };
    let mut table = Growing::new(columns(wide)).with_room(STATUS, "Validating");
    let (mut waiting, mut is_complete, mut trouble) = (Vec::new(), false, None);
    while let Some(news) = news.next().await {
        match news {
            News::There(object) => waiting.extend(shown.changed(&kanaries::understand(object), wanted)),
            News::Gone(object) => waiting.extend(shown.gone(&kanaries::understand(object), wanted)),
            News::Complete => is_complete = true,
            // What cannot be listed at all is an error, and nothing to wait for.
            News::Trouble(why) if !is_complete => return Err(Error::Wrong(format!("list {KIND}s: {why}"))),
            News::Trouble(why) if trouble.as_ref() == Some(&why) => {}
            News::Trouble(why) => {
                eprintln!("warning: cannot read {KIND}s, tries again: {why}");
                trouble = Some(why);
            }
            News::Well => trouble = None,
        }
        if is_complete && !waiting.is_empty() {
            output::print(&table.rows(std::mem::take(&mut waiting)))?;
        }
    }
    Ok(())
}

/// What the columns showed last.
struct Shown {
    wide: bool,
    rows: BTreeMap<(String, String), Vec<String>>,
}

impl Shown {
    fn changed(&mut self, found: &Found, wanted: impl Fn(&Found) -> bool) -> Option<Vec<String>> {
        let row = row_of(found, self.wide, Timestamp::now());
        // The duration moves by itself.
        let mut content = row.clone();
        content[DURATION] = String::new();
        let is_news = wanted(found) && self.rows.get(&id(found)) != Some(&content);
        is_news.then(|| {
            complain(found);
            self.rows.insert(id(found), content);
            row
        })
    }

    fn gone(&mut self, found: &Found, wanted: impl Fn(&Found) -> bool) -> Option<Vec<String>> {
        self.rows.remove(&id(found));
        let mut row = row_of(found, self.wide, Timestamp::now());
        // Deleted, or without the labels that are asked for.
        row[STATUS] = "Gone".into();
        wanted(found).then_some(row)
    }
}

fn id(found: &Found) -> (String, String) {
    (found.namespace().to_owned(), found.name().to_owned())
}
