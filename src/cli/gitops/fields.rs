//! The fields of foreign objects that Kanary writes for a time, derived from the core.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    api::{KanaryDeployment, names},
    canary::Withheld,
    decision::{Action, Kind, Observed, Patch, Routes, Target},
    lifecycle,
    objects::{Deployment, Labels},
    traffic::Traffic,
};

/// Fields of one object that Kanary writes for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its API group.
    pub group: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace, if the resource names one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// JSON pointers.
    pub pointers: Vec<String>,
    /// The same more narrowly, as jq has it: one entry of a list.
    pub expressions: Vec<String>,
}

/// A resource, and the routes of a mesh beside it.
pub struct Scene {
    /// The resource.
    pub kanary: KanaryDeployment,
    /// The routes.
    pub routes: Routes,
}

/// What one run writes in objects that are not its own.
#[must_use]
pub fn rules_of(Scene { kanary, routes }: &Scene) -> Vec<Rule> {
    let mut seen = Observed::around(Arc::new(kanary.clone()), Timestamp::UNIX_EPOCH);
    let base = Rule {
        group: "apps",
        kind: "Deployment",
        namespace: kanary.metadata.namespace.clone(),
        name: names::base(kanary),
        pointers: if kanary.spec.validation.no_update { Vec::new() } else { written(&mut seen) },
        expressions: Vec::new(),
    };
    seen.routes = routes.clone();
    let lists = Traffic::of(&seen, &Withheld::default()).lists();
    let carriers = lists.into_iter().map(|(target, pointer)| carrier(kanary, target, pointer));
    [base].into_iter().chain(carriers).filter(|rule| !rule.pointers.is_empty()).collect()
}

/// The entry in a list of mirrors or filters. A list with only this entry does not exist without it, so an empty one is
/// ignored as well.
fn carrier(kanary: &KanaryDeployment, target: Target, pointer: String) -> Rule {
    let service = names::kanary_service(kanary);
    let (group, list, ours) = match target.kind {
        Kind::HTTPRoute => (
            "gateway.networking.k8s.io",
            ".spec.rules[]?.filters",
            format!(".type == \"RequestMirror\" and .requestMirror.backendRef.name == \"{service}\""),
        ),
        Kind::VirtualService
        | Kind::Deployment
        | Kind::Service
        | Kind::HorizontalPodAutoscaler
        | Kind::Pod
        | Kind::KanaryDeployment => {
            ("networking.istio.io", ".spec.http[]?.mirrors", format!(".destination.host == \"{service}\""))
        }
    };
    Rule {
        group,
        kind: target.kind.as_str(),
        namespace: kanary.metadata.namespace.clone(),
        name: target.name,
        pointers: vec![pointer],
        expressions: vec![format!("{list}[]? | select({ours})"), format!("{list} | select(. == [])")],
    }
}

/// The paths of the promotion's patch. A base with labels and annotations, as every live one has, gets single keys.
fn written(seen: &mut Observed) -> Vec<String> {
    let mut base = Deployment::default();
    (base.metadata.labels, base.metadata.annotations) = (Some(Labels::new()), Some(Labels::new()));
    seen.base = Some(Arc::new(base));
    let Some(Action::Promote { patch: Patch::Json(operations), .. }) = lifecycle::base::promote(seen) else {
        return Vec::new();
    };
    let paths = operations.iter().filter_map(|operation| operation["path"].as_str());
    paths.filter(|path| *path != "/metadata/resourceVersion").map(str::to_owned).collect()
}

/// Several runs of one base make one rule.
pub fn merged(rules: Vec<Rule>) -> Vec<Rule> {
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
                other.expressions.extend(rule.expressions);
                other.expressions.sort();
                other.expressions.dedup();
            }
        }
    }
    merged
}
