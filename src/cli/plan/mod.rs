//! `plan`: what the controller would do with a `KanaryDeployment`, step by step, without a cluster.
//!
//! The very core that the controller runs decides; the API server and its controllers are played in memory, and behave
//! well. What only a real cluster knows (quotas, webhooks, whether a pod starts) is not known here.

mod admission;
mod assume;
pub(super) mod files;
mod machinery;
mod print;
mod prometheus;
mod report;
pub mod rules;
mod run;
mod schema;
mod world;

use std::path::PathBuf;

use files::Document;
use jiff::Timestamp;
use report::{Outcome, Report};
use run::{People, Play};
use serde_json::Value;
use world::World;

use super::{Cluster, Error, kanaries, output};

/// Show what the controller would do, step by step. No cluster is needed.
///
/// The files hold one KanaryDeployment or more, each of which is planned by itself, and what is there already: the base,
/// its Service, autoscalers, policies. The exit code is 1 if anything is wrong, so that it lints in CI.
#[derive(clap::Args, Debug)]
pub struct Plan {
    /// Files or folders of YAML or JSON; `-` is standard input. May be given several times.
    #[arg(short, long = "filename", required = true, num_args = 1.., value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// The plan as data.
    #[arg(short, long, value_enum)]
    pub output: Option<output::Format>,
    /// The base does not exist yet.
    #[arg(long)]
    pub without_base: bool,
    /// Show how the canary is taken away: somebody says that it is bad.
    #[arg(long)]
    pub reject: bool,
    /// The time at which it begins. Default: now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

/// Runs the verb.
///
/// # Errors
/// What cannot be read; and [`Error::Said`] if a plan shows that something is wrong.
pub fn run(cluster: &Cluster, arguments: &Plan) -> Result<(), Error> {
    let reports = reports(cluster, arguments, &files::read(&arguments.filename)?)?;
    match arguments.output {
        Some(format) => output::print_as(format, &reports)?,
        None => output::print(&reports.iter().map(print::text).collect::<Result<Vec<_>, _>>()?.join("\n"))?,
    }
    let is_well = |report: &Report| match report.outcome {
        Outcome::Succeeded { .. } => true,
        Outcome::Failed { .. } => arguments.reject,
        Outcome::Stuck { .. } | Outcome::Refused => false,
    };
    if reports.iter().all(is_well) { Ok(()) } else { Err(Error::Said) }
}

fn reports(cluster: &Cluster, arguments: &Plan, documents: &[Document]) -> Result<Vec<Report>, Error> {
    let (kanaries, others): (Vec<_>, Vec<_>) =
        documents.iter().partition(|document| document.kind() == "KanaryDeployment");
    if kanaries.is_empty() {
        return Err(Error::Wrong("there is no KanaryDeployment in the files".into()));
    }
    kanaries.into_iter().map(|kanary| report(cluster, arguments, kanary, &others)).collect()
}

fn report(cluster: &Cluster, arguments: &Plan, document: &Document, others: &[&Document]) -> Result<Report, Error> {
    let namespace = document.namespace().or(cluster.namespace.as_deref()).unwrap_or("default").to_owned();
    let (mut refusals, mut assumptions) = (Vec::new(), Vec::new());
    let (steps, outcome) = match rules::admit(&document.object) {
        Ok(kanary) => {
            let mut world = World::new(&namespace, arguments.at.unwrap_or_else(Timestamp::now));
            let others = others.iter().filter(|other| !is_made_in_a_run(&other.object, document.name()));
            others.clone().try_for_each(|other| place(&mut world, &namespace, other))?;
            assumptions = assume::complete(&mut world, &kanary, arguments.without_base);
            assumptions.extend(others.filter_map(|other| assume::elsewhere(&kanary, &namespace, other)));
            let people = if arguments.reject { People::Reject } else { People::Approve };
            Play::new(world, kanary, &namespace, people).play()
        }
        Err(wrong) => {
            refusals = wrong;
            (Vec::new(), Outcome::Refused)
        }
    };
    let name = document.name().to_owned();
    Ok(Report { name, namespace, file: document.file.clone(), refusals, assumptions, steps, outcome })
}

/// A dump of a cluster in which the canary runs already has its children, and every Deployment's pods: those are what the plan
/// is about to make.
fn is_made_in_a_run(object: &Value, kanary: &str) -> bool {
    let is_ours = |owner: &Value| owner["kind"] == kanaries::KIND && owner["name"] == kanary;
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    matches!(object["kind"].as_str(), Some("Pod" | "ReplicaSet")) || owners.into_iter().flatten().any(is_ours)
}

/// Of other namespaces only routes matter.
fn place(world: &mut World, home: &str, document: &Document) -> Result<(), Error> {
    let Document { file, object } = document;
    let said = |why| Error::Wrong(format!("{file}: {} {}: {why}", document.kind(), document.name()));
    let is_here = document.namespace().is_none_or(|namespace| namespace == home);
    match (is_here, document.kind()) {
        (true, _) => world.place(object.clone()).map_err(said),
        (false, "VirtualService" | "HTTPRoute") => {
            world.add_elsewhere(object.clone());
            Ok(())
        }
        (false, _) => Ok(()),
    }
}
