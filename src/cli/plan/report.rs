//! A plan as data, as `-o yaml` and `-o json` print it.

use jiff::SignedDuration;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{Phase, Reason, duration, names},
    cli::manifest::pull_policy,
    decision::{Action, Kind, Notice, Patch, Target},
};

/// The plan of one `KanaryDeployment`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The file that contains it.
    pub file: String,
    /// Why the API server would reject it; then there are no steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejections: Vec<String>,
    /// What is assumed beyond the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<String>,
    /// What happens.
    pub steps: Vec<Step>,
    /// How it ends.
    pub outcome: Outcome,
}

/// How a run ends.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "ends")]
pub enum Outcome {
    /// The base has the template, or is not updated because of noUpdate.
    Succeeded {
        /// One sentence.
        message: String,
    },
    /// The canary is removed.
    Failed {
        /// One sentence.
        message: String,
    },
    /// It gets stuck.
    Stuck {
        /// The reason, in CamelCase.
        reason: Reason,
        /// One sentence.
        message: String,
    },
    /// The API server would reject it.
    Rejected,
}

/// What happens at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Since the start of the plan.
    #[serde(with = "duration")]
    pub after: SignedDuration,
    /// The phase in the status.
    pub phase: Option<Phase>,
    /// The command that a user is assumed to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What the controller writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<Write>,
    /// The pods that Services select, if that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Endpoints>,
    /// The events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Notice>,
}

/// The pods behind a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// Its name.
    pub service: String,
    /// Pods of the base.
    pub base: usize,
    /// Pods of the canary.
    pub canary: usize,
}

/// One write.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    /// `create`, `patch`, `promote` or `delete`.
    pub verb: &'static str,
    /// The object's kind.
    pub kind: &'static str,
    /// The object's name.
    pub name: String,
    /// A new object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    /// What a patch changes in an object of the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
    /// A foreign object, the base or a route, before the write, without what the API server adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The same object after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The labels that the canary's pods do not have, so that no Service selects them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld_labels: Option<String>,
    /// Why the API server would reject it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Step {
    /// Nothing yet.
    #[must_use]
    pub fn at(after: SignedDuration) -> Self {
        Self { after, phase: None, command: None, writes: Vec::new(), services: Vec::new(), events: Vec::new() }
    }

    /// Does nothing happen?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.command.is_none() && self.writes.is_empty() && self.services.is_empty() && self.events.is_empty()
    }
}

impl Write {
    /// A write, and the object before and after it.
    #[must_use]
    pub fn of(action: &Action, before: Option<&Value>, after: Option<&Value>, error: Option<String>) -> Self {
        let Target { kind, name } = action.target();
        let nothing = Self {
            verb: "",
            kind: kind.as_str(),
            name: name.clone(),
            object: None,
            patch: None,
            before: None,
            after: None,
            withheld_labels: None,
            error,
        };
        match action {
            Action::Create { object, .. } | Action::CreateBase { object, .. } => {
                let withheld = object["metadata"]["annotations"][names::WITHHELD_LABELS].as_str().map(str::to_owned);
                Self { verb: "create", object: Some(tidy(object)), withheld_labels: withheld, ..nothing }
            }
            Action::Patch { patch, .. } => match kind {
                Kind::VirtualService | Kind::HTTPRoute => {
                    Self { verb: "patch", before: before.map(tidy), after: after.map(tidy), ..nothing }
                }
                Kind::Deployment
                | Kind::Service
                | Kind::HorizontalPodAutoscaler
                | Kind::Pod
                | Kind::KanaryDeployment => Self { verb: "patch", patch: Some(change(patch)), ..nothing },
            },
            Action::Promote { .. } => {
                let (mut before, mut after) = (before.map(tidy), after.map(tidy));
                if let (Some(before), Some(after)) = (&mut before, &mut after) {
                    pull_policy::hide_unchanged(before, after);
                }
                Self { verb: "promote", before, after, ..nothing }
            }
            Action::Delete { .. } => Self { verb: "delete", ..nothing },
        }
    }
}

fn change(patch: &Patch) -> Value {
    match patch {
        Patch::Merge(patch) => tidy(patch),
        Patch::Json(operations) => {
            let guard = |operation: &&Value| operation["path"] != "/metadata/resourceVersion";
            json!(operations.iter().filter(guard).collect::<Vec<_>>())
        }
    }
}

/// Without what the API server adds, and without what only this plan has made up.
fn tidy(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(fields) = object.as_object_mut() else { return object };
    fields.remove("status");
    if let Some(meta) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"] {
            meta.remove(field);
        }
        for owner in meta.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
            owner["uid"] = "<uid>".into();
        }
        tidy_annotations(meta);
    }
    object
}

fn tidy_annotations(meta: &mut serde_json::Map<String, Value>) {
    let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations
        .retain(|key, _| !key.starts_with("plan.kanary.k8s.io/") && key != LAST_APPLIED && key != names::REVISION);
    if let Some(token) = annotations.get_mut(names::PROMOTED_BY) {
        let run = token.as_str().and_then(|token| token.split_once('/')).map(|(_, run)| format!("<uid>/{run}"));
        *token = json!(run);
    }
    if annotations.is_empty() {
        meta.remove("annotations");
    }
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
