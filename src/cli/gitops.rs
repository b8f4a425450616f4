//! `gitops-ignore`: what Argo CD and Flux must leave alone, so that a promotion is not taken back.
//!
//! The rules are read off the very patch that the core would send, so they name what Kanary writes and nothing else.

use std::{path::PathBuf, sync::Arc};

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Cluster, Error, cluster, kanaries,
    output::{self, yaml},
    plan::{files, rules},
};
use crate::{
    api::{KanaryDeployment, names},
    lifecycle::{self, Action, Observed, Patch},
    seen::{Deployment, Labels},
};

/// Print what Argo CD or Flux must ignore, so that a promotion is not taken back.
#[derive(clap::Args, Debug)]
pub struct GitopsIgnore {
    /// The KanaryDeployment; all of the namespace if left out.
    #[arg(value_name = "NAME", add = super::completion::names(), conflicts_with = "filename")]
    pub name: Option<String>,
    /// Take them from files, not from the cluster.
    #[arg(short, long, num_args = 1.., value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// For whom.
    #[arg(long = "for", value_enum)]
    pub tool: Option<Tool>,
}

/// A GitOps tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Tool {
    Argocd,
    Flux,
}

/// Fields of one object that are Kanary's for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    group: &'static str,
    kind: &'static str,
    namespace: Option<String>,
    name: String,
    /// JSON pointers.
    pointers: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// There is no KanaryDeployment.
pub fn run(cluster: &Cluster, arguments: &GitopsIgnore) -> Result<(), Error> {
    let kanaries = match (&arguments.name, arguments.filename.is_empty()) {
        (_, false) => from_files(&arguments.filename)?,
        (Some(name), true) => cluster::block_on(async {
            let connection = cluster::connect(cluster).await?;
            kanaries::get(&connection, name).await.map(|found| vec![found.kanary])
        })?,
        (None, true) => cluster::block_on(async {
            let connection = cluster::connect(cluster).await?;
            Ok(kanaries::list(&connection, false, None).await?.into_iter().map(|found| found.kanary).collect())
        })?,
    };
    let rules: Vec<Rule> = merged(kanaries.iter().flat_map(rules_of).collect());
    if rules.is_empty() {
        return Err(Error::Wrong("there is no KanaryDeployment that would write anything".into()));
    }
    output::print(&text(&rules, arguments.tool)?)
}

fn from_files(paths: &[PathBuf]) -> Result<Vec<KanaryDeployment>, Error> {
    let documents = files::read(paths)?;
    let kanaries = documents.iter().filter(|document| document.kind() == kanaries::KIND);
    let admitted = |document: &files::Document| {
        rules::admit(&document.object).map_err(|wrong| Error::Wrong(format!("{}: {}", document.file, wrong.join("; "))))
    };
    kanaries.map(admitted).collect()
}

/// What one run writes of objects that are not its own.
#[must_use]
pub fn rules_of(kanary: &KanaryDeployment) -> Vec<Rule> {
    let pointers = if kanary.spec.validation.no_update { Vec::new() } else { written(kanary) };
    let rule = Rule {
        group: "apps",
        kind: "Deployment",
        namespace: kanary.metadata.namespace.clone(),
        name: names::base(kanary),
        pointers,
    };
    if rule.pointers.is_empty() { Vec::new() } else { vec![rule] }
}

/// The paths of the promotion's patch. A base with labels and annotations, as every live one has, gets single keys.
fn written(kanary: &KanaryDeployment) -> Vec<String> {
    let mut seen = Observed::around(Arc::new(kanary.clone()), Timestamp::UNIX_EPOCH);
    let mut base = Deployment::default();
    (base.metadata.labels, base.metadata.annotations) = (Some(Labels::new()), Some(Labels::new()));
    seen.base = Some(Arc::new(base));
    let Some(Action::Promote { patch: Patch::Json(operations), .. }) = lifecycle::base::promote(&seen) else {
        return Vec::new();
    };
    let paths = operations.iter().filter_map(|operation| operation["path"].as_str());
    paths.filter(|path| *path != "/metadata/resourceVersion").map(str::to_owned).collect()
}

/// Several runs of one base make one rule.
fn merged(rules: Vec<Rule>) -> Vec<Rule> {
    let mut merged: Vec<Rule> = Vec::new();
    for rule in rules {
        let same =
            |other: &&mut Rule| (other.kind, &other.namespace, &other.name) == (rule.kind, &rule.namespace, &rule.name);
        match merged.iter_mut().find(same) {
            None => merged.push(rule),
            Some(other) => {
                other.pointers.extend(rule.pointers);
                other.pointers.sort();
                other.pointers.dedup();
            }
        }
    }
    merged
}

/// The rules, with a line that says where they go.
///
/// # Errors
/// Never in practice.
pub fn text(rules: &[Rule], tool: Option<Tool>) -> Result<String, Error> {
    let argo = || {
        let text = yaml(&argocd(rules))?;
        Ok::<_, Error>(format!(
            "# Argo CD: into the spec of the Application. Without the option a sync would still write these fields.\n{text}"
        ))
    };
    let flux = || {
        let (ignore, drift) = (
            yaml(&json!({"ignore": flux(rules)}))?,
            yaml(&json!({"driftDetection": {"mode": "enabled", "ignore": flux(rules)}}))?,
        );
        Ok::<_, Error>(format!(
            "# Flux 2.9 or later: into the spec of the Kustomization.\n{ignore}\
             # Or, if a HelmRelease makes the Deployment, into its spec.\n{drift}"
        ))
    };
    match tool {
        Some(Tool::Argocd) => argo(),
        Some(Tool::Flux) => flux(),
        None => Ok(format!("{}\n{}", argo()?, flux()?)),
    }
}

fn argocd(rules: &[Rule]) -> Value {
    let differences: Vec<Value> = rules
        .iter()
        .map(|Rule { group, kind, namespace, name, pointers }| {
            let mut rule = json!({"group": group, "kind": kind, "name": name, "jsonPointers": pointers});
            if let Some(namespace) = namespace {
                rule["namespace"] = namespace.as_str().into();
            }
            rule
        })
        .collect();
    json!({"ignoreDifferences": differences, "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]}})
}

fn flux(rules: &[Rule]) -> Value {
    rules
        .iter()
        .map(|Rule { group, kind, namespace, name, pointers }| {
            let mut target = json!({"group": group, "kind": kind, "name": name});
            if let Some(namespace) = namespace {
                target["namespace"] = namespace.as_str().into();
            }
            json!({"paths": pointers, "target": target})
        })
        .collect()
}
