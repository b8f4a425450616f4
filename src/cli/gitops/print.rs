//! The rules as Argo CD and Flux expect them.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::fields::Rule;
use crate::cli::{Error, output::yaml};

/// A GitOps tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Tool {
    Argocd,
    Flux,
}

/// The rules, with a comment that says where to add them.
///
/// # Errors
/// Never in practice.
pub fn text(rules: &[Rule], tool: Option<Tool>) -> Result<String, Error> {
    let argo = || {
        let text = yaml(&argocd(rules))?;
        Ok::<_, Error>(format!(
            "# Argo CD: add this to the spec of the Application. Without the sync option a sync would still write these fields.\n{text}"
        ))
    };
    let flux = || {
        let (ignore, drift) = (
            yaml(&json!({"ignore": flux(rules)}))?,
            yaml(&json!({"driftDetection": {"mode": "enabled", "ignore": flux(rules)}}))?,
        );
        Ok::<_, Error>(format!(
            "# Flux 2.9 or later: add this to the spec of the Kustomization.\n{ignore}\
             # If a HelmRelease manages the Deployment, add this to its spec instead.\n{drift}"
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
        .map(|Rule { group, kind, namespace, name, pointers, expressions }| {
            let mut rule = json!({"group": group, "kind": kind, "name": name});
            match expressions.is_empty() {
                true => rule["jsonPointers"] = json!(pointers),
                false => rule["jqPathExpressions"] = json!(expressions),
            }
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
        .map(|Rule { group, kind, namespace, name, pointers, .. }| {
            let mut target = json!({"group": group, "kind": kind, "name": name});
            if let Some(namespace) = namespace {
                target["namespace"] = namespace.as_str().into();
            }
            json!({"paths": pointers, "target": target})
        })
        .collect()
}
