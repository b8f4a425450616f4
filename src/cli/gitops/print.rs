//! The rules as Argo CD and Flux want them.

use serde_json::{Value, json};

use super::{Rule, Tool};
use crate::cli::{Error, output::yaml};

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
