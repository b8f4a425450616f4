//! `plan`: what the controller would do with a `KanaryDeployment`, step by step, without a cluster.
//!
//! The core that the controller runs decides here too; the API server and its controllers are simulated in memory, and
//! nothing fails. What only a real cluster knows (quotas, webhooks, whether a pod starts) is not known here.

mod admission;
mod assume;
mod cluster;
mod controllers;
mod manual;
mod print;
mod prometheus;
mod report;
mod simulate;

use std::path::PathBuf;

use cluster::Cluster;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use manual::ManualVerdict;
use report::{Outcome, Report};
use serde_json::Value;
use simulate::Simulation;

use super::{
    Error, client,
    cluster_flags::ClusterFlags,
    manifest::{
        files::{self, Document},
        rules, typed,
    },
    output,
};
use crate::api::KanaryDeployment;

/// Show what the controller would do, step by step, without a cluster.
///
/// The files contain one or more KanaryDeployments, each of which is planned on its own, and the objects that exist already:
/// the base Deployment, its Service, autoscalers, policies. The exit code is 1 if anything is wrong, so that it can lint in CI.
#[derive(clap::Args, Debug)]
pub struct Plan {
    /// Files or folders with YAML or JSON; `-` is standard input. Can be repeated.
    #[arg(short, long = "filename", required = true, num_args = 1.., value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// Search folders recursively.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Output format. Default: text.
    #[arg(short, long, value_enum)]
    pub output: Option<output::Format>,
    /// Plan for a base Deployment that does not exist yet.
    #[arg(long)]
    pub without_base: bool,
    /// Plan a rejected run: how the canary is removed.
    #[arg(long)]
    pub reject: bool,
    /// Time at which the plan starts. Default: now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

/// Runs the verb.
///
/// # Errors
/// A file cannot be read; [`Error::Reported`] if a plan shows that something is wrong.
pub fn run(flags: &ClusterFlags, arguments: &Plan) -> Result<(), Error> {
    let reports = reports(flags, arguments, &files::read(&arguments.filename, arguments.recursive)?)?;
    match arguments.output {
        Some(format) => output::print_as(format, &reports)?,
        None => output::print(&reports.iter().map(print::text).collect::<Result<Vec<_>, _>>()?.join("\n"))?,
    }
    let is_well = |report: &Report| match report.outcome {
        Outcome::Succeeded { .. } => true,
        Outcome::Failed { .. } => arguments.reject,
        Outcome::Stuck { .. } | Outcome::Rejected => false,
    };
    if reports.iter().all(is_well) { Ok(()) } else { Err(Error::Reported) }
}

fn reports(flags: &ClusterFlags, arguments: &Plan, documents: &[Document]) -> Result<Vec<Report>, Error> {
    let (kanaries, others): (Vec<_>, Vec<_>) =
        documents.iter().partition(|document| document.kind() == "KanaryDeployment");
    if kanaries.is_empty() {
        return Err(Error::Failed("found no KanaryDeployment in the files".into()));
    }
    kanaries.into_iter().map(|kanary| report(flags, arguments, kanary, &others)).collect()
}

fn report(flags: &ClusterFlags, arguments: &Plan, document: &Document, others: &[&Document]) -> Result<Report, Error> {
    let namespace = document.namespace().or(flags.namespace.as_deref()).unwrap_or("default").to_owned();
    let (mut rejections, mut assumptions) = (Vec::new(), Vec::new());
    let (steps, outcome) = match admit(&document.object) {
        Ok(kanary) => {
            let mut cluster = Cluster::new(&namespace, arguments.at.unwrap_or_else(Timestamp::now));
            let others = others.iter().filter(|other| !is_made_in_a_run(&other.object, document.name()));
            others.clone().try_for_each(|other| place(&mut cluster, &namespace, other))?;
            assumptions = assume::complete(&mut cluster, &kanary, arguments.without_base);
            assumptions.extend(others.filter_map(|other| assume::elsewhere(&kanary, &namespace, other)));
            let verdict = if arguments.reject { ManualVerdict::Reject } else { ManualVerdict::Approve };
            Simulation::new(cluster, kanary, &namespace, verdict).run()
        }
        Err(wrong) => {
            rejections = wrong;
            (Vec::new(), Outcome::Rejected)
        }
    };
    let name = document.name().to_owned();
    Ok(Report { name, namespace, file: document.file.clone(), rejections, assumptions, steps, outcome })
}

/// The API server stores the template almost without a look at it, and rejects the Deployments that are made of it. So
/// fields of wrong types are listed here, with those that it does look at.
fn admit(object: &Value) -> Result<KanaryDeployment, Vec<String>> {
    let admitted = rules::admit(object);
    let template = object.pointer("/spec/template").filter(|template| template.is_object());
    let of_template = template.map(typed::problems::<Deployment>).unwrap_or_default();
    let of_template = of_template.iter().map(|why| format!("spec.template.{why}"));
    let mut wrong = admitted.as_ref().err().cloned().unwrap_or_default();
    for why in of_template {
        let path = why.split_once(": ").map_or(why.as_str(), |(path, _)| path);
        if !wrong.iter().any(|other| other.split_once(": ").is_some_and(|(known, _)| known == path)) {
            wrong.push(why);
        }
    }
    if wrong.is_empty() { admitted } else { Err(wrong) }
}

/// A dump of a cluster in which the canary runs already contains the objects that the plan is about to create: the canary's
/// own, and the pods of every Deployment.
fn is_made_in_a_run(object: &Value, kanary: &str) -> bool {
    let is_ours = |owner: &Value| owner["kind"] == client::KIND && owner["name"] == kanary;
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    matches!(object["kind"].as_str(), Some("Pod" | "ReplicaSet")) || owners.into_iter().flatten().any(is_ours)
}

/// Of other namespaces only the routes matter.
fn place(cluster: &mut Cluster, home: &str, document: &Document) -> Result<(), Error> {
    let Document { file, object } = document;
    let failed = |why| Error::Failed(format!("{file}: {} {}: {why}", document.kind(), document.name()));
    let is_here = document.namespace().is_none_or(|namespace| namespace == home);
    match (is_here, document.kind()) {
        (true, _) => cluster.load(object.clone()).map_err(failed),
        (false, "VirtualService" | "HTTPRoute" | "DestinationRule") => {
            cluster.add_foreign_route(object.clone());
            Ok(())
        }
        (false, _) => Ok(()),
    }
}
